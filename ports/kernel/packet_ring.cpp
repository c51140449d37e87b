#include "ports/kernel/packet_ring.hpp"

#include <sys/mman.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace weir::ports {
namespace {

constexpr std::size_t block_bytes = 64 * 1024;  // what the kernel asks its memory for at a time
constexpr std::size_t ring_bytes = PacketRing::slots * PacketRing::slot_bytes;

bool share_slots(int file) {
    const int version = TPACKET_V2, queue_long_frames = 1;
    tpacket_req wanted{};
    wanted.tp_block_size = block_bytes;
    wanted.tp_block_nr = ring_bytes / block_bytes;
    wanted.tp_frame_size = PacketRing::slot_bytes;
    wanted.tp_frame_nr = PacketRing::slots;
    const auto set = [&](int option, const auto& value) {
        return setsockopt(file, SOL_PACKET, option, &value, sizeof value) == 0;
    };
    return set(PACKET_VERSION, version) && set(PACKET_COPY_THRESH, queue_long_frames) &&
           set(PACKET_RX_RING, wanted);
}

}  // namespace

Result<PacketRing> PacketRing::of_socket(int file, const std::string& owner) {
    if (share_slots(file)) {
        void* memory = mmap(nullptr, ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (memory != MAP_FAILED) return PacketRing(static_cast<std::uint8_t*>(memory));
    }
    return Error{Errc::io,
                 owner,
                 {},
                 std::string("no memory to share with the kernel: ") + std::strerror(errno)};
}

PacketRing::PacketRing(PacketRing&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)), at_(other.at_) {}

PacketRing::~PacketRing() {
    if (memory_) munmap(memory_, ring_bytes);
}

void PacketRing::read(const tpacket2_hdr& header, std::uint32_t status, View& view) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&header) + header.tp_mac;
    view.bytes = {bytes, header.tp_snaplen};
    view.queued = status & TP_STATUS_COPY;
    view.losing = status & TP_STATUS_LOSING;
    KernelFrame& frame = view.frame;
    std::memcpy(&frame.todo, bytes - sizeof frame.todo, sizeof frame.todo);
    frame.length = header.tp_len;
    frame.has_tag = status & TP_STATUS_VLAN_VALID;
    frame.tag = header.tp_vlan_tci;
    frame.tag_type = status & TP_STATUS_VLAN_TPID_VALID ? header.tp_vlan_tpid : 0x8100;
}

}  // namespace weir::ports
