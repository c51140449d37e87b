#pragma once
#include <array>
#include <cstdint>
#include <cstring>

#include "base/limits.hpp"
#include "features/all.hpp"

namespace weir::features {

// What the rules of a port say of new flows that are plain (see First), remembered: flows that
// differ only in what no rule of the port asks for, mostly the source port, have one answer.
class KnownRules {
public:
    // What is remembered and counted of flows that begin, all looked up.
    struct Answer {
        firewall::Firewall::Allowance firewall;
        chain::Insert::Passage chains;
        // False: a service rule, a log line, a rule that denies; the stages must look.
        bool allows() const { return firewall.count != nullptr; }
    };

    explicit KnownRules(Plane::Worker& pipeline) : pipeline_(pipeline) {}
    // A burst begins, under the program of `ticket`. Answers of another one are void.
    void begin(const Plane::Tables& tables, std::uint64_t ticket) {
        tables_ = &tables;
        ticket_ = ticket;
    }
    const Answer& find(std::uint32_t port, const net::Tuple& tuple, bool outgoing) {
        if (port >= asked_.size() || chain::Insert::is_exempt(tuple)) return none_;
        if (asked_[port].ticket != ticket_) [[unlikely]]
            ask(port);
        const Words& mask = asked_[port].mask;
        Words words;
        std::memcpy(&words, &tuple, sizeof words);
        for (std::size_t i = 0; i < words.size(); ++i) words[i] &= mask[i];
        const std::uint64_t of = std::uint64_t{port} << 2 | std::uint64_t{outgoing} << 1 |
                                 static_cast<std::uint64_t>(tuple.src.is4());
        Known& known = known_[place_of(words, of)];
        std::uint64_t differs = (known.ticket ^ ticket_) | (known.of ^ of);
        for (std::size_t i = 0; i < words.size(); ++i) differs |= known.asked[i] ^ words[i];
        if (differs != 0) [[unlikely]]
            learn(known, words, of, tuple);
        return known.answer;
    }

private:
    using Words = std::array<std::uint64_t, 5>;
    static_assert(sizeof(Words) == sizeof(net::Tuple));
    static constexpr std::uint64_t no_ticket = ~std::uint64_t{0};  // of no program, nor of none yet
    struct Asked {
        std::uint64_t ticket = no_ticket;
        Words mask{};
    };
    struct alignas(128) Known {
        Words asked{};
        std::uint64_t ticket = no_ticket;
        std::uint64_t of = 0;  // port, direction, IP version
        Answer answer;
    };
    static constexpr std::size_t size = 1024;
    static std::size_t place_of(const Words& words, std::uint64_t of) {
        constexpr std::uint64_t odd = 0x9e3779b97f4a7c15u, other_odd = 0xff51afd7ed558ccdu;
        std::uint64_t hash = (words[0] ^ words[3]) * odd ^ (words[1] + words[4]) * other_odd;
        hash = (hash ^ hash >> 32 ^ words[2] ^ of) * odd;
        return hash >> 32 & (size - 1);
    }
    void ask(std::uint32_t port);
    void learn(Known& known, const Words& asked, std::uint64_t of, const net::Tuple& tuple);
    Answer look(std::uint32_t port, const net::Tuple& tuple, bool outgoing);

    Plane::Worker& pipeline_;
    const Plane::Tables* tables_ = nullptr;
    std::uint64_t ticket_ = 0;
    Answer none_;
    std::array<Asked, limits::max_ports> asked_{};
    std::array<Known, size> known_{};
};

}  // namespace weir::features
