#include "ports/memory/memory_device.hpp"

namespace weir::ports {

using dataplane::DeviceState;
using dataplane::PortDrop;

bool MemoryDevice::inject(std::span<const std::uint8_t> frame, std::uint16_t flags,
                          std::uint16_t segment_bytes) {
    if (!link_.load(std::memory_order_relaxed)) return false;
    const std::lock_guard lock(mutex_);
    if (incoming_.size() == queue_limit) return false;
    incoming_.push_back({Frame(frame.begin(), frame.end()), flags, segment_bytes});
    waiting_.store(incoming_.size(), std::memory_order_release);
    return true;
}

std::optional<MemoryDevice::Frame> MemoryDevice::collect() {
    const std::lock_guard lock(mutex_);
    if (outgoing_.empty()) return std::nullopt;
    Frame frame = std::move(outgoing_.front());
    outgoing_.pop_front();
    return frame;
}

std::uint32_t MemoryDevice::receive(std::uint32_t worker, net::Packet** out, std::uint32_t max) {
    if (waiting_.load(std::memory_order_acquire) == 0) return 0;
    const std::lock_guard lock(mutex_);
    std::uint32_t got = 0;
    while (got < max && !incoming_.empty()) {
        const Incoming& frame = incoming_.front();
        net::Packet* p = pool_.make(worker, frame.bytes.data(), frame.bytes.size());
        if (!p) {
            tallies_.drop(frame.bytes.size() > mtu_ + 22 ? PortDrop::too_long
                                                         : PortDrop::no_buffer);
        } else if (!(frame.flags & net::packet_super_frame) && !dataplane::fits_mtu(*p, mtu_)) {
            tallies_.drop(PortDrop::too_long);
            pool_.release(worker, &p, 1);
        } else {
            p->flags = frame.flags;
            p->segment_bytes = frame.segment_bytes;
            tallies_.rx_packets.add();
            tallies_.rx_bytes.add(p->length);
            out[got++] = p;
        }
        incoming_.pop_front();
    }
    waiting_.store(incoming_.size(), std::memory_order_release);
    return got;
}

std::uint32_t MemoryDevice::transmit(std::uint32_t worker, net::Packet** packets,
                                     std::uint32_t count) {
    const std::lock_guard lock(mutex_);
    std::uint32_t taken = 0;
    for (; taken < count && outgoing_.size() < queue_limit; ++taken) {
        net::Packet& p = *packets[taken];
        if (!link_.load(std::memory_order_relaxed)) {
            tallies_.drop(PortDrop::link_down);
        } else if (p.flags & net::packet_super_frame) {
            tallies_.drop(PortDrop::super_frame);
        } else if (!dataplane::fits_mtu(p, mtu_)) {
            tallies_.drop(PortDrop::too_long);
        } else {
            outgoing_.emplace_back(p.data, p.data + p.length);
            tallies_.tx_packets.add();
            tallies_.tx_bytes.add(p.length);
        }
    }
    pool_.release(worker, packets, taken);
    return taken;
}

DeviceState MemoryDevice::state() {
    if (gone_.load(std::memory_order_relaxed)) return DeviceState::gone;
    return link_.load(std::memory_order_relaxed) ? DeviceState::up : DeviceState::link_down;
}

}  // namespace weir::ports
