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

// All of it in 39 bytes.
std::uint32_t cookie(const NodeSecret& secret, const net::Smd& sent, bool timed) {
    std::array<std::uint8_t, 16> macs{};
    sent.original_dst.store(macs.data());
    sent.original_src.store(macs.data() + 6);
    std::array<std::uint64_t, 2> mac_words;
    std::memcpy(mac_words.data(), macs.data(), sizeof mac_words);
    const std::uint64_t flags = (sent.reverse ? 1u : 0u) | (sent.at_ingress ? 2u : 0u) |
                                (sent.returning ? 4u : 0u) | (sent.copy ? 8u : 0u) |
                                (sent.trace ? 16u : 0u) | (sent.moved ? 32u : 0u) |
                                (timed ? 64u : 0u);
    const std::uint64_t path = std::uint64_t{sent.spi & 0xffffff} | std::uint64_t{sent.si} << 24 |
                               std::uint64_t{sent.sci & 0xffffff} << 32 |
                               std::uint64_t{sent.path_epoch} << 56;
    const std::uint64_t hash = net::siphash24_of_39(
        secret,
        {path,
         std::uint64_t{sent.tenant_vni & 0xffffff} | std::uint64_t{sent.skip_mask} << 24 |
             std::uint64_t{sent.anchor_host} << 32,
         std::uint64_t{sent.anchor_port} | std::uint64_t{sent.flow_handle} << 32, mac_words[0],
         mac_words[1] | flags << 32 | std::uint64_t{sent.ttl & 0x3fu} << 39 |
             std::uint64_t{sent.initial_si} << 45 | std::uint64_t{sent.version & 3u} << 53});
    return static_cast<std::uint32_t>(hash ^ hash >> 32);
}

}  // namespace weir::chain
