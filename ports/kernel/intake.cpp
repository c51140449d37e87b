#include "ports/kernel/intake.hpp"

#include <algorithm>
#include <cstring>

#include "net/checksum.hpp"
#include "net/fragment.hpp"
#include "net/hash.hpp"
#include "net/parse.hpp"
#include "net/wire.hpp"

namespace weir::ports {
namespace {

using dataplane::PortDrop;
using net::Packet;

// The checksum field of a partial checksum holds the sum of the pseudo header: adding everything
// from `csum_start` on, the field included, gives the checksum.
bool complete_checksum(std::uint8_t* data, std::uint32_t length, const Todo& todo) {
    const std::uint32_t start = todo.checksum_start;
    const std::uint32_t field = start + todo.checksum_offset;
    if (start >= length || field + 2 > length) return false;
    std::uint16_t sum = net::internet_checksum({data + start, length - start});
    if (sum == 0) sum = 0xffff;  // UDP: 0 means "none"; TCP takes either
    data[field] = static_cast<std::uint8_t>(sum >> 8);
    data[field + 1] = static_cast<std::uint8_t>(sum);
    return true;
}

// SCTP's checksum is a CRC-32C, its least byte first, with the field itself as zeros (RFC 9260
// appendix A). The kernel leaves it to be done like any other and does not say which it is.
bool complete_sctp(Packet& p, const Todo& todo) {
    net::Headers headers;
    net::Tuple tuple;
    if (todo.checksum_offset != 8 ||
        net::parse_inner(p.bytes(), headers, tuple) != net::ParseError::none ||
        headers.proto != net::proto_sctp || headers.l4 != todo.checksum_start)
        return false;
    std::uint8_t* field = p.data + headers.l4 + todo.checksum_offset;
    std::memset(field, 0, 4);
    const std::uint32_t crc = net::crc32c({p.data + headers.l4, p.data + headers.l3_end});
    for (int i = 0; i < 4; ++i) field[i] = static_cast<std::uint8_t>(crc >> 8 * i);
    return true;
}

bool finish_checksum(Packet& p, const Todo& todo) {
    if (!(todo.flags & Todo::needs_checksum)) return true;
    return complete_sctp(p, todo) || complete_checksum(p.data, p.length, todo);
}

bool put_tag_back(Packet& p, const KernelFrame& frame) {
    if (!frame.has_tag) return true;
    if (p.length < 14 || !p.prepend(4)) return false;
    std::memmove(p.data, p.data + 4, 12);
    const std::uint8_t tag[4] = {
        static_cast<std::uint8_t>(frame.tag_type >> 8), static_cast<std::uint8_t>(frame.tag_type),
        static_cast<std::uint8_t>(frame.tag >> 8), static_cast<std::uint8_t>(frame.tag)};
    std::memcpy(p.data + 12, tag, 4);
    return true;
}

bool is_tcp(const Todo& todo) {
    const unsigned type = todo.gso_type & ~unsigned{Todo::ecn};
    return type == Todo::tcp4 || type == Todo::tcp6;
}

}  // namespace

void Intake::accept(std::uint32_t worker, Packet& p, const KernelFrame& frame,
                    std::span<const std::uint8_t> rest) {
    if (frame.length < 14) return refuse(worker, p, PortDrop::rx_error);
    if (is_tcp(frame.todo) || frame.todo.gso_type == Todo::udp) {
        accept_super(worker, p, frame, rest);
        Packet* done = &p;
        pool_.release(worker, &done, 1);
    } else if (frame.todo.gso_type != Todo::no_gso) {
        refuse(worker, p, PortDrop::super_frame);
    } else if (frame.length > p.tailroom) {
        refuse(worker, p, PortDrop::too_long);
    } else {
        accept_plain(worker, p, frame);
    }
}

void Intake::accept_plain(std::uint32_t worker, Packet& p, const KernelFrame& frame) {
    p.append(frame.length);
    if (!finish_checksum(p, frame.todo)) return refuse(worker, p, PortDrop::rx_error);
    if (!put_tag_back(p, frame)) return refuse(worker, p, PortDrop::rx_error);
    if (!dataplane::fits_mtu(p, mtu_)) return refuse(worker, p, PortDrop::too_long);
    keep(worker, p);
}

void Intake::accept_super(std::uint32_t worker, const Packet& head, const KernelFrame& frame,
                          std::span<const std::uint8_t> rest) {
    constexpr std::size_t room_in_front = 64;
    if (frame.length > largest_frame - room_in_front || frame.todo.segment_bytes == 0)
        return tallies_.drop(PortDrop::super_frame);
    std::uint8_t* at = whole_.get() + room_in_front;
    const std::size_t in_head = std::min<std::size_t>(frame.length, head.tailroom);
    std::memcpy(at, head.data, in_head);
    std::memcpy(at + in_head, rest.data(), frame.length - in_head);
    Packet whole;
    dataplane::describe_packet(whole, at, frame.length, room_in_front, 0, nullptr);
    if (!put_tag_back(whole, frame) || net::parse(whole) != net::ParseError::none)
        return tallies_.drop(PortDrop::rx_error);

    const auto allocate = [&](std::uint32_t bytes) -> Packet* {
        Packet* p = nullptr;
        if (count_ == ready_.size() || pool_.allocate(worker, &p, 1) == 0) return nullptr;
        if (p->tailroom >= bytes) return p;
        pool_.release(worker, &p, 1);
        return nullptr;
    };
    const auto emit = [&](Packet& p) {
        if (dataplane::fits_mtu(p, mtu_)) return keep(worker, p);
        refuse(worker, p, PortDrop::too_long);
    };
    const auto cut = is_tcp(frame.todo) ? net::segment_tcp : net::segment_udp;
    const net::SplitError split = cut(whole, frame.todo.segment_bytes, allocate, emit);
    if (split == net::SplitError::no_packets) return tallies_.drop(PortDrop::no_buffer);
    if (split != net::SplitError::none) tallies_.drop(PortDrop::super_frame);
}

void Intake::refuse(std::uint32_t worker, Packet& p, PortDrop why) {
    tallies_.drop(why);
    Packet* gone = &p;
    pool_.release(worker, &gone, 1);
}

void Intake::keep(std::uint32_t worker, Packet& p) {
    if (count_ == ready_.size()) return refuse(worker, p, PortDrop::no_buffer);
    tallies_.rx_packets.add();
    tallies_.rx_bytes.add(p.length);
    ready_[count_++] = &p;
}

std::uint32_t Intake::take(Packet** out, std::uint32_t max) {
    const auto n = static_cast<std::uint32_t>(std::min<std::size_t>(max, count_ - at_));
    std::copy_n(ready_.begin() + static_cast<std::ptrdiff_t>(at_), n, out);
    at_ += n;
    if (at_ == count_) at_ = count_ = 0;
    return n;
}

void Intake::discard(std::uint32_t worker) {
    Packet* p = nullptr;
    while (take(&p, 1) == 1) pool_.release(worker, &p, 1);
}

}  // namespace weir::ports
