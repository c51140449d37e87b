#include <gtest/gtest.h>

#include <memory>

#include "apps/engine/engine.hpp"
#include "apps/engine/testing/host_snapshot.hpp"
#include "apps/engine/testing/memory_shell.hpp"
#include "apps/engine/testing/two_guests.hpp"
#include "net/builder.hpp"

// Packets that another worker or engine took back from services and handed over.
namespace weir::engine {
namespace {

class Returned : public testing::Test {
protected:
    void SetUp() override {
        engine_ = Engine::create(shell_.vtable, "h1", 1).value();
        ASSERT_TRUE(engine_->publish(host_snapshot(two_guests, "h1"), 1).ok());
        ASSERT_TRUE(engine_->attach(MemoryShell::port(0, "g1")).ok());
        ASSERT_TRUE(engine_->attach(MemoryShell::port(1, "g2")).ok());
    }
    // A datagram of g1 to g2, behind the insertion point of its sender or its receiver.
    void hand(std::uint16_t client, std::uint8_t call_point, std::uint8_t needs_record) {
        net::FrameBuilder frame;
        frame.eth({{2, 0, 0, 0, 0x0b, 1}}, {{2, 0, 0, 0, 0x0a, 1}}).ip("10.1.0.1", "10.1.0.2");
        const auto bytes = frame.udp(client, 53).payload(20).build();
        net::Packet* p = shell_.pool.make(0, bytes.data(), bytes.size());
        p->hand.port = call_point == 2 ? 1 : 0;
        p->hand.entry = call_point == 2 ? net::Entry::deliver : net::Entry::receive;
        p->hand.vni = 5001;
        p->hand.call_points_done = call_point;
        p->hand.needs_record = needs_record;
        p->hand.dispatched = 2;
        p->hand.fragment_known = fragment_known_;
        engine_->run(0, &p, 1, now_ns_ += 1000);
    }
    std::uint64_t exits(std::string_view name) {
        model::Value request = model::Value::object();
        request.set("what", "counters");
        const model::Value answer = engine_->worker_query(0, request, now_ns_);
        std::uint64_t sum = 0;
        for (const model::Value& row : answer["rows"].items())
            if (row["metric"].as_text() == "weir_drops_total" &&
                row["labels"]["reason"].as_text() == name)
                sum += row["value"].as_uint();
        return sum;
    }

    MemoryShell shell_;
    std::unique_ptr<Engine> engine_;
    std::uint64_t now_ns_ = 1'000'000'000;
    std::uint8_t fragment_known_ = 0;
};

// At the sender's call point: the record that counts is the sender's, the receiver's may be new.
TEST_F(Returned, MustHaveARecordWhereNothingElseSpeaksForThem) {
    hand(4000, 1, 1);
    EXPECT_EQ(shell_.sent.size(), 0u);
    EXPECT_EQ(exits("NOT_ANCHOR"), 1u);
    hand(4000, 1, 0);
    EXPECT_EQ(shell_.sent.size(), 1u);
    hand(4000, 1, 1);
    EXPECT_EQ(shell_.sent.size(), 2u) << "its flow has a record now";
    EXPECT_EQ(exits("NOT_ANCHOR"), 1u);
}

TEST_F(Returned, MustHaveOneAlsoWhereTheirFirstFragmentDidNotCome) {
    fragment_known_ = net::fragment_orphan;
    hand(4000, 1, 1);
    hand(4000, 2, 2);
    EXPECT_EQ(shell_.sent.size(), 0u);
    EXPECT_EQ(exits("NOT_ANCHOR"), 2u);
    hand(4000, 1, 0);
    EXPECT_EQ(shell_.sent.size(), 1u);
}

TEST_F(Returned, MustHaveOneAtTheReceiverToo) {
    hand(4000, 2, 2);
    EXPECT_EQ(shell_.sent.size(), 0u);
    EXPECT_EQ(exits("NOT_ANCHOR"), 1u);
    hand(4000, 2, 0);
    hand(4000, 2, 2);
    EXPECT_EQ(shell_.sent.size(), 2u);
}

}  // namespace
}  // namespace weir::engine
