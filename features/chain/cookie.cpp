#include "features/chain/cookie.hpp"

#include "net/bytes.hpp"
#include "net/hash.hpp"
#include "net/smd_codec.hpp"

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

std::uint32_t cookie(const NodeSecret& secret, const net::Smd& sent, bool timed) {
    net::Smd fixed = sent;
    fixed.flow_tag = timed ? 1 : 0;
    fixed.oam = fixed.live_query = fixed.live_ack = false;
    fixed.reserved = 0;
    std::array<std::uint8_t, net::smd_bytes> bytes;
    net::encode(fixed, bytes);
    const std::uint64_t hash = net::siphash24(secret, bytes);
    return static_cast<std::uint32_t>(hash ^ hash >> 32);
}

}  // namespace weir::chain
