#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/program.hpp"
#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/quick.hpp"

// What the parts of Express share. Not for others.
namespace weir::features {

inline constexpr std::uint16_t dhcp_server_port = 67;

// A hand-over is looked at in words. The first one says how the packet came, and from which port.
inline std::uint64_t first_word(const net::Packet& p) {
    return net::detail::load_raw<std::uint64_t>(reinterpret_cast<const std::uint8_t*>(&p.hand));
}
// … of a packet that has just come in by this port.
inline std::uint64_t fresh_word(std::uint32_t port) {
    using net::HandOver;
    static_assert(offsetof(HandOver, version) == 0 && offsetof(HandOver, recirculations) == 3 &&
                  offsetof(HandOver, port) == 4);
    return std::uint64_t{port} << 32 | HandOver{}.version;
}
// Nothing behind the first word says anything. May be false where is_plain() is true.
inline bool is_bare(const net::Packet& p) {
    using net::HandOver;
    static_assert(offsetof(HandOver, serviced_anchor) == 16 && offsetof(HandOver, trace_id) == 28);
    const auto* hand = reinterpret_cast<const std::uint8_t*>(&p.hand);
    return p.flags == 0 && (net::detail::load_raw<std::uint64_t>(hand + 16) |
                            net::detail::load_raw<std::uint64_t>(hand + 24)) == 0;
}

// As a device gave it to us, or its worker handed it over.
inline bool is_plain(const net::Packet& p) {
    const net::HandOver& hand = p.hand;
    static_assert(static_cast<int>(net::Entry::receive) == 0);
    return (first_word(p) == fresh_word(hand.port) && is_bare(p)) ||
           (p.flags | static_cast<std::uint32_t>(hand.entry) | hand.trace_id | hand.recirculations |
            hand.fragment_known | hand.serviced_flags | hand.call_points_done) == 0;
}

inline std::uint64_t word_at(const std::uint8_t* bytes) {
    return net::detail::load_raw<std::uint64_t>(bytes);
}

// A MAC address as one number. `mac`: in a frame, with more than two bytes behind it.
inline constexpr std::uint64_t mac_mask = 0xffff'ffff'ffff;
inline std::uint64_t mac_bits(const std::uint8_t* mac) {
    return word_at(mac) & mac_mask;
}
inline std::uint64_t mac_bits(const net::Mac& mac) {
    std::array<std::uint8_t, 8> room{};
    mac.store(room.data());
    return mac_bits(room.data());
}

inline void lower_ttl(std::uint8_t* frame, const net::QuickFrame& q) {
    std::uint8_t* ip = frame + net::ethernet_bytes;
    if (!q.ip4()) {
        --ip[7];
        return;
    }
    const std::uint16_t before = net::load16(ip + 8);
    --ip[8];
    net::store16(ip + 10,
                 net::update_checksum16(net::load16(ip + 10), before, net::load16(ip + 8)));
}

inline void route(net::Packet& p, const dataplane::ActionProgram& program,
                  const net::QuickFrame& frame) {
    if (!program.routed) return;
    lower_ttl(p.data, frame);
    program.new_dst.store(p.data);
    program.new_src.store(p.data + 6);
}

}  // namespace weir::features
