#include "net/fragment.hpp"

#include <algorithm>
#include <array>

#include "base/check.hpp"
#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/ethernet.hpp"
#include "net/parse.hpp"
#include "net/wire.hpp"

namespace weir::net {
namespace {

constexpr std::uint8_t tcp_cwr = 0x80;
constexpr std::uint16_t flag_df = 0x4000, flag_mf = 0x2000, kept_flags = 0xc000;
constexpr std::uint8_t option_end = 0, option_nop = 1, option_copied = 0x80;
constexpr std::uint32_t max_ip4_header_bytes = 60;

// The IP header of later fragments: only options with the copy bit, padded to whole words.
struct LaterHeader {
    std::array<std::uint8_t, max_ip4_header_bytes> bytes{};
    std::uint32_t size = ip4_min_bytes;
};

LaterHeader later_header(std::span<const std::uint8_t> header) {
    LaterHeader later;
    std::copy_n(header.begin(), ip4_min_bytes, later.bytes.begin());
    std::span<const std::uint8_t> options = header.subspan(ip4_min_bytes);
    while (!options.empty() && options[0] != option_end) {
        const std::size_t bytes = options[0] == option_nop ? 1 : options[1];
        if (options[0] & option_copied) {
            std::copy_n(options.begin(), bytes, later.bytes.begin() + later.size);
            later.size += static_cast<std::uint32_t>(bytes);
        }
        options = options.subspan(bytes);
    }
    later.size = (later.size + 3) / 4 * 4;
    later.bytes[0] = static_cast<std::uint8_t>(0x40 | later.size / 4);
    return later;
}

// A new packet of three pieces; null if there is none.
Packet* compose(AllocatePacket allocate, std::span<const std::uint8_t> link,
                std::span<const std::uint8_t> header, std::span<const std::uint8_t> payload) {
    const auto bytes = static_cast<std::uint32_t>(link.size() + header.size() + payload.size());
    Packet* out = allocate(bytes);
    if (!out) return nullptr;
    const bool room = start_frame(*out, bytes);
    WEIR_CHECK(room, "allocate() gave a packet with less room than asked for");
    std::uint8_t* at = std::copy(link.begin(), link.end(), out->data);
    at = std::copy(header.begin(), header.end(), at);
    std::copy(payload.begin(), payload.end(), at);
    return out;
}

struct Cut {
    std::uint32_t offset, bytes;  // of the payload
    bool more;
};

Packet* make_fragment(const Packet& packet, const Cut& cut, const LaterHeader& later,
                      AllocatePacket allocate) {
    const Headers& headers = packet.headers;
    const std::uint32_t header_bytes = (packet.data[headers.l3] & 15u) * 4;
    std::span<const std::uint8_t> header{packet.data + headers.l3, header_bytes};
    if (cut.offset > 0) header = {later.bytes.data(), later.size};
    Packet* out = compose(allocate, {packet.data, headers.l3}, header,
                          {packet.data + headers.l3 + header_bytes + cut.offset, cut.bytes});
    if (!out) return nullptr;
    std::uint8_t* ip = out->data + headers.l3;
    const std::uint32_t offset = headers.fragment_offset + cut.offset;
    store16(ip + 2, static_cast<std::uint16_t>(header.size() + cut.bytes));
    const bool more = cut.more || headers.fragment_more;
    store16(ip + 6, static_cast<std::uint16_t>((load16(ip + 6) & kept_flags) | offset / 8 |
                                               (more ? flag_mf : 0)));
    fill_ip4_checksum({ip, header.size()});
    return out;
}

// A segment's own values in a copy of the headers.
void write_tcp(std::uint8_t* tcp, const Cut& cut) {
    store32(tcp + 4, load32(tcp + 4) + cut.offset);
    if (cut.more) tcp[13] &= static_cast<std::uint8_t>(~(tcp_fin | tcp_psh));
    if (cut.offset > 0) tcp[13] &= static_cast<std::uint8_t>(~tcp_cwr);
}

void write_udp(std::uint8_t* udp, const Cut& cut) {
    store16(udp + 4, static_cast<std::uint16_t>(udp_bytes + cut.bytes));
}

void write_ip(Packet& out, const Headers& headers, std::uint16_t index) {
    std::uint8_t* ip = out.data + headers.l3;
    const std::uint32_t ip_bytes = out.length - headers.l3;
    if (headers.family == Family::ip6) {
        store16(ip + 4, static_cast<std::uint16_t>(ip_bytes - ip6_bytes));
        return;
    }
    store16(ip + 2, static_cast<std::uint16_t>(ip_bytes));
    store16(ip + 4, static_cast<std::uint16_t>(load16(ip + 4) + index));
    fill_ip4_checksum({ip, (ip[0] & 15u) * 4});
}

bool is_whole(const Packet& packet, std::uint8_t proto) {
    const Headers& headers = packet.headers;
    return headers.proto == proto && headers.l4 != 0 && headers.fragment == Fragment::whole &&
           headers.family != Family::none;
}

SplitError segment(const Packet& packet, std::uint16_t segment_bytes, AllocatePacket allocate,
                   EmitPacket emit) {
    if (segment_bytes == 0) return SplitError::bad_size;
    const Headers& headers = packet.headers;
    const std::uint32_t payload = headers.l3_end - headers.payload;
    std::uint32_t offset = 0;
    std::uint16_t index = 0;
    do {
        const std::uint32_t bytes = std::min<std::uint32_t>(segment_bytes, payload - offset);
        const Cut cut{offset, bytes, offset + bytes < payload};
        Packet* out = compose(allocate, {packet.data, headers.l4},
                              {packet.data + headers.l4, headers.payload - std::size_t{headers.l4}},
                              {packet.data + headers.payload + offset, bytes});
        if (!out) return SplitError::no_packets;
        std::uint8_t* l4 = out->data + headers.l4;
        if (headers.proto == proto_tcp) write_tcp(l4, cut);
        else write_udp(l4, cut);
        write_ip(*out, headers, index++);
        parse(*out);
        fill_l4_checksum(*out);
        emit(*out);
        offset += bytes;
    } while (offset < payload);
    return SplitError::none;
}

}  // namespace

const char* name(SplitError error) {
    static constexpr std::array<const char*, static_cast<std::size_t>(SplitError::count_)> names = {
        "none", "not_splittable", "dont_fragment", "bad_size", "partial_checksum", "no_packets"};
    return error < SplitError::count_ ? names[static_cast<std::size_t>(error)] : "unknown";
}

SplitError fragment_ip4(const Packet& packet, std::uint32_t mtu, AllocatePacket allocate,
                        EmitPacket emit) {
    const Headers& headers = packet.headers;
    if (headers.family != Family::ip4) return SplitError::not_splittable;
    if (packet.flags & packet_partial_checksum) return SplitError::partial_checksum;
    const std::uint8_t* ip = packet.data + headers.l3;
    const std::uint32_t header_bytes = (ip[0] & 15u) * 4;
    const std::uint32_t payload = headers.l3_end - headers.l3 - header_bytes;
    const bool fits = header_bytes + payload <= mtu;
    if (!fits && (load16(ip + 6) & flag_df)) return SplitError::dont_fragment;
    if (!fits && mtu < header_bytes + 8) return SplitError::bad_size;
    const LaterHeader later = later_header({ip, header_bytes});
    std::uint32_t offset = 0;
    do {
        const std::uint32_t header = offset == 0 ? header_bytes : later.size;
        const bool last = header + payload - offset <= mtu;
        const std::uint32_t bytes = last ? payload - offset : (mtu - header) / 8 * 8;
        Packet* out = make_fragment(packet, {offset, bytes, !last}, later, allocate);
        if (!out) return SplitError::no_packets;
        parse(*out);
        emit(*out);
        offset += bytes;
    } while (offset < payload);
    return SplitError::none;
}

SplitError segment_tcp(const Packet& packet, std::uint16_t mss, AllocatePacket allocate,
                       EmitPacket emit) {
    const bool in_a_stream = !(packet.headers.tcp_flags & (tcp_syn | tcp_rst | tcp_urg));
    if (!is_whole(packet, proto_tcp) || !in_a_stream) return SplitError::not_splittable;
    return segment(packet, mss, allocate, emit);
}

SplitError segment_udp(const Packet& packet, std::uint16_t payload_bytes, AllocatePacket allocate,
                       EmitPacket emit) {
    if (!is_whole(packet, proto_udp)) return SplitError::not_splittable;
    return segment(packet, payload_bytes, allocate, emit);
}

}  // namespace weir::net
