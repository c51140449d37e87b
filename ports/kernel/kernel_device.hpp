#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "dataplane/device.hpp"
#include "ports/kernel/alarm.hpp"
#include "ports/kernel/intake.hpp"
#include "ports/kernel/link.hpp"

namespace weir::ports {

// What TAPs and packet sockets have in common: a file that gives and takes frames behind a
// virtio_net_hdr. Offloads of the other end may stay as they are.
class KernelDevice : public dataplane::Device {
public:
    ~KernelDevice() override;

    std::uint32_t receive(std::uint32_t worker, net::Packet** out, std::uint32_t max) final;
    std::uint32_t transmit(std::uint32_t worker, net::Packet** packets, std::uint32_t count) final;
    dataplane::DeviceState state() final;
    std::uint32_t mtu() const final { return spec_.mtu; }
    std::string_view kind() const final { return spec_.kind; }
    dataplane::PortStats stats() const final { return tallies_.read(); }
    int readable_file() const final { return alarm_.file(); }

protected:
    static constexpr std::uint32_t batch = 32;  // frames per call of the kernel
    static constexpr std::size_t spill_bytes = Intake::largest_frame;

    // Where the kernel puts one frame: first into the packet, the rest of a long one into `spill`.
    struct Slot {
        net::Packet* packet = nullptr;
        std::uint8_t* spill = nullptr;
        KernelFrame frame;
    };

    KernelDevice(dataplane::DeviceSpec spec, dataplane::PacketPool& pool, KernelLink link, int file,
                 Alarm alarm);

    // Fills slots that have a packet, from the front; how many. Never waits. Asked even if none has
    // one: then it does what else there is to do.
    virtual std::uint32_t fetch(std::array<Slot, batch>& slots) = 0;
    // Sends up to `batch` frames, oldest first. How many the kernel took; less than `count` means
    // that errno says why the next one was not taken.
    virtual std::uint32_t put(net::Packet* const* packets, std::uint32_t count) = 0;

    // What the control thread is to do each time it asks how the link is.
    virtual void look_after() {}

    // Frames for which the kernel had no room.
    void lost(std::uint64_t frames) { tallies_.drop(dataplane::PortDrop::no_buffer, frames); }

    const dataplane::DeviceSpec spec_;
    const int file_;

private:
    void look(std::uint32_t worker);
    void stock_up(std::uint32_t worker);
    bool sendable(const net::Packet& p);
    std::uint32_t send(net::Packet* const* packets, std::uint32_t count);

    dataplane::PacketPool& pool_;
    dataplane::PortTallies tallies_;
    KernelLink link_;
    Alarm alarm_;
    Intake intake_;
    std::array<Slot, batch> slots_;
    std::unique_ptr<std::uint8_t[]> spills_;  // touched by long frames only
    std::uint32_t last_worker_ = 0;
    std::atomic<bool> link_up_{true};
};

}  // namespace weir::ports
