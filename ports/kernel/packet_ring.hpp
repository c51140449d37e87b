#pragma once
#include <linux/if_packet.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.hpp"
#include "ports/kernel/intake.hpp"

namespace weir::ports {

// The slots that a packet socket shares with the kernel: frames are found here without asking it.
// Slots have one size. A frame that is longer stands in its slot up to where that ends, and as a
// whole in the socket's queue, in the same order.
class PacketRing {
public:
    // The socket is not bound yet, so that no frame is in its queue alone.
    static Result<PacketRing> of_socket(int file, const std::string& owner);
    PacketRing(PacketRing&& other) noexcept;
    PacketRing& operator=(PacketRing&&) = delete;
    ~PacketRing();

    // A frame in its slot.
    struct View {
        KernelFrame frame;
        std::span<const std::uint8_t> bytes;  // less than frame.length: cut
        bool queued = false;                  // all of it is the next one in the socket's queue
        bool losing = false;                  // the kernel lost frames since it was asked last
    };
    // The oldest frame; false: there is none.
    bool look(View& view) const {
        const auto* header = reinterpret_cast<const tpacket2_hdr*>(slot());
        const std::uint32_t status = __atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE);
        if (!(status & TP_STATUS_USER)) return false;
        read(*header, status, view);
        return true;
    }
    // Done with the oldest frame: its slot is the kernel's again.
    void pass() {
        auto* header = reinterpret_cast<tpacket2_hdr*>(slot());
        __atomic_store_n(&header->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        at_ = (at_ + 1) % slots;
    }

    static constexpr std::size_t slot_bytes = 2048;  // with what the kernel says of the frame
    static constexpr std::size_t slots = 1024;

private:
    explicit PacketRing(std::uint8_t* memory) : memory_(memory) {}
    std::uint8_t* slot() const { return memory_ + at_ * slot_bytes; }
    static void read(const tpacket2_hdr& header, std::uint32_t status, View& view);

    std::uint8_t* memory_;
    std::size_t at_ = 0;
};

}  // namespace weir::ports
