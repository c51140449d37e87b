#include "net/quick.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "net/builder.hpp"
#include "net/checksum.hpp"
#include "net/parse.hpp"

namespace weir::net {
namespace {

using Frame = std::vector<std::uint8_t>;

// True: read_quick() took it. Whatever it takes, parse() must take, and see the same in it.
bool agrees(const Frame& frame) {
    QuickFrame quick;
    if (!read_quick(frame.data(), static_cast<std::uint32_t>(frame.size()), quick)) return false;
    Headers headers;
    Tuple tuple;
    EXPECT_EQ(parse_inner(frame, headers, tuple), ParseError::none);
    EXPECT_EQ(quick.tuple, tuple);
    EXPECT_EQ(quick.hash, symmetric_hash(tuple));
    EXPECT_EQ(quick.upward, runs_upward(tuple));
    EXPECT_EQ(quick.ip4(), headers.family == Family::ip4);
    EXPECT_EQ(quick.l4, headers.l4);
    EXPECT_EQ(quick.l3_end, headers.l3_end);
    EXPECT_EQ(quick.ttl(frame.data()), headers.ttl);
    EXPECT_EQ(headers.vlan_count, 0);
    EXPECT_EQ(headers.fragment, Fragment::whole);
    EXPECT_TRUE(tuple.proto == proto_tcp || tuple.proto == proto_udp);
    return true;
}

FrameBuilder ip4() {
    return FrameBuilder().ip("10.0.0.1", "10.0.0.2");
}
FrameBuilder ip6() {
    return FrameBuilder().ip("2001:db8::1", "2001:db8::2");
}

TEST(Quick, TakesPlainTcpAndUdp) {
    for (const FrameBuilder& start : {ip4(), ip6()}) {
        FrameBuilder tcp = start, udp = start;
        EXPECT_TRUE(agrees(tcp.tcp(4000, 80, 0x10).payload(100).build()));
        EXPECT_TRUE(agrees(udp.udp(4000, 53).payload(64).build()));
    }
}

TEST(Quick, LeavesEverythingElseToParse) {
    EXPECT_FALSE(agrees(ip4().vlan(7).udp(1, 2).payload(64).build()));
    EXPECT_FALSE(agrees(ip4().ip4_options({1, 1, 1, 1}).udp(1, 2).payload(64).build()));
    EXPECT_FALSE(agrees(ip4().fragment(1, 0, true).udp(1, 2).payload(64).build()));
    EXPECT_FALSE(agrees(ip4().fragment(1, 64, false).proto(17).payload(64).build()));
    EXPECT_FALSE(agrees(ip4().bad_ip_checksum().udp(1, 2).payload(64).build()));
    EXPECT_FALSE(agrees(ip4().echo(1, 2).payload(64).build()));
    EXPECT_FALSE(agrees(ip6().extension(0, {1, 4, 0, 0, 0, 0}).udp(1, 2).payload(64).build()));
    EXPECT_FALSE(agrees(Frame(60)));
    EXPECT_FALSE(agrees(Frame(13)));
}

TEST(Quick, NeverReadsMoreIntoAFrameThanParse) {
    std::mt19937_64 random(5);
    std::uint32_t taken = 0;
    for (int i = 0; i < 200'000; ++i) {
        FrameBuilder builder = random() % 2 ? ip4() : ip6();
        if (random() % 2) builder.tcp(1, 2, static_cast<std::uint8_t>(random()));
        else builder.udp(1, 2);
        Frame frame = builder.payload(random() % 64).build();
        for (std::uint64_t flips = random() % 4; flips > 0; --flips)
            frame[12 + random() % (frame.size() - 12)] = static_cast<std::uint8_t>(random());
        if (random() % 8 == 0) frame.resize(random() % (frame.size() + 1));
        if (random() % 2 && frame.size() >= 34 && frame[12] == 8 && frame[14] == 0x45)
            fill_ip4_checksum(std::span(frame).subspan(14, 20));
        taken += agrees(frame);
        if (HasFailure()) FAIL() << "frame " << i;
    }
    EXPECT_GT(taken, 50'000u);
}

}  // namespace
}  // namespace weir::net
