#include "net/icmp.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "net/builder.hpp"
#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/ethernet.hpp"
#include "net/parse.hpp"

namespace weir::net {
namespace {

const Mac router_mac{{2, 0, 0, 0, 0, 0xf0}}, guest_mac{{2, 0, 0, 0, 0, 1}};
const Ip router4 = Ip::parse("10.0.0.254").value(), router6 = Ip::parse("fd00::fe").value();

FrameBuilder ip4() {
    return FrameBuilder().ip("10.0.0.1", "10.1.0.2");
}
FrameBuilder ip6() {
    return FrameBuilder().ip("fd00::1", "fd01::2");
}

PacketBuffer parsed(const FrameBuilder& builder) {
    PacketBuffer buffer = builder.packet();
    EXPECT_EQ(parse(buffer.packet()), ParseError::none);
    return buffer;
}

PacketBuffer error_about(const Packet& offending, IcmpErrorKind kind, std::uint16_t mtu = 0) {
    PacketBuffer out({}, 64, 2048);
    const Ip& source = offending.headers.family == Family::ip4 ? router4 : router6;
    EXPECT_TRUE(
        build_icmp_error(offending, out.packet(), kind, mtu, source, router_mac, guest_mac));
    EXPECT_EQ(parse(out.packet()), ParseError::none);
    EXPECT_TRUE(l4_checksum_ok(out.packet()));
    EXPECT_TRUE(out.packet().headers.icmp_error);
    return out;
}

TEST(IcmpError, types_and_codes_of_both_families) {
    struct Case {
        IcmpErrorKind kind;
        int type4, code4, type6, code6;
    };
    const Case cases[] = {{IcmpErrorKind::time_exceeded, 11, 0, 3, 0},
                          {IcmpErrorKind::net_unreachable, 3, 0, 1, 0},
                          {IcmpErrorKind::host_unreachable, 3, 1, 1, 3},
                          {IcmpErrorKind::port_unreachable, 3, 3, 1, 4},
                          {IcmpErrorKind::admin_prohibited, 3, 13, 1, 1},
                          {IcmpErrorKind::too_big, 3, 4, 2, 0}};
    PacketBuffer four = parsed(ip4().udp(5, 6).payload(9)),
                 six = parsed(ip6().udp(5, 6).payload(9));
    for (const Case& c : cases) {
        const PacketBuffer a = error_about(four.packet(), c.kind),
                           b = error_about(six.packet(), c.kind);
        EXPECT_EQ(a.packet().headers.icmp_type, c.type4);
        EXPECT_EQ(a.packet().headers.icmp_code, c.code4);
        EXPECT_EQ(b.packet().headers.icmp_type, c.type6);
        EXPECT_EQ(b.packet().headers.icmp_code, c.code6);
        EXPECT_EQ(a.packet().tuple, four.packet().tuple.reversed());
        EXPECT_EQ(b.packet().tuple, six.packet().tuple.reversed());
    }
}

TEST(IcmpError, goes_from_the_router_to_the_sender_with_the_mtu) {
    PacketBuffer offending = parsed(ip4().vlan(100).df().tcp(1, 2, tcp_ack).payload(1400));
    const PacketBuffer out = error_about(offending.packet(), IcmpErrorKind::too_big, 1350);
    const Packet& packet = out.packet();
    const std::uint8_t* l3 = packet.data + packet.headers.l3;
    EXPECT_EQ(destination_mac(packet), guest_mac);
    EXPECT_EQ(source_mac(packet), router_mac);
    EXPECT_EQ(packet.headers.vlan, 100);
    EXPECT_EQ(Ip::from4(l3 + 12), router4);
    EXPECT_EQ(Ip::from4(l3 + 16).text(), "10.0.0.1");
    EXPECT_EQ(load32(packet.data + packet.headers.l4 + 4), 1350u);
    PacketBuffer six = parsed(ip6().tcp(1, 2, tcp_ack).payload(1400));
    const PacketBuffer out6 = error_about(six.packet(), IcmpErrorKind::too_big, 1400);
    EXPECT_EQ(load32(out6.packet().data + out6.packet().headers.l4 + 4), 1400u);
}

TEST(IcmpError, quotes_up_to_the_limit_and_no_padding) {
    for (std::size_t payload : {0u, 1u, 500u, 1300u}) {
        for (FrameBuilder base : {ip4(), ip6()}) {
            PacketBuffer offending = parsed(FrameBuilder(base).udp(5, 6).payload(payload));
            const Headers& in = offending.packet().headers;
            const PacketBuffer out = error_about(offending.packet(), IcmpErrorKind::time_exceeded);
            const Headers& made = out.packet().headers;
            const bool four = made.family == Family::ip4;
            const std::uint32_t header = four ? 28 : 48, limit = four ? 576 : 1280;
            const std::uint32_t expected =
                std::min<std::uint32_t>(limit, header + in.l3_end - in.l3);
            EXPECT_EQ(made.l3_end - made.l3, static_cast<int>(expected));
            EXPECT_TRUE(std::equal(out.packet().data + made.payload,
                                   out.packet().data + made.l3_end,
                                   offending.packet().data + in.l3));
        }
    }
}

TEST(IcmpError, is_not_sent_where_the_rfcs_forbid_it) {
    const auto silent = [](const FrameBuilder& builder,
                           IcmpErrorKind kind = IcmpErrorKind::host_unreachable) {
        PacketBuffer offending = parsed(builder), out({}, 64, 2048);
        const Ip& source = offending.packet().headers.family == Family::ip4 ? router4 : router6;
        return !build_icmp_error(offending.packet(), out.packet(), kind, 1280, source, router_mac,
                                 guest_mac);
    };
    EXPECT_FALSE(silent(ip4().udp(1, 2)));
    EXPECT_FALSE(silent(ip4().echo(1, 2)));
    const auto whole = ip4().udp(1, 2).build();
    EXPECT_TRUE(silent(ip4().icmp(3, 1, 0).payload({whole.begin() + 14, whole.end()})));
    EXPECT_TRUE(silent(ip4().udp(1, 2).fragment(1, 8, false).payload(9)));
    EXPECT_FALSE(silent(ip4().udp(1, 2).fragment(1, 0, true).payload(8)));
    EXPECT_TRUE(silent(FrameBuilder().ip("10.0.0.1", "224.0.0.5").udp(1, 2)));
    EXPECT_TRUE(silent(FrameBuilder().ip("10.0.0.1", "255.255.255.255").udp(1, 2)));
    for (const char* source : {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1"})
        EXPECT_TRUE(silent(FrameBuilder().ip(source, "10.0.0.2").udp(1, 2))) << source;
    const Mac broadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
    EXPECT_TRUE(silent(ip4().eth(broadcast, guest_mac).udp(1, 2)));
    EXPECT_TRUE(silent(FrameBuilder().ethertype(ethertype_arp).payload(28)));
    const FrameBuilder group = FrameBuilder().ip("fd00::1", "ff02::1").udp(1, 2);
    EXPECT_TRUE(silent(group));
    EXPECT_FALSE(silent(group, IcmpErrorKind::too_big));  // RFC 4443 §2.4 (e.3)
    EXPECT_TRUE(silent(FrameBuilder().ip("::", "fd00::1").udp(1, 2)));
    EXPECT_TRUE(silent(ip6().icmp(137, 0, 0).payload(32)));
    EXPECT_FALSE(silent(ip6().icmp(135, 0, 0).payload(16)));
}

TEST(IcmpError, needs_room_and_a_source_of_the_same_family) {
    PacketBuffer offending = parsed(ip4().udp(1, 2)), small({}, 64, 40), out({}, 64, 2048);
    const IcmpErrorKind kind = IcmpErrorKind::time_exceeded;
    EXPECT_FALSE(build_icmp_error(offending.packet(), small.packet(), kind, 0, router4, router_mac,
                                  guest_mac));
    EXPECT_FALSE(build_icmp_error(offending.packet(), out.packet(), kind, 0, router6, router_mac,
                                  guest_mac));
}

struct Reset {
    bool sent;
    Packet* packet;
    std::uint32_t sequence, acknowledgement;
};

Reset reset_of(const FrameBuilder& builder, PacketBuffer& out) {
    PacketBuffer offending = parsed(builder);
    Reset reset{build_tcp_reset(offending.packet(), out.packet()), &out.packet(), 0, 0};
    if (!reset.sent) return reset;
    EXPECT_EQ(parse(out.packet()), ParseError::none);
    EXPECT_TRUE(l4_checksum_ok(out.packet()));
    EXPECT_EQ(out.packet().tuple, offending.packet().tuple.reversed());
    EXPECT_EQ(destination_mac(out.packet()), source_mac(offending.packet()));
    EXPECT_EQ(source_mac(out.packet()), destination_mac(offending.packet()));
    const std::uint8_t* tcp = out.packet().data + out.packet().headers.l4;
    reset.sequence = load32(tcp + 4);
    reset.acknowledgement = load32(tcp + 8);
    return reset;
}

TEST(TcpReset, numbers_follow_rfc9293) {
    for (FrameBuilder base : {ip4().vlan(7), ip6()}) {
        PacketBuffer out({}, 64, 256);
        Reset reset = reset_of(FrameBuilder(base).tcp(4000, 80, tcp_syn, 0xffffffff), out);
        ASSERT_TRUE(reset.sent);
        EXPECT_EQ(reset.packet->headers.tcp_flags, tcp_rst | tcp_ack);
        EXPECT_EQ(reset.sequence, 0u);
        EXPECT_EQ(reset.acknowledgement, 0u);  // the SYN counts: ffffffff + 1
        reset = reset_of(FrameBuilder(base).tcp(4000, 80, tcp_ack | tcp_psh, 100, 777).payload(10),
                         out);
        ASSERT_TRUE(reset.sent);
        EXPECT_EQ(reset.packet->headers.tcp_flags, tcp_rst);
        EXPECT_EQ(reset.sequence, 777u);
        EXPECT_EQ(reset.acknowledgement, 0u);
        reset = reset_of(FrameBuilder(base).tcp(4000, 80, tcp_fin, 100).payload(10), out);
        ASSERT_TRUE(reset.sent);
        EXPECT_EQ(reset.acknowledgement, 111u);
        EXPECT_EQ(reset.packet->headers.vlan_count, base.spec().vlans.size());
    }
}

TEST(TcpReset, is_not_sent_where_it_makes_no_sense) {
    PacketBuffer out({}, 64, 256);
    EXPECT_FALSE(reset_of(ip4().tcp(1, 2, tcp_rst), out).sent);
    EXPECT_FALSE(reset_of(ip4().udp(1, 2), out).sent);
    EXPECT_FALSE(reset_of(ip4().tcp(1, 2, tcp_ack).fragment(1, 0, true).payload(4), out).sent);
    EXPECT_FALSE(reset_of(FrameBuilder().ip("10.0.0.1", "224.0.0.5").tcp(1, 2, tcp_syn), out).sent);
    EXPECT_FALSE(reset_of(FrameBuilder().ip("0.0.0.0", "10.0.0.5").tcp(1, 2, tcp_syn), out).sent);
    PacketBuffer small({}, 64, 50);
    EXPECT_FALSE(reset_of(ip4().tcp(1, 2, tcp_syn), small).sent);
}

TEST(TcpAbort, ends_the_far_end_in_the_senders_name) {
    for (const FrameBuilder& base : {ip4().vlan(7), ip6()}) {
        PacketBuffer offending = parsed(FrameBuilder(base).tcp(4000, 80, tcp_ack, 100, 777)),
                     out({}, 64, 256);
        ASSERT_TRUE(build_tcp_abort(offending.packet(), 0xfffffffe, out.packet()));
        EXPECT_EQ(parse(out.packet()), ParseError::none);
        EXPECT_TRUE(l4_checksum_ok(out.packet()));
        EXPECT_EQ(out.packet().tuple, offending.packet().tuple);
        EXPECT_EQ(destination_mac(out.packet()), destination_mac(offending.packet()));
        EXPECT_EQ(source_mac(out.packet()), source_mac(offending.packet()));
        EXPECT_EQ(out.packet().headers.tcp_flags, tcp_rst);
        EXPECT_EQ(out.packet().headers.vlan_count, offending.packet().headers.vlan_count);
        EXPECT_EQ(load32(out.packet().data + out.packet().headers.l4 + 4), 0xfffffffeu);
    }
    PacketBuffer reset = parsed(ip4().tcp(1, 2, tcp_rst)), syn = parsed(ip4().tcp(1, 2, tcp_syn)),
                 out({}, 64, 256), small({}, 64, 50);
    EXPECT_FALSE(build_tcp_abort(reset.packet(), 1, out.packet()));
    EXPECT_FALSE(build_tcp_abort(syn.packet(), 1, small.packet()));
}

}  // namespace
}  // namespace weir::net
