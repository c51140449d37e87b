#include "net/checksum.hpp"

#include "net/bytes.hpp"
#include "net/wire.hpp"

namespace weir::net {
namespace {

// Where the checksum of a packet's transport header stands and what it covers.
struct Covered {
    std::uint8_t* field = nullptr;  // null: no checksum that we know
    std::span<std::uint8_t> bytes;
    bool pseudo = true;
};

std::uint32_t field_offset(const Headers& headers) {
    switch (headers.proto) {
        case proto_tcp:
            return 16;
        case proto_udp:
            return 6;
        case proto_icmp:
            return headers.family == Family::ip4 ? 2 : 0;
        case proto_icmp6:
            return headers.family == Family::ip6 ? 2 : 0;
        default:
            return 0;
    }
}

Covered covered_by_checksum(std::uint8_t* data, std::uint32_t length, const Headers& headers) {
    const std::uint32_t offset = field_offset(headers);
    if (offset == 0 || headers.l4 == 0 || headers.fragment != Fragment::whole) return {};
    std::uint32_t end = headers.l3_end;
    if (headers.proto == proto_udp && headers.l4 + udp_bytes <= end)
        end = headers.l4 + std::uint32_t{load16(data + headers.l4 + 4)};
    if (end > length || end > headers.l3_end || headers.l4 + offset + 2 > end) return {};
    return {data + headers.l4 + offset,
            {data + headers.l4, end - headers.l4},
            headers.proto != proto_icmp};
}

Covered covered_by_checksum(Packet& packet) {
    return covered_by_checksum(packet.data, packet.length, packet.headers);
}

InternetSum pseudo_sum(const std::uint8_t* l3, const Headers& headers, std::size_t l4_bytes) {
    InternetSum sum;
    if (headers.family == Family::ip4)
        sum.add({l3 + 12, 8});
    else
        sum.add({l3 + 8, 32});
    sum.add32(static_cast<std::uint32_t>(l4_bytes));
    sum.add16(headers.proto);
    return sum;
}

// UDP says 0 for "no checksum", so a computed 0 goes as ffff (RFC 768).
std::uint16_t on_the_wire(std::uint16_t checksum, const Headers& headers) {
    return checksum == 0 && headers.proto == proto_udp ? std::uint16_t{0xffff} : checksum;
}

}  // namespace

void InternetSum::add(std::span<const std::uint8_t> bytes) {
    const std::uint8_t* p = bytes.data();
    std::size_t left = bytes.size();
    std::uint64_t sum = total_;  // 2^16 ≡ 1 modulo 2^16 - 1, so wider words may be summed as well
    for (; left >= 4; p += 4, left -= 4) {
        std::uint32_t word;
        std::memcpy(&word, p, 4);
        sum += word;
    }
    std::uint32_t tail = 0;
    if (left > 0) std::memcpy(&tail, p, left);
    sum += tail;
    total_ = (sum & 0xffffffff) + (sum >> 32);
}

std::uint16_t InternetSum::folded() const {
    std::uint64_t sum = total_;
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return __builtin_bswap16(static_cast<std::uint16_t>(sum));
}

std::uint16_t internet_checksum(std::span<const std::uint8_t> bytes) {
    InternetSum sum;
    sum.add(bytes);
    return sum.checksum();
}

InternetSum pseudo_header(const Ip& src, const Ip& dst, std::uint8_t proto,
                          std::uint32_t l4_bytes) {
    InternetSum sum;
    const bool ip4 = src.is4();
    for (const Ip* ip : {&src, &dst})
        sum.add(ip4 ? std::span(ip->data4(), 4) : std::span(ip->data6(), 16));
    sum.add32(l4_bytes);
    sum.add16(proto);
    return sum;
}

std::uint16_t update_checksum16(std::uint16_t checksum, std::uint16_t from, std::uint16_t to) {
    std::uint32_t sum = static_cast<std::uint16_t>(~checksum);
    sum += static_cast<std::uint16_t>(~from);
    sum += to;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

std::uint16_t update_checksum32(std::uint16_t checksum, std::uint32_t from, std::uint32_t to) {
    checksum = update_checksum16(checksum, static_cast<std::uint16_t>(from >> 16),
                                 static_cast<std::uint16_t>(to >> 16));
    return update_checksum16(checksum, static_cast<std::uint16_t>(from),
                             static_cast<std::uint16_t>(to));
}

bool ip4_checksum_ok(std::span<const std::uint8_t> header) {
    std::uint64_t sum = 0;  // a header is whole 32-bit words: no tail, no swap needed for zero
    for (std::size_t i = 0; i + 4 <= header.size(); i += 4) {
        std::uint32_t word;
        std::memcpy(&word, header.data() + i, 4);
        sum += word;
    }
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return sum == 0xffff;
}

void fill_ip4_checksum(std::span<std::uint8_t> header) {
    store16(header.data() + 10, 0);
    store16(header.data() + 10, internet_checksum(header));
}

bool l4_checksum_ok(const Packet& packet) {
    const Headers& headers = packet.headers;
    if (packet.flags & packet_partial_checksum) return true;
    const Covered covered = covered_by_checksum(packet.data, packet.length, headers);
    if (!covered.field) return true;
    if (headers.proto == proto_udp && load16(covered.field) == 0)
        return headers.family == Family::ip4;  // RFC 8200 §8.1: UDP over IPv6 needs one
    InternetSum sum;
    if (covered.pseudo) sum = pseudo_sum(packet.data + headers.l3, headers, covered.bytes.size());
    sum.add(covered.bytes);
    return sum.checksum() == 0;
}

bool fill_l4_checksum(Packet& packet) {
    const Covered covered = covered_by_checksum(packet);
    if (!covered.field) return false;
    store16(covered.field, 0);
    InternetSum sum;
    if (covered.pseudo)
        sum = pseudo_sum(packet.data + packet.headers.l3, packet.headers, covered.bytes.size());
    sum.add(covered.bytes);
    store16(covered.field, on_the_wire(sum.checksum(), packet.headers));
    packet.flags &= static_cast<std::uint16_t>(~packet_partial_checksum);
    return true;
}

bool resolve_partial_checksum(Packet& packet) {
    if (!(packet.flags & packet_partial_checksum)) return true;
    const Covered covered = covered_by_checksum(packet);
    if (!covered.field) return false;
    InternetSum sum;
    sum.add(covered.bytes);  // the pseudo header's sum is already in the field
    store16(covered.field, on_the_wire(sum.checksum(), packet.headers));
    packet.flags &= static_cast<std::uint16_t>(~packet_partial_checksum);
    return true;
}

bool make_partial_checksum(Packet& packet) {
    const Covered covered = covered_by_checksum(packet);
    const std::uint8_t proto = packet.headers.proto;
    if (!covered.field || (proto != proto_tcp && proto != proto_udp)) return false;
    const InternetSum sum =
        pseudo_sum(packet.data + packet.headers.l3, packet.headers, covered.bytes.size());
    store16(covered.field, sum.folded());
    packet.flags |= packet_partial_checksum;
    return true;
}

bool decrement_ttl(Packet& packet) {
    Headers& headers = packet.headers;
    std::uint8_t* l3 = packet.data + headers.l3;
    if (headers.family == Family::none || headers.ttl <= 1) return false;
    --headers.ttl;
    if (headers.family == Family::ip6) {
        l3[7] = headers.ttl;
        return true;
    }
    const std::uint16_t before = load16(l3 + 8);
    l3[8] = headers.ttl;
    store16(l3 + 10, update_checksum16(load16(l3 + 10), before, load16(l3 + 8)));
    return true;
}

}  // namespace weir::net
