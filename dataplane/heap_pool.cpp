#include "dataplane/heap_pool.hpp"

#include <algorithm>
#include <new>

#include "base/check.hpp"

namespace weir::dataplane {
namespace {

constexpr std::align_val_t line{64};

constexpr std::size_t to_lines(std::size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

}  // namespace

HeapPool::HeapPool(std::size_t packets, std::size_t data_bytes)
    : capacity_(packets),
      data_bytes_(data_bytes),
      slot_bytes_(net::packet_bytes + to_lines(limits::packet_headroom_bytes + data_bytes)) {
    memory_ = static_cast<std::uint8_t*>(::operator new(capacity_* slot_bytes_, line));
    free_.reserve(capacity_);
    for (std::size_t i = capacity_; i-- > 0;)
        free_.push_back(new (memory_ + i * slot_bytes_) net::Packet);
}

HeapPool::~HeapPool() {
    ::operator delete(memory_, line);
}

void HeapPool::refill(Cache& cache) {
    const std::lock_guard lock(mutex_);
    const auto take = static_cast<std::uint32_t>(std::min(free_.size(), cache_size / 2));
    for (std::uint32_t i = 0; i < take; ++i) {
        cache.packets[i] = free_.back();
        free_.pop_back();
    }
    cache.count.store(take, std::memory_order_relaxed);
}

void HeapPool::spill(Cache& cache) {
    const std::lock_guard lock(mutex_);
    std::uint32_t count = cache.count.load(std::memory_order_relaxed);
    while (count > cache_size / 2) free_.push_back(cache.packets[--count]);
    cache.count.store(count, std::memory_order_relaxed);
}

std::uint32_t HeapPool::allocate(std::uint32_t worker, net::Packet** out, std::uint32_t count) {
    Cache& cache = caches_[worker];
    for (std::uint32_t i = 0; i < count; ++i) {
        if (cache.count.load(std::memory_order_relaxed) == 0) refill(cache);
        const std::uint32_t have = cache.count.load(std::memory_order_relaxed);
        if (have == 0) return i;
        net::Packet* p = cache.packets[have - 1];
        cache.count.store(have - 1, std::memory_order_relaxed);
        std::uint8_t* data =
            reinterpret_cast<std::uint8_t*>(p) + net::packet_bytes + limits::packet_headroom_bytes;
        describe_packet(*p, data, 0, limits::packet_headroom_bytes,
                        static_cast<std::uint32_t>(data_bytes_), this);
        out[i] = p;
    }
    return count;
}

void HeapPool::release(std::uint32_t worker, net::Packet** packets, std::uint32_t count) {
    Cache& cache = caches_[worker];
    for (std::uint32_t i = 0; i < count; ++i) {
        WEIR_CHECK(packets[i]->owner == this, "a packet goes back to the pool it came from");
        if (cache.count.load(std::memory_order_relaxed) == cache_size) spill(cache);
        const std::uint32_t have = cache.count.load(std::memory_order_relaxed);
        cache.packets[have] = packets[i];
        cache.count.store(have + 1, std::memory_order_relaxed);
    }
}

std::size_t HeapPool::in_use() const {
    const std::lock_guard lock(mutex_);
    std::size_t idle = free_.size();
    for (const Cache& cache : caches_) idle += cache.count.load(std::memory_order_relaxed);
    return capacity_ > idle ? capacity_ - idle : 0;
}

}  // namespace weir::dataplane
