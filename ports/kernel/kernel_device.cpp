#include "ports/kernel/kernel_device.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace weir::ports {

using dataplane::DeviceState;
using dataplane::PortDrop;
using net::Packet;

namespace {

PortDrop refusal(int error) {
    switch (error) {
        case ENETDOWN:
        case ENXIO:
        case ENODEV:
        case EIO:
        case EBADFD:
            return PortDrop::link_down;
        case EMSGSIZE:
            return PortDrop::too_long;
        default:
            return PortDrop::tx_error;
    }
}

}  // namespace

KernelDevice::KernelDevice(dataplane::DeviceSpec spec, dataplane::PacketPool& pool, KernelLink link,
                           int file, Alarm alarm)
    : spec_(std::move(spec)),
      file_(file),
      pool_(pool),
      link_(std::move(link)),
      alarm_(std::move(alarm)),
      intake_(pool, tallies_, spec_.mtu),
      spills_(std::make_unique_for_overwrite<std::uint8_t[]>(batch * spill_bytes)) {
    for (std::uint32_t i = 0; i < batch; ++i) slots_[i].spill = spills_.get() + i * spill_bytes;
}

KernelDevice::~KernelDevice() {
    intake_.discard(last_worker_);
    for (Slot& slot : slots_)
        if (slot.packet) pool_.release(last_worker_, &slot.packet, 1);
    close(file_);
}

// Every slot gets a packet. Where the pool is too dry for that, those that have one come first.
void KernelDevice::stock_up(std::uint32_t worker) {
    for (Slot& slot : slots_) {
        if (slot.packet || pool_.allocate(worker, &slot.packet, 1) == 1) continue;
        slot.packet = nullptr;
        std::partition(slots_.begin(), slots_.end(), [](const Slot& s) { return s.packet; });
        return;
    }
}

// Frames for which there is no packet wait in the kernel and are not lost yet. As long as one does,
// the file stays readable: nobody sleeps on it until the pool has packets again.
void KernelDevice::look(std::uint32_t worker) {
    stock_up(worker);
    const std::uint32_t got = fetch(slots_);
    for (std::uint32_t i = 0; i < got; ++i) {
        Packet& p = *std::exchange(slots_[i].packet, nullptr);
        intake_.accept(worker, p, slots_[i].frame, {slots_[i].spill, spill_bytes});
    }
}

std::uint32_t KernelDevice::receive(std::uint32_t worker, Packet** out, std::uint32_t max) {
    last_worker_ = worker;
    if (intake_.empty()) look(worker);
    const std::uint32_t n = intake_.take(out, max);
    alarm_.found(file_, n);
    return n;
}

bool KernelDevice::sendable(const Packet& p) {
    if (!link_up_.load(std::memory_order_relaxed)) {
        tallies_.drop(PortDrop::link_down);
    } else if (p.flags & net::packet_super_frame) {
        tallies_.drop(PortDrop::super_frame);
    } else if (p.flags & net::packet_partial_checksum) {
        tallies_.drop(PortDrop::tx_error);
    } else if (!dataplane::fits_mtu(p, spec_.mtu)) {
        tallies_.drop(PortDrop::too_long);
    } else {
        return true;
    }
    return false;
}

// Sends as many as the kernel takes; drops and counts what it refuses. How many are dealt with.
std::uint32_t KernelDevice::send(Packet* const* packets, std::uint32_t count) {
    std::uint32_t at = 0;
    while (at < count) {
        const std::uint32_t wanted = std::min(batch, count - at);
        const std::uint32_t sent = put(packets + at, wanted);
        std::uint64_t bytes = 0;
        for (std::uint32_t i = at; i < at + sent; ++i) bytes += packets[i]->length;
        tallies_.tx_packets.add(sent);
        tallies_.tx_bytes.add(bytes);
        at += sent;
        if (sent == wanted) continue;
        if (errno == EAGAIN) break;
        tallies_.drop(refusal(errno));  // ENOBUFS too: the kernel took this one and dropped it
        ++at;
    }
    return at;
}

std::uint32_t KernelDevice::transmit(std::uint32_t worker, Packet** packets, std::uint32_t count) {
    std::uint32_t good = 0;  // these come first and keep their order
    for (std::uint32_t i = 0; i < count; ++i)
        if (sendable(*packets[i])) std::swap(packets[good++], packets[i]);
    pool_.release(worker, packets + good, count - good);
    const std::uint32_t done = send(packets, good);
    pool_.release(worker, packets, done);
    std::copy_backward(packets + done, packets + good, packets + count);
    return count - (good - done);
}

DeviceState KernelDevice::state() {
    const DeviceState state = link_.state();
    link_up_.store(state == DeviceState::up, std::memory_order_relaxed);
    look_after();
    return state;
}

}  // namespace weir::ports
