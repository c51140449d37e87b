#include <algorithm>
#include <cstddef>
#include <list>

#include "base/check.hpp"
#include "net/arp.hpp"
#include "net/builder.hpp"
#include "net/checksum.hpp"
#include "net/dhcp.hpp"
#include "net/fragment.hpp"
#include "net/hash.hpp"
#include "net/icmp.hpp"
#include "net/nd.hpp"
#include "net/parse.hpp"

// A frame as a guest may send it: parse it, and do with it whatever a host does. The first two
// bytes of the input steer; the frame stands in memory of exactly its size, so that any step aside
// is seen.
namespace weir::net {
namespace {

using Frame = std::span<const std::uint8_t>;

const Mac mac_a{{2, 0, 0, 0, 0, 0xa}}, mac_b{{2, 0, 0, 0, 0, 0xb}};

// Lets the fuzzer pass the header checksum that it could hardly guess.
void mend_ip4_checksum(Packet& packet) {
    const Headers& headers = packet.headers;
    if (headers.ethertype != ethertype_ip4 || headers.l3 + ip4_min_bytes > packet.length) return;
    std::uint8_t* ip = packet.data + headers.l3;
    const std::uint32_t header_bytes = (ip[0] & 15u) * 4;
    if (header_bytes >= ip4_min_bytes && headers.l3 + header_bytes <= packet.length)
        fill_ip4_checksum({ip, header_bytes});
}

void check_offsets(const Packet& packet) {
    const Headers& h = packet.headers;
    WEIR_CHECK(h.l3 >= ethernet_bytes && h.l3 <= packet.length, "l3 lies in the packet");
    if (h.family == Family::none) return;
    WEIR_CHECK(h.l3_end <= packet.length && h.payload <= h.l3_end, "payload lies in the packet");
    WEIR_CHECK(h.l4 == 0 || (h.l4 > h.l3 && h.l4 <= h.payload), "headers stand in order");
    WEIR_CHECK(symmetric_hash(packet.tuple) == symmetric_hash(packet.tuple.reversed()),
               "the hash is symmetric");
}

void answer(const Packet& packet, std::uint8_t steer) {
    PacketBuffer out({}, 0, 1600);
    const Ip source = packet.headers.family == Family::ip4 ? Ip::from4(0x0a000001u) : Ip{{{0xfd}}};
    const auto kind = static_cast<IcmpErrorKind>(steer % 6);
    if (build_icmp_error(packet, out.packet(), kind, 1400, source, mac_a, mac_b)) {
        const bool quoted_enough = packet.headers.payload - packet.headers.l3 < 540;
        const ParseError error = parse(out.packet());
        WEIR_CHECK(!quoted_enough || error == ParseError::none, "our ICMP errors can be read");
        WEIR_CHECK(error != ParseError::none || l4_checksum_ok(out.packet()), "and are right");
        WEIR_CHECK(error != ParseError::none || out.packet().tuple == packet.tuple.reversed(),
                   "and speak of the packet");
    }
    if (build_tcp_abort(packet, 1, out.packet())) {
        WEIR_CHECK(parse(out.packet()) == ParseError::none, "our aborts can be read");
        WEIR_CHECK(out.packet().tuple == packet.tuple, "and go on");
    }
    if (build_tcp_reset(packet, out.packet())) {
        WEIR_CHECK(parse(out.packet()) == ParseError::none, "our resets can be read");
        WEIR_CHECK(out.packet().tuple == packet.tuple.reversed(), "and go back");
    }
}

void split(const Packet& packet, std::uint8_t steer) {
    std::list<PacketBuffer> pool;
    std::size_t bytes = 0;
    const auto allocate = [&](std::uint32_t room) {
        return &pool.emplace_back(Frame{}, 0, room).packet();
    };
    const auto count = [&](Packet& out) { bytes += out.length - packet.headers.l3; };
    const std::uint32_t header = (packet.data[packet.headers.l3] & 15u) * 4;
    std::uint32_t least = 0;
    const auto measure = [&](Packet& out) {
        least += out.length - packet.headers.l3 - (out.data[packet.headers.l3] & 15u) * 4;
    };
    if (fragment_ip4(packet, 68u + steer, allocate, measure) == SplitError::none)
        WEIR_CHECK(least == packet.headers.l3_end - packet.headers.l3 - header,
                   "fragments carry the whole payload");
    const auto mss = static_cast<std::uint16_t>(1 + steer);
    if (segment_tcp(packet, mss, allocate, count) == SplitError::none)
        WEIR_CHECK(bytes >= std::size_t{packet.headers.l3_end} - packet.headers.l3,
                   "segments carry the whole payload");
    bytes = 0;
    if (segment_udp(packet, mss, allocate, count) == SplitError::none)
        WEIR_CHECK(bytes >= std::size_t{packet.headers.l3_end} - packet.headers.l3,
                   "datagrams carry the whole payload");
}

void use(Packet& packet, std::uint8_t steer) {
    (void)read_arp(packet);
    (void)read_neighbour(packet);
    (void)read_dhcp_ack(packet);
    (void)l4_checksum_ok(packet);
    if (packet.headers.family == Family::none) return;
    answer(packet, steer);
    split(packet, steer);
    packet.flags |= packet_partial_checksum;
    if (resolve_partial_checksum(packet) && fill_l4_checksum(packet))
        WEIR_CHECK(l4_checksum_ok(packet), "a filled checksum is right");
    packet.flags = 0;
    const Tuple before = packet.tuple;
    if (decrement_ttl(packet) && packet.headers.proto != proto_icmp &&
        packet.headers.proto != proto_icmp6) {
        WEIR_CHECK(parse(packet) == ParseError::none, "one hop less is still a packet");
        WEIR_CHECK(packet.tuple == before, "of the same flow");
    }
}

}  // namespace
}  // namespace weir::net

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weir::net;
    if (size < 2) return 0;
    PacketBuffer buffer(std::span(data + 2, size - 2), 0, 0);
    Packet& packet = buffer.packet();
    ParseError error = parse(packet);
    if (error == ParseError::bad_ip_checksum && (data[0] & 1) == 0) {
        mend_ip4_checksum(packet);
        error = parse(packet);
    }
    if (error != ParseError::none) return 0;
    check_offsets(packet);
    use(packet, data[1]);
    return 0;
}
