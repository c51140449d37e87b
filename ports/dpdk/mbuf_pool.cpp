#include "ports/dpdk/mbuf_pool.hpp"

#include <rte_config.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <cstring>

#include "base/limits.hpp"

namespace weir::ports {
namespace {

// Drivers start a frame RTE_PKTMBUF_HEADROOM behind the mbuf's buffer. The rest of our headroom
// lies in front of that buffer, behind the descriptor, where drivers do not look.
constexpr std::uint16_t front_bytes = limits::packet_headroom_bytes - RTE_PKTMBUF_HEADROOM;
constexpr std::uint16_t private_bytes = net::packet_bytes + front_bytes;
constexpr std::uint16_t data_room = RTE_PKTMBUF_HEADROOM + limits::max_frame_bytes + 64;
static_assert(RTE_PKTMBUF_HEADROOM <= limits::packet_headroom_bytes);
static_assert(private_bytes % RTE_MBUF_PRIV_ALIGN == 0);
static_assert(sizeof(rte_mbuf) % alignof(net::Packet) == 0);

constexpr unsigned cache_packets = 128;

void describe(net::Packet& p, rte_mbuf& m) {
    dataplane::describe_packet(p, rte_pktmbuf_mtod(&m, std::uint8_t*), m.data_len,
                               rte_pktmbuf_headroom(&m) + front_bytes, rte_pktmbuf_tailroom(&m),
                               &m);
}

}  // namespace

Result<std::unique_ptr<MbufPool>> MbufPool::create(const std::string& name, std::uint32_t packets) {
    rte_mempool* pool = rte_pktmbuf_pool_create(name.c_str(), packets, cache_packets, private_bytes,
                                                data_room, SOCKET_ID_ANY);
    if (!pool)
        return Error{Errc::io, "packet pool", "packets",
                     std::to_string(packets) + " packets need more memory than DPDK was given: " +
                         rte_strerror(rte_errno)};
    return std::unique_ptr<MbufPool>(new MbufPool(pool));
}

MbufPool::~MbufPool() {
    rte_mempool_free(pool_);
}

std::size_t MbufPool::capacity() const {
    return pool_->size;
}
std::size_t MbufPool::in_use() const {
    return rte_mempool_in_use_count(pool_);
}

rte_mbuf* MbufPool::mbuf_of(net::Packet& p) {
    return reinterpret_cast<rte_mbuf*>(&p) - 1;
}
net::Packet& MbufPool::packet_of(rte_mbuf& m) {
    return *static_cast<net::Packet*>(rte_mbuf_to_priv(&m));
}

std::uint32_t MbufPool::allocate(std::uint32_t, net::Packet** out, std::uint32_t count) {
    std::uint32_t made = 0;
    while (made < count) {
        rte_mbuf* m = rte_pktmbuf_alloc(pool_);
        if (!m) break;
        describe(packet_of(*m), *m);
        out[made++] = &packet_of(*m);
    }
    return made;
}

void MbufPool::release(std::uint32_t, net::Packet** packets, std::uint32_t count) {
    rte_mbuf* burst[limits::max_burst];
    while (count > 0) {
        const std::uint32_t n = count < limits::max_burst ? count : limits::max_burst;
        for (std::uint32_t i = 0; i < n; ++i) burst[i] = mbuf_of(*packets[i]);
        rte_pktmbuf_free_bulk(burst, n);
        packets += n;
        count -= n;
    }
}

rte_mbuf* MbufPool::to_device(net::Packet& p) {
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

net::Packet* MbufPool::from_device(rte_mbuf* m) {
    if (m->nb_segs > 1 && rte_pktmbuf_linearize(m) != 0) return nullptr;
    net::Packet& p = packet_of(*m);
    describe(p, *m);
    return &p;
}

}  // namespace weir::ports
