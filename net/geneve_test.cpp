#include "net/geneve.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <vector>

#include "net/builder.hpp"
#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/parse.hpp"
#include "net/smd_codec.hpp"

namespace weir::net {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes option(std::uint16_t option_cls, std::uint8_t type, std::size_t content_bytes) {
    Bytes out(4 + content_bytes);
    store16(out.data(), option_cls);
    out[2] = type;
    out[3] = static_cast<std::uint8_t>(content_bytes / 4);
    return out;
}
Bytes ours(std::uint8_t type, std::size_t content_bytes) {
    return option(option_class, type, content_bytes);
}

Bytes header(std::initializer_list<Bytes> options) {
    Bytes out = {0, 0, 0x65, 0x58, 0, 0x23, 0x29, 0};  // VNI 9001
    for (const Bytes& bytes : options) out.insert(out.end(), bytes.begin(), bytes.end());
    out[0] = static_cast<std::uint8_t>((out.size() - 8) / 4);
    return out;
}

GeneveError error_of(const Bytes& bytes) {
    GeneveView view;
    return decode(bytes, view);
}

Smd example_smd() {
    Smd smd;
    smd.spi = 77;
    smd.si = smd.initial_si = 2;
    smd.sci = 5;
    smd.anchor_host = 3;
    smd.original_dst = Mac{{2, 0, 0, 0, 0, 1}};
    return smd;
}

TEST(Geneve, plain_header_has_no_options) {
    PacketBuffer buffer = FrameBuilder().ip("10.0.0.1", "10.0.0.2").udp(1, 2).packet();
    const Bytes inner = buffer.frame();
    ASSERT_TRUE(push_geneve(buffer.packet(), 5001, nullptr, nullptr, nullptr, false));
    const Bytes expected = {0, 0, 0x65, 0x58, 0, 0x13, 0x89, 0};
    EXPECT_EQ(Bytes(buffer.packet().data, buffer.packet().data + 8), expected);
    GeneveView view;
    ASSERT_EQ(decode(buffer.packet().bytes(), view), GeneveError::none);
    EXPECT_EQ(view.vni, 5001u);
    EXPECT_EQ(view.header_bytes, 8);
    EXPECT_EQ(Bytes(view.inner.begin(), view.inner.end()), inner);
    EXPECT_FALSE(view.smd || view.trace || view.serviced || view.live);
}

TEST(Geneve, smd_is_a_critical_option_of_eleven_words) {
    PacketBuffer buffer(Bytes(60));
    const Smd smd = example_smd();
    ASSERT_TRUE(push_geneve(buffer.packet(), 9001, &smd, nullptr, nullptr, true));
    const std::uint8_t* p = buffer.packet().data;
    EXPECT_EQ(p[0], 12);    // option words
    EXPECT_EQ(p[1], 0xc0);  // O and C
    EXPECT_EQ(load32(p + 8), 0xff53810bu);
    GeneveView view;
    ASSERT_EQ(decode(buffer.packet().bytes(), view), GeneveError::none);
    EXPECT_TRUE(view.oam);
    EXPECT_TRUE(view.critical);
    EXPECT_EQ(view.smd, smd);
}

TEST(Geneve, every_option_comes_back) {
    const Smd smd = example_smd();
    const SmdTrace trace{0x01020304, 0x05060708};
    const Serviced serviced{serviced_flag | serviced_reverse, 0x0a0b0c, 0x11121314};
    const Live live{1, 2, 3};
    const Bytes auth = counting_payload(auth_bytes), ctrl = counting_payload(ctrl_bytes);
    GeneveHeader header;
    header.vni = 0xffffff;
    header.smd = &smd;
    header.auth = auth;
    header.ctrl[0] = ctrl;
    header.ctrl_count = 1;
    header.live = &live;
    header.trace = &trace;
    header.serviced = &serviced;
    PacketBuffer buffer(Bytes(14));
    ASSERT_TRUE(push_geneve(buffer.packet(), header));
    EXPECT_EQ(buffer.packet().length, header_bytes(header) + 14);
    GeneveView view;
    ASSERT_EQ(decode(buffer.packet().bytes(), view), GeneveError::none);
    EXPECT_EQ(view.vni, 0xffffffu);
    EXPECT_EQ(view.smd, smd);
    EXPECT_EQ(view.live, live);
    EXPECT_EQ(view.trace->trace_id, trace.trace_id);
    EXPECT_EQ(view.trace->collector_host, trace.collector_host);
    EXPECT_EQ(view.serviced->flags, serviced.flags);
    EXPECT_EQ(view.serviced->sci, serviced.sci);
    EXPECT_EQ(view.serviced->anchor_host, serviced.anchor_host);
    EXPECT_EQ(Bytes(view.auth.begin(), view.auth.end()), auth);
    ASSERT_EQ(view.ctrl_count, 1);
    EXPECT_EQ(Bytes(view.ctrl[0].begin(), view.ctrl[0].end()), ctrl);
}

TEST(Geneve, refuses_what_does_not_fit_and_leaves_the_packet_alone) {
    const Smd smd = example_smd();
    PacketBuffer buffer(Bytes(14), 55);  // one byte short
    EXPECT_FALSE(push_geneve(buffer.packet(), 1, &smd, nullptr, nullptr, false));
    EXPECT_EQ(buffer.packet().length, 14u);
    EXPECT_EQ(buffer.packet().headroom, 55u);
    GeneveHeader header;
    header.ctrl_count = max_ctrl_options + 1;
    PacketBuffer roomy(Bytes(14), 1000);
    EXPECT_FALSE(push_geneve(roomy.packet(), header));
    const Bytes content(ctrl_bytes);
    header.ctrl = {content, content, content, content};
    header.ctrl_count = max_ctrl_options;
    const Bytes auth(auth_bytes);
    const Live live;
    header.smd = &smd;
    header.auth = auth;
    header.live = &live;
    const SmdTrace trace;
    const Serviced serviced;
    header.trace = &trace;
    header.serviced = &serviced;
    EXPECT_TRUE(push_geneve(roomy.packet(), header));  // all at once fit
    header.auth = std::span(auth).first(20);
    EXPECT_FALSE(push_geneve(roomy.packet(), header));
}

TEST(GeneveDecode, names_each_fault) {
    EXPECT_EQ(error_of(Bytes(7)), GeneveError::short_header);
    Bytes bytes = header({});
    bytes[0] |= 0x40;
    EXPECT_EQ(error_of(bytes), GeneveError::bad_version);
    bytes = header({ours(option_trace, 12)});
    bytes.pop_back();
    EXPECT_EQ(error_of(bytes), GeneveError::options_overrun);
    bytes = header({ours(option_trace, 12)});
    bytes[11] = 4;  // one word beyond the option length
    bytes.resize(bytes.size() + 64);
    EXPECT_EQ(error_of(bytes), GeneveError::options_overrun);
    EXPECT_EQ(error_of(header({option(0x0101, 0x80, 4)})), GeneveError::unknown_critical);
    EXPECT_EQ(error_of(header({ours(0x84, 12)})), GeneveError::unknown_critical);
    EXPECT_EQ(error_of(header({option(0x0101, option_smd, smd_bytes)})),
              GeneveError::unknown_critical);
    const Bytes smd = ours(option_smd, smd_bytes), auth = ours(option_auth, auth_bytes);
    EXPECT_EQ(error_of(header({smd, smd})), GeneveError::duplicate_smd);
    EXPECT_EQ(error_of(header({auth, auth})), GeneveError::duplicate_auth);
    EXPECT_EQ(error_of(header({ours(4, 12), ours(4, 12)})), GeneveError::duplicate_live);
    EXPECT_EQ(error_of(header({ours(5, 12), ours(5, 12)})), GeneveError::duplicate_trace);
    EXPECT_EQ(error_of(header({ours(6, 8), ours(6, 8)})), GeneveError::duplicate_serviced);
    const Bytes ctrl = ours(option_ctrl, ctrl_bytes);
    EXPECT_EQ(error_of(header({ctrl, ctrl, ctrl, ctrl})), GeneveError::none);
    EXPECT_EQ(error_of(header({ctrl, ctrl, ctrl, ctrl, ctrl})), GeneveError::too_many_ctrl);
    EXPECT_EQ(error_of(header({ours(option_smd, 40)})), GeneveError::bad_smd_length);
    EXPECT_EQ(error_of(header({ours(option_smd, 48)})), GeneveError::bad_smd_length);
    EXPECT_EQ(error_of(header({ours(option_auth, 20)})), GeneveError::bad_auth_length);
    EXPECT_EQ(error_of(header({ours(option_ctrl, 24)})), GeneveError::bad_ctrl_length);
    EXPECT_EQ(error_of(header({ours(option_live, 8)})), GeneveError::bad_live_length);
    EXPECT_EQ(error_of(header({ours(option_trace, 8)})), GeneveError::bad_trace_length);
    EXPECT_EQ(error_of(header({ours(option_serviced, 4)})), GeneveError::bad_serviced_length);
    Bytes version = smd, zz = smd;
    version[4] = 0x40;
    zz[6] = 0x80;
    EXPECT_EQ(error_of(header({version})), GeneveError::bad_smd_version);
    EXPECT_EQ(error_of(header({zz})), GeneveError::bad_smd_zz);
}

// SEC-6: the first failure in its order is the one that counts, wherever the others stand.
TEST(GeneveDecode, order_of_checks) {
    const Bytes short_smd = ours(option_smd, 40), smd = ours(option_smd, smd_bytes);
    EXPECT_EQ(error_of(header({short_smd, option(1, 0x80, 0)})), GeneveError::unknown_critical);
    EXPECT_EQ(error_of(header({short_smd, smd})), GeneveError::duplicate_smd);
    EXPECT_EQ(error_of(header({ours(option_auth, 4), short_smd})), GeneveError::bad_smd_length);
    Bytes both = smd;
    both[4] = 0x40;
    both[6] = 0x80;
    EXPECT_EQ(error_of(header({both})), GeneveError::bad_smd_version);
}

TEST(GeneveDecode, skips_unknown_options_that_are_not_critical) {
    GeneveView view;
    const Bytes bytes = header({option(0x0101, 0x01, 124), ours(0x07, 0), ours(option_trace, 12)});
    ASSERT_EQ(decode(bytes, view), GeneveError::none);
    EXPECT_TRUE(view.trace.has_value());
    EXPECT_TRUE(view.inner.empty());
}

TEST(Outer, source_port_has_the_flows_entropy) {
    std::mt19937 random(6);
    std::vector<bool> seen(65536);
    for (int i = 0; i < 200000; ++i) {
        const std::uint16_t port = outer_source_port(static_cast<std::uint32_t>(random()));
        ASSERT_GE(port, 49152);
        seen[port] = true;
    }
    EXPECT_GT(std::count(seen.begin(), seen.end(), true), 16300);
}

OuterAddresses way(const char* src, const char* dst) {
    return {Ip::parse(src).value(), Ip::parse(dst).value(), Mac{{2, 0, 0, 0, 0, 9}},
            Mac{{2, 0, 0, 0, 0, 8}}, 0xb8};
}

TEST(Outer, ip4_is_what_the_rfcs_say) {
    PacketBuffer buffer(counting_payload(100));
    ASSERT_TRUE(push_geneve(buffer.packet(), 5001, nullptr, nullptr, nullptr, false));
    ASSERT_TRUE(push_outer(buffer.packet(), way("10.9.0.1", "10.9.0.2"), 50000, 64));
    const Headers written = buffer.packet().headers;
    ASSERT_EQ(parse(buffer.packet()), ParseError::none);
    const Headers& headers = buffer.packet().headers;
    const std::uint8_t* ip = buffer.packet().data + headers.l3;
    EXPECT_EQ(buffer.packet().length, 108u + outer_bytes_ip4);
    EXPECT_EQ(buffer.packet().tuple.src_port, 50000);
    EXPECT_EQ(buffer.packet().tuple.dst_port, udp_port_geneve);
    EXPECT_EQ(ip[1], 0xb8);
    EXPECT_EQ(load16(ip + 4), 0);       // id, RFC 6864
    EXPECT_EQ(load16(ip + 6), 0x4000);  // DF
    EXPECT_EQ(load16(ip + 20 + 6), 0);  // no UDP checksum
    EXPECT_EQ(headers.l3_end, buffer.packet().length);
    EXPECT_EQ(written.l4, headers.l4);
    EXPECT_EQ(written.payload, headers.payload);
    EXPECT_EQ(written.l3_end, headers.l3_end);
    EXPECT_EQ(Mac::from(buffer.packet().data).text(), "02:00:00:00:00:08");
    GeneveView view;
    EXPECT_EQ(decode(buffer.packet().bytes().subspan(headers.payload), view), GeneveError::none);
    EXPECT_EQ(view.vni, 5001u);
}

TEST(Outer, ip6_has_a_checksum) {
    PacketBuffer buffer(counting_payload(101));
    ASSERT_TRUE(push_geneve(buffer.packet(), 5001, nullptr, nullptr, nullptr, false));
    ASSERT_TRUE(push_outer(buffer.packet(), way("fd00::1", "fd00::2"), 50000, 64));
    ASSERT_EQ(parse(buffer.packet()), ParseError::none);
    EXPECT_EQ(buffer.packet().length, 109u + outer_bytes_ip6);
    EXPECT_NE(load16(buffer.packet().data + buffer.packet().headers.l4 + 6), 0);
    EXPECT_TRUE(l4_checksum_ok(buffer.packet()));
    buffer.packet().data[buffer.packet().length - 1] ^= 1;
    EXPECT_FALSE(l4_checksum_ok(buffer.packet()));
}

TEST(Outer, refuses_mixed_families_little_room_and_too_much) {
    PacketBuffer buffer(Bytes(100), outer_bytes_ip4 - 1);
    EXPECT_FALSE(push_outer(buffer.packet(), way("10.9.0.1", "10.9.0.2"), 50000, 64));
    EXPECT_EQ(buffer.packet().length, 100u);
    PacketBuffer roomy(Bytes(100));
    EXPECT_FALSE(push_outer(roomy.packet(), way("10.9.0.1", "fd00::2"), 50000, 64));
    PacketBuffer large(Bytes(65535 - outer_bytes_ip4 + 1));
    EXPECT_FALSE(push_outer(large.packet(), way("10.9.0.1", "10.9.0.2"), 50000, 64));
    PacketBuffer largest(Bytes(65535 - outer_bytes_ip4));
    EXPECT_TRUE(push_outer(largest.packet(), way("10.9.0.1", "10.9.0.2"), 50000, 64));
}

TEST(GeneveDecode, every_error_has_a_name_of_its_own) {
    for (std::uint8_t i = 0; i < static_cast<std::uint8_t>(GeneveError::count_); ++i)
        for (std::uint8_t j = 0; j < i; ++j)
            EXPECT_STRNE(name(static_cast<GeneveError>(i)), name(static_cast<GeneveError>(j)));
}

}  // namespace
}  // namespace weir::net
