#include <gtest/gtest.h>

#include <random>
#include <tuple>

#include "features/chain/testing/test_modes.hpp"
#include "net/arp.hpp"
#include "net/checksum.hpp"
#include "net/gwlb.hpp"
#include "net/rss.hpp"

namespace weir::chain {
namespace {

using namespace test;

constexpr std::uint32_t flows = 60;

// A packet of flow `number`, in either family, sometimes with a tag of the guest's own.
Frame varied_frame(std::uint32_t number, bool reverse) {
    net::FrameBuilder f;
    f.eth(reverse ? guest_mac : peer_mac, reverse ? peer_mac : guest_mac);
    if (number % 5 == 1) f.vlan(100);
    const char* src = number % 2 == 0 ? "192.168.10.11" : "fd00:10::11";
    const char* dst = number % 2 == 0 ? "192.168.10.12" : "fd00:10::12";
    const auto port = static_cast<std::uint16_t>(10'000 + number);
    if (reverse) f.ip(dst, src).udp(53, port);
    else f.ip(src, dst).udp(port, 53);
    return f.payload(30 + number % 100).build();
}

// Workers hand the packet round until one of them ends it.
std::string follow(World& w, const Frame& frame, std::uint32_t port) {
    std::string fate = w.give_back(frame, port);
    for (bool more = true; more;) {
        more = false;
        for (auto& [worker, box] : w.machine.handed) {
            if (box.empty()) continue;
            Packet& p = *box.front();
            box.pop_front();
            fate = w.give_back(p, worker);
            more = true;
        }
    }
    return fate;
}

std::uint32_t home_of(const Frame& frame, std::uint32_t workers) {
    net::PacketBuffer buffer(frame);
    EXPECT_EQ(net::parse(buffer.packet()), net::ParseError::none);
    return net::flow_owner(buffer.packet().tuple, workers);
}

class NodeModes : public ::testing::TestWithParam<std::tuple<int, std::uint32_t>> {
protected:
    Kind kind = static_cast<Kind>(std::get<0>(GetParam()));
    std::uint32_t workers = std::get<1>(GetParam());
};

// Whatever tells packets apart: each comes back as it went in, with its own metadata, one service
// further, whichever order the node chooses and whichever worker hears of it first.
TEST_P(NodeModes, EveryPacketComesBackAsItself) {
    World w(workers, intent_of(kind));
    struct Inside {
        std::uint32_t number;
        bool reverse;
        Frame frame;
    };
    std::vector<Inside> inside;
    for (std::uint32_t number = 0; number < flows; ++number)
        for (const bool reverse : {false, true}) {
            const Frame sent = varied_frame(number, reverse);
            // Some are with another worker than their addresses say, as behind a node that
            // rewrites.
            const std::uint32_t worker = (home_of(sent, workers) + (number % 7 == 3)) % workers;
            Frame seen =
                w.deliver(sent, smd_of(number, reverse), entry_port(kind, reverse), worker);
            ASSERT_EQ(w.fate, taken) << number;
            ASSERT_EQ(w.at_port, entry_port(kind, reverse));
            inside.push_back({number, reverse, served(w, kind, reverse, std::move(seen))});
        }
    std::shuffle(inside.begin(), inside.end(), std::mt19937(5));
    for (const Inside& packet : inside) {
        ASSERT_EQ(follow(w, packet.frame, exit_port(kind, packet.reverse)), goes_on)
            << packet.number << (packet.reverse ? " reverse" : " forward");
        net::Smd expected = smd_of(packet.number, packet.reverse);
        expected.si = 1;
        EXPECT_EQ(w.returned->smd, expected);
        EXPECT_EQ(w.returned_frame(), varied_frame(packet.number, packet.reverse));
        EXPECT_EQ(w.returned->vni, 9001u);
    }
    w.forget();
    EXPECT_EQ(w.machine.in_use, 0u);
}

// A second engine finds what the first one gave to the node.
TEST_P(NodeModes, AnotherEngineKnowsWhatIsInside) {
    World w(workers, intent_of(kind));
    const Frame sent = varied_frame(4, false);
    const Frame seen = w.deliver(sent, smd_of(4), entry_port(kind, false), home_of(sent, workers));
    Engine second(w.machine, w.intent, node_ports(w.intent));
    std::swap(w.engine.workers, second.workers);
    ASSERT_EQ(follow(w, served(w, kind, false, seen), exit_port(kind, false)), goes_on);
    EXPECT_EQ(w.returned->smd.flow_handle, smd_of(4).flow_handle);
    std::swap(w.engine.workers, second.workers);
}

// Queries and answers are between a node and its proxy (spec service-plane §4.2): none goes on.
TEST_P(NodeModes, FlagsOfLivenessStayWithTheProxy) {
    World w(workers, intent_of(kind));
    net::Smd asking = smd_of(4);
    asking.live_query = asking.live_ack = true;
    const Frame sent = varied_frame(4, false);
    const Frame seen = w.deliver(sent, asking, entry_port(kind, false), home_of(sent, workers));
    ASSERT_EQ(follow(w, served(w, kind, false, seen), exit_port(kind, false)), goes_on);
    net::Smd expected = smd_of(4);
    expected.si = 1;
    EXPECT_EQ(w.returned->smd, expected);
}

// RFC 8300 §2.2: what a header has in its unassigned bits goes on in the next one, though the node
// has none, and is nobody's business.
TEST_P(NodeModes, UnassignedBitsAreKept) {
    World w(workers, intent_of(kind));
    net::Smd given = smd_of(4);
    given.unassigned = 0x15;
    const Frame sent = varied_frame(4, false);
    const Frame seen = w.deliver(sent, given, entry_port(kind, false), home_of(sent, workers));
    ASSERT_EQ(follow(w, served(w, kind, false, seen), exit_port(kind, false)), goes_on);
    given.si = 1;
    EXPECT_EQ(w.returned->smd, given);
}

// Copies are not expected back.
TEST_P(NodeModes, CopiesDoNotReturn) {
    World w(workers, intent_of(kind));
    net::Smd copy = smd_of(4);
    copy.copy = true;
    const Frame sent = varied_frame(4, false);
    const Frame seen = w.deliver(sent, copy, entry_port(kind, false), home_of(sent, workers));
    ASSERT_EQ(w.fate, taken);
    EXPECT_EQ(follow(w, served(w, kind, false, seen), exit_port(kind, false)), "COPY_RETURN");
}

INSTANTIATE_TEST_SUITE_P(All, NodeModes,
                         ::testing::Combine(::testing::Range(0, static_cast<int>(Kind::count_)),
                                            ::testing::Values(1u, 2u, 5u)));

// SEC-9 for an appliance: not only the cookie.
TEST(GwlbNode, MayNotMoveAPacketToAnotherTenantOrChain) {
    World w(1, intent_of(Kind::gwlb));
    constexpr std::size_t options = 14 + 20 + 8 + 8;
    for (const std::size_t at : {options + 4, options + 11, options + 16, options + 23}) {
        const Frame seen = w.deliver(guest_frame(1), smd_of(1), aware_port);
        Frame back = served(w, Kind::gwlb, false, seen);
        back[at] ^= 1;
        EXPECT_EQ(w.give_back(back, aware_port), "IMMUTABLE_TAMPER") << at;
    }
    const Frame seen = w.deliver(guest_frame(1), smd_of(1), aware_port);
    Frame other = served(w, Kind::gwlb, false, seen);
    const Frame strange = guest_frame(31);  // of the same length
    std::copy(strange.begin() + 14, strange.begin() + 14 + 40, other.begin() + 14 + 20 + 8 + 40);
    EXPECT_EQ(w.give_back(other, aware_port), "IMMUTABLE_TAMPER") << "another flow's packet";
}

// An appliance may answer in the other end's name, once that end has spoken.
TEST(GwlbNode, AnswersAreOfTheOtherDirection) {
    World w(1, intent_of(Kind::gwlb));
    const auto give = [&](bool reverse) {
        return served(w, Kind::gwlb, reverse,
                      w.deliver(guest_frame(1, reverse), smd_of(1, reverse), aware_port));
    };
    Frame forward = give(false);
    const Frame answer = guest_frame(1, true);
    Frame crafted = forward;
    crafted.resize(14 + 20 + 8 + 40);
    crafted.insert(crafted.end(), answer.begin() + 14, answer.end());
    const auto udp_bytes = static_cast<std::uint16_t>(crafted.size() - 34);
    net::store16(crafted.data() + 38, udp_bytes);
    net::store16(crafted.data() + 16, static_cast<std::uint16_t>(udp_bytes + 20));
    net::fill_ip4_checksum(std::span(crafted).subspan(14, 20));
    EXPECT_EQ(w.give_back(crafted, aware_port), "NO_CONTEXT");
    give(true);
    ASSERT_EQ(w.give_back(crafted, aware_port), goes_on);
    EXPECT_TRUE(w.returned->smd.reverse);
}

TEST(GwlbNode, MtuCountsTheOuterHeaders) {
    for (const auto& [kind, overhead] : {std::pair(Kind::gwlb, 68u), std::pair(Kind::gwlb6, 88u)}) {
        World w(1, intent_of(kind));
        const auto frame = [](std::size_t ip_bytes) {
            return net::FrameBuilder()
                .eth(peer_mac, guest_mac)
                .ip("192.168.10.11", "192.168.10.12")
                .tcp(1, 80, 0x10)
                .payload(ip_bytes - 40)
                .build();
        };
        w.deliver(frame(1700 - overhead), smd_of(1), aware_port);
        EXPECT_EQ(w.fate, taken);
        w.deliver(frame(1701 - overhead), smd_of(1), aware_port);
        EXPECT_EQ(w.fate, "MTU");
    }
}

// What a translator makes of a frame of flow 1: another source, forward.
Frame translated(Frame frame, const char* source) {
    net::PacketBuffer buffer(frame);
    Packet& p = buffer.packet();
    EXPECT_EQ(net::parse(p), net::ParseError::none);
    const net::Ip ip = ip_of(source);
    std::copy_n(ip.bytes.data() + 12, 4, p.data + p.headers.l3 + 12);
    net::fill_ip4_checksum(std::span(p.data + p.headers.l3, 20));
    return buffer.frame();
}

TEST(MarkedNode, TranslatedPacketsKeepTheirFlow) {
    for (const std::uint32_t workers : {1u, 2u, 5u}) {
        World w(workers, intent_of(Kind::marked));
        for (std::uint32_t flow = 1; flow <= 40; ++flow) {
            const Frame sent = guest_frame(flow);
            Frame seen = w.deliver(sent, smd_of(flow), left_port, home_of(sent, workers));
            ASSERT_EQ(w.fate, taken);
            seen = translated(served(w, Kind::marked, false, std::move(seen)), "192.168.10.99");
            ASSERT_EQ(follow(w, seen, right_port), goes_on) << workers << " " << flow;
            EXPECT_EQ(w.returned->smd.flow_handle, smd_of(flow).flow_handle);
            EXPECT_EQ(w.returned->tuple.src, ip_of("192.168.10.99"));
            const Frame back = w.returned_frame();
            EXPECT_TRUE(net::ip4_checksum_ok(std::span(back).subspan(14, 20)));
        }
    }
}

// What a router makes itself, or says in the name of another flow, belongs to nobody.
TEST(MarkedNode, APacketThatSharesNoEndIsNotBelieved) {
    World w(1, intent_of(Kind::marked));
    const auto inside = [&] {
        return served(w, Kind::marked, false, w.deliver(guest_frame(1), smd_of(1), left_port));
    };
    Frame strange = translated(inside(), "192.168.10.99");
    strange[14 + 19] ^= 1;  // and another destination
    net::store16(strange.data() + 24, 0);
    net::fill_ip4_checksum(std::span(strange).subspan(14, 20));
    EXPECT_EQ(w.give_back(strange, right_port), "NO_CONTEXT");
    Frame unknown = inside();
    net::store16(unknown.data() + 18, 4711);
    net::fill_ip4_checksum(std::span(unknown).subspan(14, 20));
    EXPECT_EQ(w.give_back(unknown, right_port), "NO_CONTEXT");
    EXPECT_EQ(w.give_back(inside(), left_port), "from_node.wrong_source");
    Frame turned = inside();
    proxy_side_mac(l2_node, Side::left).store(turned.data());
    w.intent.find<model::Port>("n6-left")->mac.store(turned.data() + 6);
    EXPECT_EQ(w.give_back(turned, left_port), "WRONG_SIDE");
}

// The mark would be the number by which a fragment finds the others of its datagram.
TEST(MarkedNode, FragmentsOfIp4DoNotGoThrough) {
    World w(1, intent_of(Kind::marked));
    Frame fragment = guest_frame(8);  // 48 bytes behind the IP header
    net::store16(fragment.data() + 20, 0x2000);
    net::store16(fragment.data() + 24, 0);
    net::fill_ip4_checksum(std::span(fragment).subspan(14, 20));
    w.deliver(fragment, smd_of(1), left_port);
    EXPECT_EQ(w.fate, "CTX_FULL");
}

TEST(RouterNode, ItsLinkIsAnsweredAndNothingElse) {
    World w(1, intent_of(Kind::l3));
    const net::Mac left = w.intent.find<model::Port>("n6-left")->mac;
    const auto ask = [&](const char* target) {
        net::PacketBuffer question;
        net::write_arp_request(question.packet(), left, ip_of("10.9.1.2"), ip_of(target));
        return w.give_back(question.frame(), left_port);
    };
    EXPECT_EQ(ask("10.9.1.1"), taken);
    ASSERT_EQ(w.machine.sent.size(), 1u);
    EXPECT_EQ(w.machine.sent[0].port, left_port);
    EXPECT_EQ(net::Mac::from(w.machine.sent[0].frame.data() + 6),
              (net::Mac{{0x02, 0x5d, 0, 0, 0, 6}}));
    EXPECT_EQ(ask("10.9.2.1"), "from_node.link_talk") << "that is on the other side";
    EXPECT_EQ(ask("10.9.1.9"), "from_node.link_talk");
}

}  // namespace
}  // namespace weir::chain
