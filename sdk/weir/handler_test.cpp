#include "weir/handler.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "weir/test_frames.hpp"

namespace weir::service {
namespace {

using namespace testing_frames;
using Bytes = std::vector<std::uint8_t>;

constexpr std::uint16_t query = 0x0100, copied = 0x0200;
constexpr std::size_t flags_low = ethernet_bytes + 13;  // MD type 2

struct Recorder : Service {
    Verdict verdict = Verdict::pass;
    std::vector<Bytes> seen;
    Verdict on_packet(const PacketView& packet) override {
        seen.emplace_back(packet.frame.begin(), packet.frame.end());
        return verdict;
    }
};

// Gives this order with every packet.
struct Ordering : Service {
    Verdict verdict = Verdict::pass;
    FlowOrder order{Order::drop};
    OrderError error = OrderError::none;
    Verdict on_packet(const PacketView& packet) override {
        error = packet.order(order);
        return verdict;
    }
};

const Bytes drop_context{0xff, 0xf6, 2, 8, 2, 3, 0, 0, 0, 0, 0, 0};

Bytes with_order(Bytes nsh, const Bytes& context) {
    nsh[1] = static_cast<std::uint8_t>(nsh[1] + context.size() / 4);
    append(nsh, context);
    return nsh;
}

struct HandlerTest : ::testing::Test {
    Recorder service;
    Handler handler{service, false};

