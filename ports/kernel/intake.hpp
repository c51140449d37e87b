#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "dataplane/device.hpp"

namespace weir::ports {

// What the sender of a frame left for others to do: struct virtio_net_hdr of the virtio
// specification (§5.1.6), whose header is no C++. Byte order of the machine.
struct Todo {
    static constexpr std::uint8_t needs_checksum = 1;                       // flags
    static constexpr std::uint8_t no_gso = 0, tcp4 = 1, tcp6 = 4, udp = 5;  // gso_type
    static constexpr std::uint8_t ecn = 0x80;                               // with a TCP gso_type

    std::uint8_t flags = 0;
    std::uint8_t gso_type = no_gso;
    std::uint16_t header_length = 0;
    std::uint16_t segment_bytes = 0;
    std::uint16_t checksum_start = 0;
    std::uint16_t checksum_offset = 0;
};
static_assert(sizeof(Todo) == 10);

// A frame as the kernel gives it: with what is left to do and the VLAN tag it took
// out of the frame.
struct KernelFrame {
    Todo todo;
    std::uint32_t length = 0;
    bool has_tag = false;
    std::uint16_t tag_type = 0x8100;
    std::uint16_t tag = 0;  // TCI
};

// Makes complete packets of what the kernel's offloads left half done: puts VLAN tags back,
// computes checksums, cuts super-frames into segments. What comes out needs nobody's further
// attention.
class Intake {
public:
    Intake(dataplane::PacketPool& pool, dataplane::PortTallies& tallies, std::uint32_t mtu)
        : pool_(pool), tallies_(tallies), mtu_(mtu) {}

    // Takes over `p`, whose data starts with the frame's first p.tailroom bytes at most; `rest` is
    // where the others are.
    void accept(std::uint32_t worker, net::Packet& p, const KernelFrame& frame,
                std::span<const std::uint8_t> rest);

    // Packets that are complete, oldest first.
    std::uint32_t take(net::Packet** out, std::uint32_t max);
    bool empty() const { return at_ == count_; }
    void discard(std::uint32_t worker);

    static constexpr std::size_t largest_frame = 65536 + 64;
    // Packets that wait to be taken: 32 super-frames of 64 KB, cut at 1448 bytes, are 1472.
    static constexpr std::size_t most_ready = 2048;

private:
    void accept_plain(std::uint32_t worker, net::Packet& p, const KernelFrame& frame);
    void accept_super(std::uint32_t worker, const net::Packet& head, const KernelFrame& frame,
                      std::span<const std::uint8_t> rest);
    void refuse(std::uint32_t worker, net::Packet& p, dataplane::PortDrop why);
    void keep(std::uint32_t worker, net::Packet& p);

    dataplane::PacketPool& pool_;
    dataplane::PortTallies& tallies_;
    const std::uint32_t mtu_;
    std::array<net::Packet*, most_ready> ready_{};
    std::size_t at_ = 0, count_ = 0;
    // Of a super-frame, in one piece; touched only when there is one.
    std::unique_ptr<std::uint8_t[]> whole_ =
        std::make_unique_for_overwrite<std::uint8_t[]>(largest_frame);
};

}  // namespace weir::ports
