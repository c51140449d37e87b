#include "bench/gen/hop_host.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <vector>

#include "net/builder.hpp"
#include "net/ethernet.hpp"
#include "net/geneve.hpp"
#include "net/notation.hpp"
#include "net/nsh.hpp"
#include "net/parse.hpp"
#include "net/smd_codec.hpp"

namespace weir::gen {
namespace {

using Frame = std::vector<std::uint8_t>;

constexpr std::uint32_t room = 256;

net::Mac node_mac(std::uint32_t number) {
    return {{2, 0x5c, 0, 0, 0, static_cast<std::uint8_t>(number)}};
}

net::Smd metadata(std::uint8_t hops, std::uint8_t si, bool reverse) {
    net::Smd smd;
    smd.spi = 0x123456;
    smd.sci = 7;
    smd.initial_si = hops;
    smd.si = si;
    smd.ttl = 60;
    smd.reverse = reverse;
    smd.tenant_vni = 5001;
    smd.anchor_host = 1;
    smd.anchor_port = 0x01000003;
    smd.flow_handle = 99;
    return smd;
}

// As the host before the node sends it.
Frame leg(Far form, const net::Smd& smd) {
    const Frame inner = net::FrameBuilder()
                            .eth(node_mac(1), net::service_plane_mac(1))
                            .ip("10.1.0.1", "10.1.1.1")
                            .udp(4000, 80)
                            .payload(18)
                            .build();
    Frame memory(room + inner.size());
    std::copy(inner.begin(), inner.end(), memory.begin() + room);
    net::Packet p;
    p.data = memory.data() + room;
    p.length = static_cast<std::uint32_t>(inner.size());
    p.headroom = room;
    if (form == Far::nsh) {
        net::Nsh nsh;
        nsh.smd = smd;
        EXPECT_TRUE(net::push_nsh(p, nsh));
        EXPECT_TRUE(
            net::push_ethernet(p, node_mac(1), net::service_plane_mac(1), net::ethertype_nsh));
    }
    EXPECT_TRUE(
        net::push_geneve(p, 9001, form == Far::smd ? &smd : nullptr, nullptr, nullptr, false));
    EXPECT_TRUE(
        net::push_outer(p,
                        {net::Ip::parse("10.0.0.1").value(), net::Ip::parse("10.0.0.2").value(),
                         net::Mac{{2, 0x5b, 0, 0, 0, 1}}, net::Mac{{2, 0x5b, 0, 0, 0, 2}}},
                        50000, 64));
    return {p.data, p.data + p.length};
}

// What it says now, its inner MACs first; the outer header must lead back.
net::Smd read(Far form, const Frame& frame, net::Mac& dst, net::Mac& src) {
    EXPECT_EQ(net::Mac::from(frame.data()), (net::Mac{{2, 0x5b, 0, 0, 0, 1}}));
    EXPECT_EQ(frame[29], 2);  // from 10.0.0.2
    EXPECT_EQ(frame[33], 1);
    net::GeneveView view;
    EXPECT_EQ(net::decode(std::span(frame).subspan(42), view), net::GeneveError::none);
    dst = net::Mac::from(view.inner.data());
    src = net::Mac::from(view.inner.data() + 6);
    if (form == Far::smd) return *view.smd;
    net::NshView nsh;
    EXPECT_EQ(net::decode_nsh(view.inner.subspan(14), nsh), net::NshError::none);
    return nsh.nsh.smd;
}

TEST(HopHost, SendsThePacketOnToTheNextNodeAndBackToItsAnchor) {
    for (const Far form : {Far::smd, Far::nsh}) {
        for (const bool reverse : {false, true}) {
            for (std::uint8_t si = 3; si >= 1; --si) {
                const net::Smd sent = metadata(3, si, reverse);
                Frame frame = leg(form, sent);
                ASSERT_TRUE(answer_as_hop_host(form, frame.data(),
                                               static_cast<std::uint32_t>(frame.size())));
                net::Mac dst, src;
                net::Smd expected = sent;
                expected.si = static_cast<std::uint8_t>(si - 1);
                expected.ttl = 59;
                expected.returning = si == 1;
                EXPECT_EQ(read(form, frame, dst, src), expected);
                const std::uint32_t ordinal = 3u - si;
                const auto node = [&](std::uint32_t o) {
                    return node_mac(reverse ? 3 - o : o + 1);
                };
                EXPECT_EQ(src, node(ordinal));
                EXPECT_EQ(dst, si == 1 ? net::service_plane_mac(1) : node(ordinal + 1));
            }
        }
    }
}

TEST(HopHost, OnlyTurnsRoundWhatAPeerSends) {
    const Frame sent = leg(Far::echo, metadata(1, 1, false));
    Frame frame = sent;
    ASSERT_TRUE(
        answer_as_hop_host(Far::echo, frame.data(), static_cast<std::uint32_t>(frame.size())));
    EXPECT_EQ(frame[29], 2);
    EXPECT_TRUE(std::equal(frame.begin() + 34, frame.end(), sent.begin() + 34));
}

TEST(HopHost, KeepsSilentAboutWhatIsNoGuestsPacket) {
    Frame message = leg(Far::smd, metadata(1, 1, false));
    message[43] |= 0x80;  // O
    EXPECT_FALSE(
        answer_as_hop_host(Far::smd, message.data(), static_cast<std::uint32_t>(message.size())));
}

TEST(HopHost, AnswersForItsAddress) {
    Frame ask =
        net::parse_notation("arp who-has 10.0.0.2 tell 10.0.0.1 smac=02:5b:00:00:00:01").value();
    ASSERT_TRUE(answer_as_hop_host(Far::smd, ask.data(), static_cast<std::uint32_t>(ask.size())));
    EXPECT_EQ(net::Mac::from(ask.data()), (net::Mac{{2, 0x5b, 0, 0, 0, 1}}));
    EXPECT_EQ(net::Mac::from(ask.data() + 22), (net::Mac{{2, 0x5b, 0, 0, 0, 2}}));
    EXPECT_EQ(ask[21], 2);
    EXPECT_EQ(ask[31], 2);  // 10.0.0.2 says it
    EXPECT_EQ(ask[41], 1);
}

}  // namespace
}  // namespace weir::gen