    Bytes handle(Bytes frame, Handler& with) {
        const auto out = with.handle(frame);
        return {out.begin(), out.end()};
    }
    Bytes handle(const Bytes& frame) { return handle(frame, handler); }
    static Bytes sent_back(Bytes frame) {
        std::swap_ranges(frame.begin(), frame.begin() + 6, frame.begin() + 6);
        return frame;
    }
};

TEST_F(HandlerTest, PassedPacketGoesBackUnchangedToWhereItCameFrom) {
    for (const Bytes& nsh : {md2({.si = 2}), md1({.si = 2})}) {
        const Bytes in = frame(nsh, tcp_syn());
        EXPECT_EQ(handle(in), sent_back(in));
    }
    EXPECT_EQ(service.seen, (std::vector<Bytes>{tcp_syn(), tcp_syn()}));
    EXPECT_EQ(handler.counters().passed, 2u);
    EXPECT_EQ(handler.counters().live_answers, 0u);
}

TEST_F(HandlerTest, DecrementsTheServiceIndexWhenToldTo) {
    Handler decrementing(service, true);
    Bytes want = sent_back(frame(md2({.si = 2}), tcp_syn()));
    want[ethernet_bytes + 7] = 1;
    EXPECT_EQ(handle(frame(md2({.si = 2}), tcp_syn()), decrementing), want);
}

TEST_F(HandlerTest, AnswersALivenessQueryOnAPassedPacket) {
    const Bytes in = frame(md2({.si = 2, .flags = query}), tcp_syn());
    Bytes want = sent_back(in);
    want[flags_low] |= 0x80;
    EXPECT_EQ(handle(in), want);
    EXPECT_EQ(handler.counters().live_answers, 1u);
}

TEST_F(HandlerTest, DroppedPacketIsGone) {
    service.verdict = Verdict::drop;
    EXPECT_TRUE(handle(frame(md2({.si = 2}), tcp_syn())).empty());
    EXPECT_EQ(handler.counters().dropped, 1u);
}

TEST_F(HandlerTest, DroppedPacketWithAQueryIsAnsweredByItsHeaderAlone) {
    service.verdict = Verdict::drop;
    for (const Bytes& nsh : {md2({.si = 2, .flags = query}), md1({.si = 2, .flags = query})}) {
        const std::size_t flags_at = ethernet_bytes + (nsh.size() == 44 ? 12 : 8);
        Bytes want = sent_back(frame(nsh, {}));
        want[ethernet_bytes] |= 0x20;  // O of the base header
        want[ethernet_bytes + 3] = 0;  // next protocol: none
        want[flags_at] |= 0x20;        // O of the metadata
        want[flags_at + 1] |= 0x80;    // A
        EXPECT_EQ(handle(frame(nsh, tcp_syn())), want);
    }
    EXPECT_EQ(handler.counters().live_answers, 2u);
}

TEST_F(HandlerTest, SyntheticQueryIsAnsweredWithoutAskingTheService) {
    for (const bool header_only : {true, false}) {
        Bytes in =
            frame(md2({.si = 2, .flags = query, .oam = true}), header_only ? Bytes{} : tcp_syn());
        if (header_only) in[ethernet_bytes + 3] = 0;
        Bytes want = sent_back(in);
        want[flags_low] |= 0x80;
        EXPECT_EQ(handle(in), want);
    }
    EXPECT_TRUE(service.seen.empty());
    EXPECT_EQ(handler.counters().oam, 2u);
}

TEST_F(HandlerTest, CopiesAreSeenAndKept) {
    EXPECT_TRUE(handle(frame(md2({.si = 2, .flags = copied}), tcp_syn())).empty());
    EXPECT_EQ(service.seen.size(), 1u);
    EXPECT_EQ(handler.counters().copies, 1u);
    const Bytes answer = handle(frame(md2({.si = 2, .flags = copied | query}), tcp_syn()));
    EXPECT_EQ(answer.size(), ethernet_bytes + 44);
}

TEST_F(HandlerTest, EveryCutOfAFrameIsCountedAndNotAnswered) {
    const Bytes whole = frame(md2({.si = 2, .flags = query}), tcp_syn());
    const std::size_t shortest = ethernet_bytes + 44 + ethernet_bytes;
    for (std::size_t size = 0; size < shortest; ++size) {
        Bytes cut(whole.begin(), whole.begin() + static_cast<long>(size));
        cut.shrink_to_fit();
        EXPECT_TRUE(handle(cut).empty()) << size;
    }
    EXPECT_EQ(handler.counters().ignored, ethernet_bytes);
    EXPECT_EQ(handler.counters().malformed, shortest - ethernet_bytes);
    EXPECT_TRUE(service.seen.empty());
}

TEST_F(HandlerTest, OtherTrafficIsIgnored) {
    EXPECT_TRUE(handle(tcp_syn()).empty());
    EXPECT_EQ(handler.counters().ignored, 1u);
}

TEST_F(HandlerTest, AnOrderGoesBackInTheHeaderOfItsPacket) {
    Ordering ordering;
    ordering.order = {Order::tag, OrderScope::both, 7, 0x01020304};
    Handler node(ordering, true);
    Bytes room = frame(md2({.si = 2}), tcp_syn());
    const std::size_t length = room.size();
    room.resize(length + 12);
    const auto out = node.handle(room, length);
    Bytes nsh = md2({.si = 1});
    EXPECT_EQ(
        Bytes(out.begin(), out.end()),
        sent_back(frame(with_order(nsh, {0xff, 0xf6, 2, 8, 7, 3, 7, 0, 1, 2, 3, 4}), tcp_syn())));
    EXPECT_TRUE(node.message().empty());
    EXPECT_EQ(node.counters().orders, 1u);
    EXPECT_EQ(node.counters().order_messages, 0u);
}

TEST_F(HandlerTest, AnOrderForAPacketThatStaysGoesAlone) {
    Ordering ordering;
    ordering.verdict = Verdict::drop;
    Handler node(ordering, true);
    Bytes content = tcp_syn();
    content.resize(600);
    EXPECT_TRUE(handle(frame(md2({.si = 2, .flags = query}), content), node).empty());
    content.resize(128);
    const Bytes want = sent_back(
        frame(with_order(md2({.si = 2, .flags = query | 0x2000 | 0x80, .oam = true}), drop_context),
              content));
    EXPECT_EQ(Bytes(node.message().begin(), node.message().end()), want);
    EXPECT_EQ(node.counters().dropped, 1u);
    EXPECT_EQ(node.counters().live_answers, 1u);
    // … and not again with the next packet
    ordering.order = {};
    EXPECT_TRUE(handle(frame(md2({.si = 2}), content), node).empty());
    EXPECT_EQ(ordering.error, OrderError::unknown_order);
    EXPECT_TRUE(node.message().empty());
}

TEST_F(HandlerTest, AnOrderThatDoesNotFitTheInterfaceGoesBesideItsPacket) {
    Ordering ordering;
    const Bytes in = frame(md2({.si = 2}), tcp_syn());
    Handler node(ordering, false, in.size() + 11);
    Bytes room = in;
    room.resize(in.size() + 12);
    const auto out = node.handle(room, in.size());
    EXPECT_EQ(Bytes(out.begin(), out.end()), sent_back(in));
    const Bytes want = sent_back(
        frame(with_order(md2({.si = 2, .flags = 0x2000, .oam = true}), drop_context), tcp_syn()));
    EXPECT_EQ(Bytes(node.message().begin(), node.message().end()), want);
}

TEST_F(HandlerTest, CopiesMayBringOrders) {
    Ordering ordering;
    Handler node(ordering, false);
    EXPECT_TRUE(handle(frame(md2({.si = 2, .flags = copied}), tcp_syn()), node).empty());
    EXPECT_FALSE(node.message().empty());
    EXPECT_EQ(node.counters().copies, 1u);
}

TEST_F(HandlerTest, MetadataType1HasFourBitsForAnOrder) {
    Ordering ordering;
    ordering.order = {Order::restore};
    Handler node(ordering, false);
    Bytes want = sent_back(frame(md1({.si = 2}), tcp_syn()));
    want[ethernet_bytes + 9] = 6;
    EXPECT_EQ(handle(frame(md1({.si = 2}), tcp_syn()), node), want);
}

// Turns every byte of the guest's frame over.
struct Rewriting : Service {
    Verdict on_packet(const PacketView& packet) override {
        for (std::uint8_t& byte : packet.writable) byte ^= 0xff;
        return Verdict::pass;
    }
};

TEST(RewritingService, ChangesTheFrameAndNothingBeforeIt) {
    for (const Bytes& nsh : {md2({}), md1({})}) {
        const Bytes content(60, 0x3c);
        Bytes given = frame(nsh, content);
        const Bytes before = given;
        Rewriting service;
        Handler handler(service, false);
        const auto back = handler.handle(given);
        ASSERT_EQ(back.size(), before.size());
        const std::size_t at = ethernet_bytes + nsh.size();
        EXPECT_TRUE(std::equal(back.begin() + 12, back.begin() + static_cast<long>(at),
                               before.begin() + 12));
        EXPECT_EQ(Bytes(back.begin() + static_cast<long>(at), back.end()), Bytes(60, 0xc3));
    }
}

TEST(PacketViewTest, OrdersNeedAPacket) {
    const Metadata metadata;
    EXPECT_EQ((PacketView{metadata, {}}.order({Order::drop})), OrderError::no_packet);
}

}  // namespace
}  // namespace weir::service
