#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "dataplane/device.hpp"

struct rte_mempool;

namespace weir::ports {

// Packets in DPDK's memory: net::Packet lives in the private area of its mbuf, so one is found from
// the other by adding a constant (mbuf_packet.hpp). start_eal() first.
class MbufPool final : public dataplane::PacketPool {
public:
    static Result<std::unique_ptr<MbufPool>> create(const std::string& name, std::uint32_t packets);
    ~MbufPool() override;

    std::uint32_t allocate(std::uint32_t worker, net::Packet** out, std::uint32_t count) override;
    void release(std::uint32_t worker, net::Packet** packets, std::uint32_t count) override;
    std::size_t capacity() const override;
    std::size_t in_use() const override;

    rte_mempool* handle() const { return pool_; }

private:
    explicit MbufPool(rte_mempool* pool) : pool_(pool) {}
    rte_mempool* pool_;
};

}  // namespace weir::ports
