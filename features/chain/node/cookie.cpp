#include "features/chain/node/cookie.hpp"

#include <cstring>

#include "net/bytes.hpp"
#include "net/hash.hpp"
#include "net/siphash.hpp"

namespace weir::chain {

NodeSecret node_secret(std::uint64_t seed, std::uint32_t node_id) {
    const std::array<std::uint64_t, 2> key = {seed, 0x6e6f64652d736563ull};
    std::array<std::uint8_t, 5> name{};
    net::store32(name.data(), node_id);
    NodeSecret secret;
    for (std::uint64_t& word : secret) {
        word = net::siphash24(key, name);
        ++name[4];
    }
    return secret;
}

namespace {

// All of it in 39 bytes.
std::array<std::uint64_t, 5> hashed_part(const net::Smd& sent, bool timed) {
    std::array<std::uint8_t, 16> macs{};
    sent.original_dst.store(macs.data());
    sent.original_src.store(macs.data() + 6);
    std::array<std::uint64_t, 2> mac_words;
    std::memcpy(mac_words.data(), macs.data(), sizeof mac_words);
    const std::uint64_t flags = unsigned{sent.reverse} | unsigned{sent.at_ingress} << 1 |
                                unsigned{sent.returning} << 2 | unsigned{sent.copy} << 3 |
                                unsigned{sent.trace} << 4 | unsigned{sent.moved} << 5 |
                                unsigned{timed} << 6;
    const std::uint64_t path = std::uint64_t{sent.spi & 0xffffff} | std::uint64_t{sent.si} << 24 |
                               std::uint64_t{sent.sci & 0xffffff} << 32 |
                               std::uint64_t{sent.path_epoch} << 56;
    return {path,
            std::uint64_t{sent.tenant_vni & 0xffffff} | std::uint64_t{sent.skip_mask} << 24 |
                std::uint64_t{sent.anchor_host} << 32,
            std::uint64_t{sent.anchor_port} | std::uint64_t{sent.flow_handle} << 32, mac_words[0],
            mac_words[1] | flags << 32 | std::uint64_t{sent.ttl & 0x3fu} << 39 |
                std::uint64_t{sent.initial_si} << 45 | std::uint64_t{sent.version & 3u} << 53};
}

std::uint32_t hash_of(const NodeSecret& secret, const std::array<std::uint64_t, 5>& words) {
    const std::uint64_t hash = net::siphash24_of_39(secret, words);
    return static_cast<std::uint32_t>(hash ^ hash >> 32);
}

}  // namespace

std::uint32_t cookie(const NodeSecret& secret, const net::Smd& sent, bool timed) {
    return hash_of(secret, hashed_part(sent, timed));
}

std::uint32_t Cookies::of(const NodeSecret& secret, const net::Smd& sent, bool timed) {
    const std::array<std::uint64_t, 5> words = hashed_part(sent, timed);
    const std::uint64_t place =
        (words[0] * 0x9e3779b97f4a7c15ull) ^ (words[2] * 0xc2b2ae3d27d4eb4full);
    Entry& entry = entries_[(place >> 40) % entries_.size()];
    std::uint64_t other = (entry.secret[0] ^ secret[0]) | (entry.secret[1] ^ secret[1]);
    for (std::size_t i = 0; i < words.size(); ++i) other |= entry.hashed[i] ^ words[i];
    if (other == 0 && entry.used) [[likely]]
        return entry.cookie;
    entry = {words, secret, hash_of(secret, words), true};
    return entry.cookie;
}

}  // namespace weir::chain
