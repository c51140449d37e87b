#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "dataplane/device.hpp"

struct rte_mempool;
struct rte_mbuf;

namespace weir::ports {

// Packets in DPDK's memory: net::Packet lives in the private area of its mbuf, so one is found from
// the other by adding a constant. start_eal() first.
class MbufPool final : public dataplane::PacketPool {
public:
    static Result<std::unique_ptr<MbufPool>> create(const std::string& name, std::uint32_t packets);
    ~MbufPool() override;

    std::uint32_t allocate(std::uint32_t worker, net::Packet** out, std::uint32_t count) override;
    void release(std::uint32_t worker, net::Packet** packets, std::uint32_t count) override;
    std::size_t capacity() const override;
    std::size_t in_use() const override;

    rte_mempool* handle() const { return pool_; }

    static rte_mbuf* mbuf_of(net::Packet& p);
    static net::Packet& packet_of(rte_mbuf& m);
    // Writes what the packet says about its bytes back to its mbuf, before a device takes it. Null
    // when more headroom was used than there is tailroom left to make up for it.
    static rte_mbuf* to_device(net::Packet& p);
    // The packet of an mbuf that a device delivered; null when it cannot be made one piece.
    static net::Packet* from_device(rte_mbuf* m);

private:
    explicit MbufPool(rte_mempool* pool) : pool_(pool) {}
    rte_mempool* pool_;
};

}  // namespace weir::ports
