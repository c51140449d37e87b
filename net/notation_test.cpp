#include "net/notation.hpp"

#include <gtest/gtest.h>

#include "net/builder.hpp"
#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/geneve.hpp"
#include "net/nsh.hpp"
#include "net/parse.hpp"

namespace weir::net {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes frame_of(std::string_view line) {
    const Result<Bytes> frame = parse_notation(line);
    EXPECT_TRUE(frame.ok()) << line << ": " << frame.error().text();
    return frame.ok() ? *frame : Bytes{};
}

// Lines in their canonical form: what describe() says of the frame they make.
const char* const canonical[] = {
    "tcp 10.0.0.1:4000 > 10.0.0.10:80 syn seq=1 len=100",
    "tcp 10.0.0.1:4000 > 10.0.0.10:80 psh ack seq=1 ack=2 win=10 opts=020405b4 len=3 ttl=63 df",
    "tcp [fd00::1]:1 > [fd00::2]:2 fin ack tos=184 vlan=100 vlan=8199 smac=02:00:00:00:00:07",
    "udp [2001:db8::1]:5 > [2001:db8::2]:53 len=10",
    "udp 10.0.0.1:5 > 10.0.0.2:53 data=c0ffee dmac=ff:ff:ff:ff:ff:ff",
    "udp 10.0.0.1:5 > 10.0.0.2:53 len=4 no-checksum",
    "udp 10.0.0.1:5 > 10.0.0.2:53 len=4 bad-ip-checksum bad-checksum",
    "udp 10.0.0.1:5 > 10.0.0.2:53 len=8 frag=0:more ipid=77",
    "ip 10.0.0.1 > 10.0.0.2 proto=17 len=9 frag=1480:last ipid=77 ipopts=94040000",
    "ip fd00::1 > fd00::2 proto=17 len=16 frag=8:more ipid=4294967295",
    "icmp 10.0.0.1 > 10.0.0.2 echo id=7 seq=1 len=56",
    "icmp 10.0.0.2 > 10.0.0.1 echo-reply id=7 seq=1",
    "icmp6 fd00::1 > fd00::2 echo id=65535 seq=0 ttl=1",
    "icmp6 fd00::1 > ff02::2 type=133 ttl=255",
    "icmp 10.0.0.9 > 10.0.0.1 time-exceeded about {udp 10.0.0.1:5 > 10.1.0.1:53 len=10 ttl=1}",
    "icmp 10.0.0.9 > 10.0.0.1 frag-needed mtu=1400 about {tcp 10.0.0.1:5 > 10.1.0.1:53 ack "
    "len=1460 "
    "df} quote=548",
    "icmp 10.0.0.9 > 10.0.0.1 port-unreachable about {udp 10.0.0.1:5 > 10.1.0.1:53 len=99} "
    "quote=28",
    "icmp6 fd00::9 > fd00::1 too-big mtu=1280 about {icmp6 fd00::1 > fd01::1 echo id=1 seq=2 "
    "len=99}",
    "icmp 10.0.0.9 > 10.0.0.1 admin-prohibited about {ip 10.0.0.1 > 10.0.0.2 proto=47 len=12}",
    "ip 10.0.0.1 > 10.0.0.2 proto=47 len=20",
    "arp who-has 10.0.0.2 tell 10.0.0.1",
    "arp who-has 10.0.0.2 tell 10.0.0.1 vlan=5 smac=02:00:00:00:00:07",
    "arp 10.0.0.2 is-at 02:00:00:00:00:02 tell 10.0.0.1 dmac=02:00:00:00:00:07",
    "rarp 02:00:00:00:00:05",
    "nd who-has fd00::2 tell fd00::1",
    "nd who-has fd00::2 tell ::",
    "nd fd00::2 is-at 02:00:00:00:00:09 tell fd00::1",
    "eth type=0x88cc len=20",
    "eth type=0x0 data=ff",
    "geneve 10.9.0.1:50000 > 10.9.0.2 vni=5001 {icmp 10.0.0.1 > 10.0.0.2 echo id=7 seq=1}",
    "geneve [fd00::1]:50000 > fd00::2 vni=5001 serviced=129:5:7 {arp who-has 10.0.0.2 tell "
    "10.0.0.1}",
    "geneve 10.9.0.1:50000 > 10.9.0.2 vni=9001 oam smd spi=7 sci=5 tenant=5001 host=1 "
    "port=16777218 "
    "handle=19 tag=3 epoch=4 skip=1 hops=62 si=2/3 reverse at-ingress orig-smac=02:00:00:00:00:0a "
    "orig-dmac=02:00:00:00:00:0b trace-id=9 collector=1 tos=184 {tcp 10.0.0.1:1 > 10.0.0.2:2 syn} "
    "smac=02:00:00:00:00:08",
    "geneve 10.9.0.1:50000 > 10.9.0.2 vni=9001 oam smd host=1 hops=62 si=0/0 returning "
    "ctrl=000a04010000000000000002000003e8000000000000000000000000 {eth type=0x88b5 len=46}",
    "nsh spi=7 sci=5 si=2/2 live-query cookie=99 control=4:3:0:0 {tcp 10.0.0.1:1 > 10.0.0.2:2 ack}",
    "nsh md1 spi=7 si=1/2 action=4 {tcp 10.0.0.1:1 > 10.0.0.2:2 ack} vlan=7",
    "nsh oam si=0/0 live-ack",
};

TEST(Notation, canonical_lines_survive_a_round_trip) {
    for (const char* line : canonical) {
        const Bytes frame = frame_of(line);
        EXPECT_EQ(describe(frame), line);
    }
}

TEST(Notation, makes_the_frame_that_the_builder_makes) {
    EXPECT_EQ(frame_of("tcp 10.0.0.1:4000 > 10.0.0.10:80 len=5 ack syn seq=1 ttl=9"),
              FrameBuilder()
                  .ip("10.0.0.1", "10.0.0.10")
                  .ttl(9)
                  .tcp(4000, 80, tcp_syn | tcp_ack, 1)
                  .payload(5)
                  .build());
    EXPECT_EQ(frame_of("icmp6 fd00::1 > fd00::2 echo id=0x10 seq=2"),
              FrameBuilder().ip("fd00::1", "fd00::2").echo(16, 2).build());
    EXPECT_EQ(frame_of("  udp 10.0.0.1:1   > 10.0.0.2:2\tlen=1 "),
              FrameBuilder().ip("10.0.0.1", "10.0.0.2").udp(1, 2).payload(1).build());
}

TEST(Notation, damages_the_finished_frame) {
    const Bytes whole = frame_of("udp 10.0.0.1:1 > 10.0.0.2:2 len=4");
    Bytes damaged = whole;
    damaged[14] = 0x55;
    damaged[40] = 0xab;
    damaged[41] = 0xcd;
    EXPECT_EQ(frame_of("udp 10.0.0.1:1 > 10.0.0.2:2 put=14:55 len=4 put=40:abcd"), damaged);
    damaged.resize(41);
    EXPECT_EQ(frame_of("udp 10.0.0.1:1 > 10.0.0.2:2 cut=41 len=4 put=14:55 put=40:abcd"), damaged);
    EXPECT_EQ(frame_of("udp 10.0.0.1:1 > 10.0.0.2:2 len=4 cut=0"), Bytes{});
    const Bytes outer = frame_of("geneve 10.9.0.1:50000 > 10.9.0.2 vni=1 {eth type=0x88cc cut=7}");
    EXPECT_EQ(outer.size(), 14u + 20 + 8 + 8 + 7);
}

TEST(Notation, frames_are_valid_unless_told_otherwise) {
    for (const char* line : canonical) {
        PacketBuffer buffer(frame_of(line));
        const ParseError error = parse(buffer.packet());
        const std::string_view text = line;
        const bool broken_ip = text.find("bad-ip-checksum") != text.npos;
        EXPECT_EQ(error, broken_ip ? ParseError::bad_ip_checksum : ParseError::none) << line;
        if (error == ParseError::none) {
            EXPECT_TRUE(l4_checksum_ok(buffer.packet())) << line;
        }
    }
}

TEST(Notation, an_error_names_the_word) {
    const std::pair<const char*, const char*> cases[] = {
        {"", ""},
        {"sctp 1", "sctp"},
        {"tcp 10.0.0.1 > 10.0.0.2:80", "10.0.0.1"},
        {"tcp 10.0.0.1:1 > 10.0.0.2", "10.0.0.2"},
        {"tcp 10.0.0.1:1 10.0.0.2:80", "10.0.0.2:80"},
        {"tcp 10.0.0.1:70000 > 10.0.0.2:80", "10.0.0.1:70000"},
        {"tcp 10.0.0.1:1 > [fd00::1]:80", "[fd00::1]:80"},
        {"tcp 10.0.0.1:1 > 10.0.0.2:80 sny", "sny"},
        {"tcp 10.0.0.1:1 > 10.0.0.2:80 seq=4294967296", "seq=4294967296"},
        {"tcp 10.0.0.1:1 > 10.0.0.2:80 seq=", "seq="},
        {"tcp 10.0.0.1:1 > 10.0.0.2:80 seq=1x", "seq=1x"},
        {"tcp 10.0.0.1:1 > 10.0.0.2:80 opts=123", "opts=123"},
        {"tcp 10.0.0.1:1 > 10.0.0.2:80 len=65536", "len=65536"},
        {"tcp 10.0.0.1:1 > 10.0.0.2:80 len=65535", "tcp"},
        {"tcp 10.0.0.1:1 > 10.0.0.2:80 vlan=1 vlan=2 vlan=3", "vlan"},
        {"tcp 10.0.0.1:1 > 10.0.0.2:80 smac=1", "smac=1"},
        {"tcp 10.0.0.1:1 > 10.0.0.2:80 no-checksum", "no-checksum"},
        {"tcp [10.0.0.1:1 > 10.0.0.2:80", "[10.0.0.1:1"},
        {"tcp 10.0.0.1:1 > 10.0.0.2:80 {arp}", "{"},
        {"udp 10.0.0.1:1 > 10.0.0.2:80 frag=7:more", "frag=7:more"},
        {"udp 10.0.0.1:1 > 10.0.0.2:80 frag=8", "frag=8"},
        {"icmp fd00::1 > fd00::2 echo", "icmp"},
        {"icmp6 10.0.0.1 > 10.0.0.2 echo", "icmp6"},
        {"icmp 10.0.0.1 > 10.0.0.2 too-big mtu=1", "too-big"},
        {"icmp 10.0.0.1 > 10.0.0.2 time-exceeded id=1", "id"},
        {"icmp 10.0.0.1 > 10.0.0.2 echo mtu=1", "mtu"},
        {"icmp 10.0.0.1 > 10.0.0.2 time-exceeded about", "about"},
        {"icmp 10.0.0.1 > 10.0.0.2 time-exceeded about {rarp 02:00:00:00:00:05}", "about"},
        {"icmp 10.0.0.1 > 10.0.0.2 time-exceeded about {udp 1", "{udp 1"},
        {"icmp 10.0.0.1 > 10.0.0.2 time-exceeded about {udp 1}", "1"},
        {"icmp 10.0.0.1:1 > 10.0.0.2 echo", "10.0.0.1:1"},
        {"arp who-has fd00::1 tell 10.0.0.1", "fd00::1"},
        {"arp who-has 10.0.0.1 told 10.0.0.2", "told"},
        {"arp 10.0.0.1 is-at 02 tell 10.0.0.2", "02"},
        {"nd who-has fd00::1", ""},
        {"eth type=65536", "type=65536"},
        {"geneve 10.0.0.1:1 > 10.0.0.2 vni=16777216", "vni=16777216"},
        {"geneve 10.0.0.1:1 > 10.0.0.2 smd si=1", "si=1"},
        {"geneve 10.0.0.1:1 > 10.0.0.2 serviced=1:2:3:4", "serviced=1:2:3:4"},
        {"geneve 10.0.0.1:1 > 10.0.0.2 ctrl=0001", "ctrl=0001"},
        {"nsh si=2/3/4", "si=2/3/4"},
        {"eth type=1 put=14", "put=14"},
        {"eth type=1 put=12:1", "put=12:1"},
        {"eth type=1 put=13:0000", "put"},
        {"eth type=1 put=99999:00", "put=99999:00"},
        {"eth type=1 cut=15", "cut"},
        {"nsh hops=64", "hops=64"},
    };
    for (const auto& [line, word] : cases) {
        const Result<Bytes> frame = parse_notation(line);
        ASSERT_FALSE(frame.ok()) << line;
        EXPECT_EQ(frame.error().field, word) << line << ": " << frame.error().message;
        EXPECT_FALSE(frame.error().message.empty());
    }
}

TEST(Notation, nesting_and_length_have_limits) {
    std::string line = "udp 10.0.0.1:1 > 10.0.0.2:2";
    for (int i = 0; i < 4; ++i) line = "nsh si=1/1 {" + line + "}";
    EXPECT_TRUE(parse_notation(line).ok());
    EXPECT_EQ(describe(frame_of(line)), line);
    EXPECT_FALSE(parse_notation("nsh si=1/1 {" + line + "}").ok());
    EXPECT_FALSE(parse_notation(std::string(70000, 'x')).ok());
}

TEST(Describe, says_what_the_notation_cannot) {
    const Bytes extended = FrameBuilder()
                               .ip("fd00::1", "fd00::2")
                               .extension(60, {0, 1, 4, 0, 0, 0, 0})
                               .udp(1, 2)
                               .build();
    EXPECT_EQ(describe(extended), "udp [fd00::1]:1 > [fd00::2]:2 +ext");
    Bytes padded = FrameBuilder().ip("10.0.0.1", "10.0.0.2").udp(1, 2).build();
    padded.resize(60);
    EXPECT_EQ(describe(padded), "udp 10.0.0.1:1 > 10.0.0.2:2 +pad=18");
    const Bytes zeros(100);
    EXPECT_EQ(describe(FrameBuilder().ip("10.0.0.1", "10.0.0.2").udp(1, 2).payload(zeros).build()),
              "udp 10.0.0.1:1 > 10.0.0.2:2 len=100 crc=0x7cb9ff6");
    EXPECT_EQ(describe(Bytes{1, 2, 3}), "unreadable short_frame data=010203");
    EXPECT_EQ(describe(Bytes{}), "unreadable short_frame");
    Bytes two_tags = FrameBuilder().vlan(1).vlan(2).ip("10.0.0.1", "10.0.0.2").udp(1, 2).build();
    two_tags[12] = 0x81;
    two_tags[13] = 0x00;
    EXPECT_EQ(describe(two_tags), "udp 10.0.0.1:1 > 10.0.0.2:2 vlan=1 vlan=2 +inexact");
}

TEST(Describe, a_packet_is_described_as_its_frame) {
    PacketBuffer buffer(frame_of(canonical[0]));
    EXPECT_EQ(describe(buffer.packet()), canonical[0]);
}

}  // namespace
}  // namespace weir::net
