#pragma once
#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "dataplane/device.hpp"

namespace weir::ports {

// A device without hardware: frames are put in and taken out by the other side of the same process.
// inject(), collect() and the setters may be called from any thread.
class MemoryDevice final : public dataplane::Device {
public:
    static constexpr std::size_t queue_limit = 4096;  // frames per direction
    using Frame = std::vector<std::uint8_t>;

    MemoryDevice(dataplane::PacketPool& pool, std::uint32_t mtu) : pool_(pool), mtu_(mtu) {}

    // The far end sends a frame; false when the link is down or the queue is full.
    // `flags` as in net/packet.hpp, `segment_bytes` for super-frames.
    bool inject(std::span<const std::uint8_t> frame, std::uint16_t flags = 0,
                std::uint16_t segment_bytes = 0);
    // The oldest frame that was sent to the far end.
    std::optional<Frame> collect();

    void set_link(bool up) { link_.store(up, std::memory_order_relaxed); }
    void remove() { gone_.store(true, std::memory_order_relaxed); }

    std::uint32_t receive(std::uint32_t worker, net::Packet** out, std::uint32_t max) override;
    std::uint32_t transmit(std::uint32_t worker, net::Packet** packets,
                           std::uint32_t count) override;
    dataplane::DeviceState state() override;
    std::uint32_t mtu() const override { return mtu_; }
    std::string_view kind() const override { return "memory"; }
    dataplane::PortStats stats() const override { return tallies_.read(); }

private:
    struct Incoming {
        Frame bytes;
        std::uint16_t flags = 0;
        std::uint16_t segment_bytes = 0;
    };

    dataplane::PacketPool& pool_;
    const std::uint32_t mtu_;
    dataplane::PortTallies tallies_;
    std::atomic<bool> link_{true};
    std::atomic<bool> gone_{false};
    std::atomic<std::size_t> waiting_{0};  // frames in incoming_, read without the lock
    std::mutex mutex_;
    std::deque<Incoming> incoming_;
    std::deque<Frame> outgoing_;
};

}  // namespace weir::ports
