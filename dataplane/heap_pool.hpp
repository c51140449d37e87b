#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/limits.hpp"
#include "dataplane/device.hpp"

namespace weir::dataplane {

// Packets on the heap: for tests, scenarios and shells without DPDK. Workers keep a few for
// themselves and go to the common list, under its lock, a handful at a time.
class HeapPool final : public PacketPool {
public:
    explicit HeapPool(std::size_t packets, std::size_t data_bytes = limits::max_frame_bytes);
    ~HeapPool() override;

    std::uint32_t allocate(std::uint32_t worker, net::Packet** out, std::uint32_t count) override;
    void release(std::uint32_t worker, net::Packet** packets, std::uint32_t count) override;
    std::size_t capacity() const override { return capacity_; }
    std::size_t in_use() const override;

private:
    static constexpr std::size_t cache_size = 64;
    struct alignas(64) Cache {
        std::array<net::Packet*, cache_size> packets;
        std::atomic<std::uint32_t> count{0};
    };

    void refill(Cache& cache);
    void spill(Cache& cache);

    const std::size_t capacity_;
    const std::size_t data_bytes_;
    const std::size_t slot_bytes_;
    std::uint8_t* memory_ = nullptr;
    mutable std::mutex mutex_;
    std::vector<net::Packet*> free_;
    std::array<Cache, limits::max_workers> caches_;
};

}  // namespace weir::dataplane
