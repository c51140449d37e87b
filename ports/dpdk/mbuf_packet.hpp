#pragma once
#include <rte_config.h>
#include <rte_mbuf.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/limits.hpp"
#include "dataplane/device.hpp"

// A packet and its mbuf, each from the other: what every packet pays on its way in and out.
namespace weir::ports {

// Drivers start a frame RTE_PKTMBUF_HEADROOM behind the mbuf's buffer. The rest of our headroom
// lies in front of that buffer, behind the descriptor, where drivers do not look.
inline constexpr std::uint16_t front_bytes = limits::packet_headroom_bytes - RTE_PKTMBUF_HEADROOM;
static_assert(RTE_PKTMBUF_HEADROOM <= limits::packet_headroom_bytes);
static_assert(sizeof(rte_mbuf) % alignof(net::Packet) == 0);

inline rte_mbuf* mbuf_of(net::Packet& p) {
    return reinterpret_cast<rte_mbuf*>(&p) - 1;
}
inline net::Packet& packet_of(rte_mbuf& m) {
    return *reinterpret_cast<net::Packet*>(&m + 1);
}

// The descriptor's part that a fresh packet does not inherit, field by field: a constant copied in
// whole would be written twice where it differs.
inline void describe(rte_mbuf& m) {
    net::Packet& p = packet_of(m);
    p.data = rte_pktmbuf_mtod(&m, std::uint8_t*);
    p.length = m.data_len;
    p.headroom = std::uint32_t{m.data_off} + front_bytes;
    p.tailroom = std::uint32_t{m.buf_len} - m.data_off - m.data_len;
    p.flags = p.segment_bytes = 0;
    p.egress_port = net::no_port;
    p.egress_queue = 0;
    p.owner = &m;
    p.hand = {};
}

// Writes what the packet says about its bytes back to its mbuf, before a device takes it. Null
// when more headroom was used than there is tailroom left to make up for it.
inline rte_mbuf* to_device(net::Packet& p) {
    rte_mbuf* m = mbuf_of(p);
    auto* buffer = static_cast<std::uint8_t*>(m->buf_addr);
    if (p.data < buffer) [[unlikely]] {  // headers reach into the front: move the frame up
        const auto shift = static_cast<std::uint32_t>(buffer - p.data);
        if (p.tailroom < shift) return nullptr;
        std::memmove(buffer, p.data, p.length);
        p.data = buffer;
        p.headroom += shift;
        p.tailroom -= shift;
    }
    m->data_off = static_cast<std::uint16_t>(p.data - buffer);
    m->data_len = static_cast<std::uint16_t>(p.length);
    m->pkt_len = p.length;
    m->ol_flags = 0;
    return m;
}

// The packet of an mbuf that a device delivered; null when it cannot be made one piece.
inline net::Packet* from_device(rte_mbuf& m) {
    if (m.nb_segs > 1) [[unlikely]]
        if (rte_pktmbuf_linearize(&m) != 0) return nullptr;
    describe(m);
    return &packet_of(m);
}

}  // namespace weir::ports
