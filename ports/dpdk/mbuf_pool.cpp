#include "ports/dpdk/mbuf_pool.hpp"

#include <rte_config.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "base/limits.hpp"
#include "ports/dpdk/mbuf_packet.hpp"

namespace weir::ports {
namespace {

constexpr std::uint16_t private_bytes = net::packet_bytes + front_bytes;
constexpr std::uint16_t data_room = RTE_PKTMBUF_HEADROOM + limits::max_frame_bytes + 64;
static_assert(private_bytes % RTE_MBUF_PRIV_ALIGN == 0);

constexpr unsigned cache_packets = 128;

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

std::uint32_t MbufPool::allocate(std::uint32_t, net::Packet** out, std::uint32_t count) {
    std::uint32_t made = 0;
    while (made < count) {
        rte_mbuf* m = rte_pktmbuf_alloc(pool_);
        if (!m) break;
        describe(*m);
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

}  // namespace weir::ports
