#include "net/parse.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "net/builder.hpp"
#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/hash.hpp"

namespace weir::net {
namespace {

using Frame = std::vector<std::uint8_t>;

struct Parsed {
    ParseError error;
    Headers headers;
    Tuple tuple;
};

Parsed parsed(const Frame& frame) {
    Parsed out;
    out.error = parse_inner(frame, out.headers, out.tuple);
    return out;
}
Parsed parsed(const FrameBuilder& builder) {
    return parsed(builder.build());
}

FrameBuilder ip4() {
    return FrameBuilder().ip("10.0.0.1", "10.0.0.2");
}
FrameBuilder ip6() {
    return FrameBuilder().ip("2001:db8::1", "2001:db8::2");
}

Tuple tuple4(std::uint8_t proto, std::uint16_t src_port, std::uint16_t dst_port) {
    Tuple tuple;
    tuple.src = Ip::from4(0x0a000001u);
    tuple.dst = Ip::from4(0x0a000002u);
    tuple.src_port = src_port;
    tuple.dst_port = dst_port;
    tuple.proto = proto;
    return tuple;
}

// The IP packet of a built frame, as an ICMP error quotes it.
Frame quoted(const FrameBuilder& builder, std::size_t bytes = 65535) {
    const Frame frame = builder.build();
    const std::size_t end = std::min(frame.size(), ethernet_bytes + bytes);
    return {frame.begin() + ethernet_bytes, frame.begin() + static_cast<std::ptrdiff_t>(end)};
}

// Refreshes the IPv4 header checksum after a test has edited the header.
Frame with_ip4_checksum(Frame frame) {
    const std::size_t header_bytes = (frame[14] & 15u) * 4;
    if (frame.size() >= 14 + header_bytes && header_bytes >= 20)
        fill_ip4_checksum(std::span(frame).subspan(14, header_bytes));
    return frame;
}

TEST(Parse, tcp_over_ip4) {
    const Parsed p = parsed(ip4().ttl(33).tcp(4000, 80, tcp_syn | tcp_ack).payload(10));
    ASSERT_EQ(p.error, ParseError::none);
    EXPECT_EQ(p.tuple, tuple4(proto_tcp, 4000, 80));
    EXPECT_EQ(p.headers.ethertype, ethertype_ip4);
    EXPECT_EQ(p.headers.family, Family::ip4);
    EXPECT_EQ(p.headers.l3, 14);
    EXPECT_EQ(p.headers.l4, 34);
    EXPECT_EQ(p.headers.payload, 54);
    EXPECT_EQ(p.headers.l3_end, 64);
    EXPECT_EQ(p.headers.ttl, 33);
    EXPECT_EQ(p.headers.tcp_flags, tcp_syn | tcp_ack);
    EXPECT_EQ(p.headers.fragment, Fragment::whole);
}

TEST(Parse, options_tags_and_padding_move_the_offsets) {
    Frame frame = ip4().vlan(0x2064).vlan(7).ip4_options({1, 1, 1, 1}).udp(5, 6).payload(4).build();
    frame.resize(frame.size() + 9);  // Ethernet padding
    const Parsed p = parsed(frame);
    ASSERT_EQ(p.error, ParseError::none);
    EXPECT_EQ(p.headers.vlan_count, 2);
    EXPECT_EQ(p.headers.vlan, 0x2064);
    EXPECT_EQ(p.headers.l3, 22);
    EXPECT_EQ(p.headers.l4, 46);
    EXPECT_EQ(p.headers.payload, 54);
    EXPECT_EQ(p.headers.l3_end, 58);
    EXPECT_EQ(p.tuple, tuple4(proto_udp, 5, 6));
}

TEST(Parse, ip6_extension_headers_are_skipped) {
    const Parsed p = parsed(
        ip6()
            .extension(0, {0, 1, 4, 0, 0, 0, 0})
            .extension(60, {1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
            .extension(51, {4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
            .tcp(1, 2, tcp_ack));
    ASSERT_EQ(p.error, ParseError::none);
    EXPECT_EQ(p.headers.family, Family::ip6);
    EXPECT_EQ(p.headers.proto, proto_tcp);
    EXPECT_EQ(p.headers.l4, 14 + 40 + 8 + 16 + 24);
    EXPECT_EQ(p.tuple.src_port, 1);
    EXPECT_EQ(p.tuple.proto, proto_tcp);
}

TEST(Parse, what_is_not_ip_has_only_an_ethertype) {
    const Parsed p = parsed(FrameBuilder().vlan(9).ethertype(ethertype_arp).payload(28));
    ASSERT_EQ(p.error, ParseError::none);
    EXPECT_EQ(p.headers.ethertype, ethertype_arp);
    EXPECT_EQ(p.headers.family, Family::none);
    EXPECT_EQ(p.headers.l3, 18);
    EXPECT_EQ(p.tuple, Tuple{});
}

TEST(Parse, unknown_transport_has_no_ports) {
    const Parsed p = parsed(ip4().proto(47).payload(20));
    ASSERT_EQ(p.error, ParseError::none);
    EXPECT_EQ(p.headers.l4, 0);
    EXPECT_EQ(p.tuple, tuple4(47, 0, 0));
    EXPECT_EQ(parsed(ip4().proto(99)).error, ParseError::none);  // and perhaps no content
}

TEST(Parse, sctp_has_ports) {
    const Parsed p = parsed(ip4().proto(proto_sctp).payload(12));
    ASSERT_EQ(p.error, ParseError::none);
    EXPECT_EQ(p.tuple, tuple4(proto_sctp, 0x0001, 0x0203));
    EXPECT_EQ(parsed(ip4().proto(proto_sctp).payload(11)).error, ParseError::short_l4);
}

TEST(Parse, fragments_of_both_families) {
    for (FrameBuilder base : {ip4(), ip6()}) {
        const Parsed first = parsed(FrameBuilder(base).udp(5, 6).fragment(99, 0, true).payload(8));
        ASSERT_EQ(first.error, ParseError::none);
        EXPECT_EQ(first.headers.fragment, Fragment::first);
        EXPECT_EQ(first.tuple.src_port, 5);
        const Parsed later =
            parsed(FrameBuilder(base).udp(5, 6).fragment(99, 1480, false).payload(9));
        ASSERT_EQ(later.error, ParseError::none);
        EXPECT_EQ(later.headers.fragment, Fragment::later);
        EXPECT_EQ(later.headers.fragment_offset, 1480);
        EXPECT_EQ(later.headers.fragment_id, 99u);
        EXPECT_FALSE(later.headers.fragment_more);
        EXPECT_EQ(later.headers.l4, 0);
        EXPECT_EQ(later.tuple.proto, proto_udp);
        EXPECT_EQ(later.tuple.src_port, 0);
        EXPECT_EQ(later.headers.l3_end - later.headers.payload, 9);
        const Parsed middle =
            parsed(FrameBuilder(base).udp(5, 6).fragment(99, 8, true).payload(16));
        EXPECT_EQ(middle.headers.fragment, Fragment::later);
        EXPECT_TRUE(middle.headers.fragment_more);
    }
    // RFC 6946: a fragment header on a whole packet
    EXPECT_EQ(parsed(ip6().udp(5, 6).fragment(99, 0, false)).headers.fragment, Fragment::whole);
}

TEST(Parse, echo_request_and_reply_are_each_others_reverse) {
    for (FrameBuilder base : {ip4(), ip6()}) {
        const Parsed request = parsed(FrameBuilder(base).echo(700, 1));
        const Ip src = base.spec().src, dst = base.spec().dst;
        const Parsed reply = parsed(FrameBuilder(base).ip(dst, src).echo(700, 1, true));
        ASSERT_EQ(request.error, ParseError::none);
        EXPECT_EQ(request.tuple.src_port, 700);
        EXPECT_EQ(request.tuple.dst_port, src.is4() ? 8 : 128);
        EXPECT_EQ(reply.tuple.reversed(), request.tuple);
        EXPECT_EQ(symmetric_hash(reply.tuple), symmetric_hash(request.tuple));
        // The other side pinging with the same identifier is another flow.
        const Parsed other = parsed(FrameBuilder(base).ip(dst, src).echo(700, 1));
        EXPECT_NE(other.tuple.reversed(), request.tuple);
    }
}

TEST(Parse, other_icmp_has_its_type_in_both_ports) {
    const Parsed p = parsed(ip6().icmp(135, 0, 0).payload(16));
    ASSERT_EQ(p.error, ParseError::none);
    EXPECT_EQ(p.tuple.src_port, 135);
    EXPECT_EQ(p.tuple.dst_port, 135);
    EXPECT_EQ(p.headers.icmp_type, 135);
    EXPECT_FALSE(p.headers.icmp_error);
}

TEST(Parse, icmp_error_carries_the_quoted_tuple_reversed) {
    // 10.0.0.1 → 10.0.0.2 was sent; a router 10.0.0.9 reports to 10.0.0.1.
    const Frame quote = quoted(ip4().tcp(4000, 80, tcp_syn), 28);
    const Parsed p =
        parsed(FrameBuilder().ip("10.0.0.9", "10.0.0.1").icmp(3, 4, 1400).payload(quote));
    ASSERT_EQ(p.error, ParseError::none);
    EXPECT_TRUE(p.headers.icmp_error);
    EXPECT_EQ(p.headers.icmp_type, 3);
    EXPECT_EQ(p.headers.icmp_code, 4);
    EXPECT_EQ(p.tuple, tuple4(proto_tcp, 4000, 80).reversed());
    const Parsed p6 = parsed(FrameBuilder()
                                 .ip("fd00::9", "2001:db8::1")
                                 .icmp(2, 0, 1280)
                                 .payload(quoted(ip6().udp(7, 8))));
    ASSERT_EQ(p6.error, ParseError::none);
    EXPECT_TRUE(p6.headers.icmp_error);
    EXPECT_EQ(p6.tuple.src.text(), "2001:db8::2");
    EXPECT_EQ(p6.tuple.src_port, 8);
}

TEST(Parse, icmp_error_about_an_echo_and_about_a_later_fragment) {
    const Parsed echo = parsed(
        FrameBuilder().ip("10.0.0.9", "10.0.0.1").icmp(11, 0, 0).payload(quoted(ip4().echo(5, 1))));
    ASSERT_EQ(echo.error, ParseError::none);
    EXPECT_EQ(echo.tuple, tuple4(proto_icmp, 5, 8).reversed());
    const Frame later = quoted(ip4().udp(5, 6).fragment(1, 1480, true).payload(1480), 28);
    const Parsed fragment =
        parsed(FrameBuilder().ip("10.0.0.9", "10.0.0.1").icmp(11, 0, 0).payload(later));
    ASSERT_EQ(fragment.error, ParseError::none);
    EXPECT_EQ(fragment.tuple, tuple4(proto_udp, 0, 0).reversed());
}

TEST(Parse, icmp_error_with_an_unusable_quotation) {
    const FrameBuilder error = FrameBuilder().ip("10.0.0.9", "10.0.0.1").icmp(3, 1, 0);
    const Frame inner = quoted(ip4().udp(5, 6).payload(20));
    for (std::size_t bytes = 0; bytes < 24; ++bytes) {
        const Frame cut(inner.begin(), inner.begin() + static_cast<std::ptrdiff_t>(bytes));
        EXPECT_EQ(parsed(FrameBuilder(error).payload(cut)).error, ParseError::bad_icmp_embedded);
    }
    const Frame about_error = quoted(ip4().icmp(3, 1, 0).payload(quoted(ip4().udp(5, 6))));
    EXPECT_EQ(parsed(FrameBuilder(error).payload(about_error)).error,
              ParseError::bad_icmp_embedded);
    EXPECT_EQ(parsed(FrameBuilder(error).payload(quoted(ip6().udp(5, 6)))).error,
              ParseError::bad_icmp_embedded);
}

TEST(Parse, names_each_fault_of_the_link_and_ip4_headers) {
    EXPECT_EQ(parsed(Frame(13)).error, ParseError::short_frame);
    EXPECT_EQ(parsed(ip4().vlan(1).vlan(2).vlan(3).udp(1, 2)).error, ParseError::bad_vlan);
    const Frame good = ip4().udp(1, 2).payload(8).build();
    Frame frame(good.begin(), good.begin() + 33);
    EXPECT_EQ(parsed(frame).error, ParseError::short_ip_header);
    frame = good;
    frame[14] = 0x65;
    EXPECT_EQ(parsed(frame).error, ParseError::bad_ip_version);
    frame = good;
    frame[14] = 0x44;
    EXPECT_EQ(parsed(frame).error, ParseError::bad_ip_header);
    frame = Frame(good.begin(), good.begin() + 36);
    frame[14] = 0x4f;
    EXPECT_EQ(parsed(frame).error, ParseError::short_ip_header);
    frame = good;
    store16(frame.data() + 16, 19);
    EXPECT_EQ(parsed(with_ip4_checksum(frame)).error, ParseError::bad_ip_length);
    store16(frame.data() + 16, static_cast<std::uint16_t>(frame.size() - 14 + 1));
    EXPECT_EQ(parsed(with_ip4_checksum(frame)).error, ParseError::bad_ip_length);
    EXPECT_EQ(parsed(ip4().udp(1, 2).bad_ip_checksum()).error, ParseError::bad_ip_checksum);
    EXPECT_EQ(parsed(ip4().ip4_options({131, 3, 4, 0}).udp(1, 2)).error, ParseError::source_routed);
    EXPECT_EQ(parsed(ip4().ip4_options({137, 4, 4, 0}).udp(1, 2)).error, ParseError::source_routed);
    EXPECT_EQ(parsed(ip4().ip4_options({7, 5, 4, 0}).udp(1, 2)).error, ParseError::bad_ip_header);
    EXPECT_EQ(parsed(ip4().ip4_options({1, 1, 1, 7}).udp(1, 2)).error, ParseError::bad_ip_header);
    EXPECT_EQ(parsed(ip4().ip4_options({7, 1, 1, 1}).udp(1, 2)).error, ParseError::bad_ip_header);
}

TEST(Parse, names_each_fault_of_ip6) {
    const Frame good = ip6().udp(1, 2).payload(8).build();
    EXPECT_EQ(parsed(Frame(good.begin(), good.begin() + 53)).error, ParseError::short_ip_header);
    EXPECT_EQ(parsed(Frame(good.begin(), good.end() - 1)).error, ParseError::bad_ip_length);
    Frame frame = good;
    frame[14] = 0x40;
    EXPECT_EQ(parsed(frame).error, ParseError::bad_ip_version);
    frame = good;
    std::memset(frame.data() + 22, 0, 16);
    frame[32] = frame[33] = 0xff;
    EXPECT_EQ(parsed(frame).error, ParseError::bad_address);
    const std::vector<std::uint8_t> pad = {0, 1, 4, 0, 0, 0, 0};
    EXPECT_EQ(parsed(ip6().extension(43, {0, 0, 1, 0, 0, 0, 0}).udp(1, 2)).error,
              ParseError::source_routed);
    EXPECT_EQ(parsed(ip6().extension(43, {0, 0, 0, 0, 0, 0, 0}).udp(1, 2)).error, ParseError::none);
    EXPECT_EQ(parsed(ip6().extension(60, pad).extension(0, pad).udp(1, 2)).error,
              ParseError::bad_extension);
    EXPECT_EQ(parsed(ip6().extension(60, {9, 1, 4, 0, 0, 0, 0}).udp(1, 2)).error,
              ParseError::bad_extension);
    EXPECT_EQ(parsed(ip6().extension(60, {0, 1}).proto(59)).error, ParseError::bad_extension);
    EXPECT_EQ(
        parsed(ip6().extension(44, {0, 0, 0, 0, 0, 0, 1}).udp(1, 2).fragment(1, 0, true)).error,
        ParseError::bad_extension);
    FrameBuilder chain = ip6();
    for (unsigned i = 0; i < max_extension_headers; ++i) chain.extension(60, pad);
    EXPECT_EQ(parsed(FrameBuilder(chain).udp(1, 2)).error, ParseError::none);
    EXPECT_EQ(parsed(chain.extension(60, pad).udp(1, 2)).error, ParseError::bad_extension);
}

TEST(Parse, names_each_fault_of_fragments) {
    for (FrameBuilder base : {ip4(), ip6()}) {
        const auto error = [&](const FrameBuilder& builder) { return parsed(builder).error; };
        EXPECT_EQ(error(FrameBuilder(base).udp(1, 2).fragment(1, 8, true).payload(9)),
                  ParseError::bad_fragment);
        EXPECT_EQ(error(FrameBuilder(base).udp(1, 2).fragment(1, 65528, false).payload(8)),
                  ParseError::bad_fragment);
        EXPECT_EQ(error(FrameBuilder(base).udp(1, 2).fragment(1, 65528, false).payload(7)),
                  ParseError::none);
        EXPECT_EQ(error(FrameBuilder(base).tcp(1, 2, 0).fragment(1, 8, false).payload(12)),
                  ParseError::bad_fragment);
        EXPECT_EQ(error(FrameBuilder(base).tcp(1, 2, 0).fragment(1, 24, false).payload(12)),
                  ParseError::none);
        // RFC 1858, RFC 7112: a first fragment too small for its TCP header
        Frame tiny = FrameBuilder(base).proto(99).fragment(1, 0, true).payload(16).build();
        tiny[base.spec().src.is4() ? 14 + 9 : 14 + 40] = proto_tcp;
        EXPECT_EQ(parsed(base.spec().src.is4() ? with_ip4_checksum(tiny) : tiny).error,
                  ParseError::short_l4);
    }
}

TEST(Parse, names_each_fault_of_the_transport) {
    for (FrameBuilder base : {ip4(), ip6()}) {
        const Frame tcp = FrameBuilder(base).tcp(1, 2, tcp_ack).payload(4).build();
        const std::size_t l4 = tcp.size() - 24;
        Frame frame = tcp;
        frame[l4 + 12] = 0x40;
        EXPECT_EQ(parsed(frame).error, ParseError::bad_tcp_header);
        frame[l4 + 12] = 0x70;
        EXPECT_EQ(parsed(frame).error, ParseError::bad_tcp_header);
        frame[l4 + 12] = 0x60;
        EXPECT_EQ(parsed(frame).error, ParseError::none);
        Frame udp = FrameBuilder(base).udp(1, 2).payload(4).build();
        store16(udp.data() + l4 + 4, 7);
        EXPECT_EQ(parsed(udp).error, ParseError::bad_udp_length);
        store16(udp.data() + l4 + 4, 13);
        EXPECT_EQ(parsed(udp).error, ParseError::bad_udp_length);
        store16(udp.data() + l4 + 4, 11);
        EXPECT_EQ(parsed(udp).error, ParseError::none);
    }
    // Too short a packet for the header that its protocol promises.
    for (std::uint8_t proto : {proto_tcp, proto_udp, proto_icmp}) {
        Frame frame = ip4().proto(99).payload(7).build();
        frame[14 + 9] = proto;
        EXPECT_EQ(parsed(with_ip4_checksum(frame)).error, ParseError::short_l4) << int{proto};
    }
}

// Every truncation of every kind of packet, its end placed at an unmapped page: reading one byte
// too far ends the test run.
TEST(Parse, never_reads_behind_the_frame) {
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    void* const area =
        mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(area, MAP_FAILED);
    std::uint8_t* const end = static_cast<std::uint8_t*>(area) + page;
    ASSERT_EQ(mprotect(end, page, PROT_NONE), 0);
    const Frame frames[] = {
        ip4().vlan(1).vlan(2).ip4_options({7, 3, 4, 0}).tcp(1, 2, tcp_ack).payload(4).build(),
        ip6().extension(0, {0, 1, 4, 0, 0, 0, 0}).fragment(1, 0, true).udp(1, 2).payload(8).build(),
        FrameBuilder()
            .ip("10.0.0.9", "10.0.0.1")
            .icmp(11, 0, 0)
            .payload(quoted(ip4().udp(5, 6)))
            .build(),
        FrameBuilder()
            .ip("fd00::9", "fd00::1")
            .icmp(1, 0, 0)
            .payload(quoted(ip6().echo(5, 6)))
            .build(),
    };
    for (const Frame& frame : frames) {
        for (std::size_t length = 0; length <= frame.size(); ++length) {
            std::uint8_t* const start = end - length;
            std::memcpy(start, frame.data(), length);
            Headers headers;
            Tuple tuple;
            const ParseError error = parse_inner({start, length}, headers, tuple);
            EXPECT_EQ(error == ParseError::none, length == frame.size()) << length;
        }
    }
    munmap(area, 2 * page);
}

TEST(Parse, forgets_the_packet_before) {
    PacketBuffer first = ip4().vlan(5).tcp(1, 2, tcp_ack).packet();
    ASSERT_EQ(parse(first.packet()), ParseError::none);
    const Frame arp = FrameBuilder().ethertype(ethertype_arp).payload(28).build();
    std::memcpy(first.packet().data, arp.data(), arp.size());
    ASSERT_EQ(parse(first.packet()), ParseError::none);
    EXPECT_EQ(first.packet().headers.vlan_count, 0);
    EXPECT_EQ(first.packet().headers.l4, 0);
    EXPECT_EQ(first.packet().tuple, Tuple{});
}

TEST(Parse, every_error_has_a_name_of_its_own) {
    for (std::uint8_t i = 0; i < static_cast<std::uint8_t>(ParseError::count_); ++i)
        for (std::uint8_t j = 0; j < i; ++j)
            EXPECT_STRNE(name(static_cast<ParseError>(i)), name(static_cast<ParseError>(j)));
}

}  // namespace
}  // namespace weir::net
