#include "features/known_rules.hpp"

#include <cstring>

namespace weir::features {

const firewall::CompiledRule* KnownRules::look(std::uint32_t port, const net::Tuple& tuple,
                                               bool outgoing) const {
    using chain::Insert;
    using firewall::Firewall;
    if (!Insert::passes(Plane::Worker::table<Insert>(*tables_), port, tuple, outgoing))
        return nullptr;
    return Firewall::allows(Plane::Worker::table<Firewall>(*tables_), port, tuple, outgoing);
}

const KnownRules::Words& KnownRules::mask_of(std::uint32_t port) {
    using chain::Insert;
    using firewall::Firewall;
    Asked& asked = asked_[port];
    if (asked.ticket == ticket_) [[likely]]
        return asked.mask;
    const net::Tuple firewall = Firewall::asked(Plane::Worker::table<Firewall>(*tables_), port);
    const net::Tuple chains = Insert::asked(Plane::Worker::table<Insert>(*tables_), port);
    Words other;
    std::memcpy(&asked.mask, &firewall, sizeof asked.mask);
    std::memcpy(&other, &chains, sizeof other);
    for (std::size_t i = 0; i < other.size(); ++i) asked.mask[i] |= other[i];
    asked.ticket = ticket_;
    return asked.mask;
}

const firewall::CompiledRule* KnownRules::find(std::uint32_t port, const net::Tuple& tuple,
                                               bool outgoing) {
    constexpr std::uint64_t odd = 0x9e3779b97f4a7c15u, other_odd = 0xff51afd7ed558ccdu;
    if (port >= asked_.size() || ticket_ == 0) return nullptr;
    if (chain::Insert::is_exempt(tuple)) return nullptr;
    const Words& mask = mask_of(port);
    Words words;
    std::memcpy(&words, &tuple, sizeof words);
    for (std::size_t i = 0; i < words.size(); ++i) words[i] &= mask[i];
    const std::uint64_t of = std::uint64_t{port} << 2 | std::uint64_t{outgoing} << 1 |
                             static_cast<std::uint64_t>(tuple.src.is4());
    std::uint64_t hash = (words[0] ^ words[3]) * odd ^ (words[1] + words[4]) * other_odd;
    hash = (hash ^ hash >> 32 ^ words[2] ^ of) * odd;
    Answer& answer = answers_[hash >> 32 & (answers_.size() - 1)];
    std::uint64_t differs = (answer.ticket ^ ticket_) | (answer.of ^ of);
    for (std::size_t i = 0; i < words.size(); ++i) differs |= answer.asked[i] ^ words[i];
    if (differs != 0) [[unlikely]]
        answer = {words, ticket_, of, look(port, tuple, outgoing)};
    return answer.rule;
}

}  // namespace weir::features
