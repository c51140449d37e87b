#include "net/builder.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "net/bytes.hpp"
#include "net/checksum.hpp"

namespace weir::net {
namespace {

using Buffer = std::vector<std::uint8_t>;

constexpr std::uint8_t ip6_fragment_header = 44;

void put8(Buffer& out, unsigned value) {
    out.push_back(static_cast<std::uint8_t>(value));
}
void put16(Buffer& out, unsigned value) {
    put8(out, value >> 8);
    put8(out, value & 0xff);
}
void put32(Buffer& out, std::uint32_t value) {
    put16(out, value >> 16);
    put16(out, value & 0xffff);
}
void put(Buffer& out, std::span<const std::uint8_t> bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

Buffer padded(Buffer options) {
    options.resize((options.size() + 3) / 4 * 4);
    return options;
}

bool is_icmp(const FrameSpec& spec) {
    return spec.proto == proto_icmp || spec.proto == proto_icmp6;
}

// The transport header with a zero checksum; nothing for later fragments and other protocols.
Buffer l4_header(const FrameSpec& spec) {
    Buffer out;
    if (spec.fragment_offset > 0) return out;
    if (spec.proto == proto_tcp) {
        const Buffer options = padded(spec.tcp_options);
        put16(out, spec.src_port);
        put16(out, spec.dst_port);
        put32(out, spec.sequence);
        put32(out, spec.acknowledgement);
        put8(out, static_cast<unsigned>((tcp_min_bytes + options.size()) / 4) << 4);
        put8(out, spec.tcp_flags);
        put16(out, spec.window);
        put32(out, 0);
        put(out, options);
    } else if (spec.proto == proto_udp) {
        put16(out, spec.src_port);
        put16(out, spec.dst_port);
        put16(out, static_cast<unsigned>(udp_bytes + spec.payload.size()));
        put16(out, 0);
    } else if (is_icmp(spec)) {
        put8(out, spec.icmp_type);
        put8(out, spec.icmp_code);
        put16(out, 0);
        put32(out, spec.icmp_rest);
    }
    return out;
}

void fill_spec_checksum(const FrameSpec& spec, Buffer& l4) {
    std::size_t at = 0;
    if (spec.proto == proto_tcp) at = 16;
    if (spec.proto == proto_udp) at = 6;
    if (is_icmp(spec)) at = 2;
    if (at == 0 || spec.fragment_offset > 0 || (spec.proto == proto_udp && spec.no_udp_checksum))
        return;
    InternetSum sum;
    if (spec.proto != proto_icmp)
        sum = pseudo_header(spec.src, spec.dst, spec.proto, static_cast<std::uint32_t>(l4.size()));
    sum.add(l4);
    std::uint16_t value = sum.checksum();
    if (value == 0 && spec.proto == proto_udp) value = 0xffff;
    if (spec.bad_l4_checksum) value ^= 0x5555;
    store16(l4.data() + at, value);
}

void put_ip4(Buffer& out, const FrameSpec& spec, std::size_t l4_bytes) {
    const Buffer options = padded(spec.ip4_options);
    const std::size_t header_bytes = ip4_min_bytes + options.size();
    const std::size_t start = out.size();
    put8(out, static_cast<unsigned>(0x40 | header_bytes / 4));
    put8(out, spec.traffic_class);
    put16(out, static_cast<unsigned>(header_bytes + l4_bytes));
    put16(out, spec.fragment_id & 0xffff);
    put16(out, (spec.dont_fragment ? 0x4000u : 0) | (spec.more_fragments ? 0x2000u : 0) |
                   spec.fragment_offset / 8u);
    put8(out, spec.ttl);
    put8(out, spec.proto);
    put16(out, 0);
    put(out, {spec.src.data4(), 4});
    put(out, {spec.dst.data4(), 4});
    put(out, options);
    fill_ip4_checksum(std::span(out).subspan(start));
    if (spec.bad_ip_checksum) out[start + 10] ^= 0x55;
}

// The chain of extension headers, `first` set to the kind of the first one.
Buffer extension_chain(const FrameSpec& spec, std::uint8_t& first) {
    auto headers = spec.extensions;
    if (spec.fragment_offset > 0 || spec.more_fragments || spec.fragment_header) {
        Buffer content;
        put8(content, 0);
        put16(content, (spec.fragment_offset & 0xfff8u) | (spec.more_fragments ? 1 : 0));
        put32(content, spec.fragment_id);
        headers.emplace_back(ip6_fragment_header, content);
    }
    Buffer out;
    for (std::size_t i = 0; i < headers.size(); ++i) {
        put8(out, i + 1 < headers.size() ? headers[i + 1].first : spec.proto);
        put(out, headers[i].second);
    }
    first = headers.empty() ? spec.proto : headers[0].first;
    return out;
}

void put_ip6(Buffer& out, const FrameSpec& spec, std::size_t l4_bytes) {
    std::uint8_t next = 0;
    const Buffer chain = extension_chain(spec, next);
    put32(out, 6u << 28 | std::uint32_t{spec.traffic_class} << 20);
    put16(out, static_cast<unsigned>(chain.size() + l4_bytes));
    put8(out, next);
    put8(out, spec.ttl);
    put(out, {spec.src.data6(), 16});
    put(out, {spec.dst.data6(), 16});
    put(out, chain);
}

void put_ethernet(Buffer& out, const FrameSpec& spec) {
    put(out, spec.dst_mac.bytes);
    put(out, spec.src_mac.bytes);
    for (std::size_t i = 0; i < spec.vlans.size(); ++i) {
        put16(out, i + 1 < spec.vlans.size() ? ethertype_qinq : ethertype_vlan);
        put16(out, spec.vlans[i]);
    }
    std::uint16_t type = spec.ethertype;
    if (type == 0 && spec.has_ip) type = spec.src.is4() ? ethertype_ip4 : ethertype_ip6;
    put16(out, type);
}

}  // namespace

PacketBuffer::PacketBuffer(std::span<const std::uint8_t> frame, std::uint32_t headroom,
                           std::uint32_t tailroom)
    : memory_(headroom + frame.size() + tailroom) {
    std::copy(frame.begin(), frame.end(), memory_.begin() + headroom);
    packet_.data = memory_.data() + headroom;
    packet_.length = static_cast<std::uint32_t>(frame.size());
    packet_.headroom = headroom;
    packet_.tailroom = tailroom;
}

std::vector<std::uint8_t> build(const FrameSpec& spec) {
    Buffer out;
    put_ethernet(out, spec);
    if (!spec.has_ip) {
        put(out, spec.payload);
        return out;
    }
    Buffer l4 = l4_header(spec);
    put(l4, spec.payload);
    fill_spec_checksum(spec, l4);
    if (spec.src.is4())
        put_ip4(out, spec, l4.size());
    else
        put_ip6(out, spec, l4.size());
    put(out, l4);
    return out;
}

std::vector<std::uint8_t> counting_payload(std::size_t bytes) {
    Buffer out(bytes);
    for (std::size_t i = 0; i < bytes; ++i) out[i] = static_cast<std::uint8_t>(i);
    return out;
}

FrameBuilder& FrameBuilder::eth(const Mac& dst, const Mac& src) {
    spec_.dst_mac = dst;
    spec_.src_mac = src;
    return *this;
}
FrameBuilder& FrameBuilder::ethertype(std::uint16_t value) {
    spec_.ethertype = value;
    return *this;
}
FrameBuilder& FrameBuilder::vlan(std::uint16_t tci) {
    spec_.vlans.push_back(tci);
    return *this;
}
FrameBuilder& FrameBuilder::ip(const Ip& src, const Ip& dst) {
    WEIR_CHECK(src.is4() == dst.is4(), "a packet has addresses of one family");
    spec_.has_ip = true;
    spec_.src = src;
    spec_.dst = dst;
    return *this;
}
FrameBuilder& FrameBuilder::ip(std::string_view src, std::string_view dst) {
    const Result<Ip> from = Ip::parse(src), to = Ip::parse(dst);
    WEIR_CHECK(from.ok() && to.ok(), "FrameBuilder::ip needs addresses");
    return ip(*from, *to);
}
FrameBuilder& FrameBuilder::ttl(std::uint8_t value) {
    spec_.ttl = value;
    return *this;
}
FrameBuilder& FrameBuilder::traffic_class(std::uint8_t value) {
    spec_.traffic_class = value;
    return *this;
}
FrameBuilder& FrameBuilder::df() {
    spec_.dont_fragment = true;
    return *this;
}
FrameBuilder& FrameBuilder::fragment(std::uint32_t id, std::uint16_t offset_bytes, bool more) {
    spec_.fragment_header = true;
    spec_.fragment_id = id;
    spec_.fragment_offset = offset_bytes;
    spec_.more_fragments = more;
    return *this;
}
FrameBuilder& FrameBuilder::ip4_options(std::vector<std::uint8_t> options) {
    spec_.ip4_options = std::move(options);
    return *this;
}
FrameBuilder& FrameBuilder::extension(std::uint8_t kind, std::vector<std::uint8_t> content) {
    spec_.extensions.emplace_back(kind, std::move(content));
    return *this;
}
FrameBuilder& FrameBuilder::proto(std::uint8_t value) {
    spec_.proto = value;
    return *this;
}
FrameBuilder& FrameBuilder::tcp(std::uint16_t src_port, std::uint16_t dst_port, std::uint8_t flags,
                                std::uint32_t sequence, std::uint32_t acknowledgement) {
    spec_.proto = proto_tcp;
    spec_.src_port = src_port;
    spec_.dst_port = dst_port;
    spec_.tcp_flags = flags;
    spec_.sequence = sequence;
    spec_.acknowledgement = acknowledgement;
    return *this;
}
FrameBuilder& FrameBuilder::tcp_options(std::vector<std::uint8_t> options) {
    spec_.tcp_options = std::move(options);
    return *this;
}
FrameBuilder& FrameBuilder::udp(std::uint16_t src_port, std::uint16_t dst_port) {
    spec_.proto = proto_udp;
    spec_.src_port = src_port;
    spec_.dst_port = dst_port;
    return *this;
}
FrameBuilder& FrameBuilder::icmp(std::uint8_t type, std::uint8_t code, std::uint32_t rest) {
    WEIR_CHECK(spec_.has_ip, "say ip() before icmp()");
    spec_.proto = spec_.src.is4() ? proto_icmp : proto_icmp6;
    spec_.icmp_type = type;
    spec_.icmp_code = code;
    spec_.icmp_rest = rest;
    return *this;
}
FrameBuilder& FrameBuilder::echo(std::uint16_t identifier, std::uint16_t sequence, bool reply) {
    const bool ip4 = spec_.src.is4();
    const int type = reply ? (ip4 ? 0 : 129) : (ip4 ? 8 : 128);
    return icmp(static_cast<std::uint8_t>(type), 0, std::uint32_t{identifier} << 16 | sequence);
}
FrameBuilder& FrameBuilder::payload(std::size_t bytes) {
    spec_.payload = counting_payload(bytes);
    return *this;
}
FrameBuilder& FrameBuilder::payload(std::vector<std::uint8_t> bytes) {
    spec_.payload = std::move(bytes);
    return *this;
}
FrameBuilder& FrameBuilder::bad_ip_checksum() {
    spec_.bad_ip_checksum = true;
    return *this;
}
FrameBuilder& FrameBuilder::bad_l4_checksum() {
    spec_.bad_l4_checksum = true;
    return *this;
}
FrameBuilder& FrameBuilder::no_udp_checksum() {
    spec_.no_udp_checksum = true;
    return *this;
}

}  // namespace weir::net
