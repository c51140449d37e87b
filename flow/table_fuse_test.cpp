#include <gtest/gtest.h>

#include "flow/testing.hpp"

// Two records of one connection, fused: what anybody sees of them must be what two records say that
// were kept apart.
namespace weir::flow {
namespace {

constexpr std::uint64_t ms = 1'000'000;

class Fuse : public testing::Test {
protected:
    Shard shard{{.records = 256, .scopes = 3}};
    std::uint32_t g1 = shard.scope("g1"), g2 = shard.scope("g2");
    Key key = tcp_key(g1, 1, 2), far = tcp_key(g2, 1, 2);
    FlowPair* near_ = made(key);
    FlowPair* far_ = made(far);

    FlowPair* made(const Key& of) {
        FlowPair* pair = shard.insert(of, 10 * ms);
        establish(*pair, 10 * ms);
        for (Hot& hot : pair->hot) {
            hot.packets = 3;
            hot.bytes = 300;
        }
        shard.table.refile(*pair, default_timeouts);
        return pair;
    }
    void fuse() { ASSERT_TRUE(shard.table.fuse(*near_, *far_, 0)); }
    // As whoever follows fused records does: only the sender's line.
    void pass(FlowPair& sender, std::uint8_t direction, std::uint64_t now_ns) {
        Hot& hot = sender.hot[direction];
        ++hot.packets;
        hot.bytes += 100;
        hot.sequence_end += 100;
        hot.last_seen_ns = now_ns;
    }
    void traffic() {
        pass(*near_, 0, 20 * ms);
        pass(*near_, 0, 21 * ms);
        pass(*far_, 1, 30 * ms);
    }
    void expect_traffic(const FlowPair& pair) {
        EXPECT_EQ(pair.partner, 0u);
        EXPECT_EQ(pair.hot[0].packets, 5u);
        EXPECT_EQ(pair.hot[0].bytes, 500u);
        EXPECT_EQ(pair.hot[0].sequence_end, 5200u);
        EXPECT_EQ(pair.hot[0].last_seen_ns, 21 * ms);
        EXPECT_EQ(pair.hot[1].packets, 4u);
        EXPECT_EQ(pair.hot[1].bytes, 400u);
        EXPECT_EQ(pair.hot[1].sequence_end, 5100u);
        EXPECT_EQ(pair.hot[1].window_edge, 9000u);
        EXPECT_EQ(pair.hot[1].acknowledged, 4000u);
        EXPECT_EQ(pair.hot[1].last_seen_ns, 30 * ms);
        EXPECT_EQ(pair.hot[0].tcp_seen & pair.hot[1].tcp_seen, tcp_seen_sequence | tcp_seen_window);
    }
    Table::Hit find_bulk(const Key& of) {
        const Table::Query query{of.scope, of.vni, &of.tuple, net::symmetric_hash(of.tuple)};
        std::array<Table::Hit, 1> hit;
        shard.table.find_bulk({&query, 1}, hit);
        return hit[0];
    }
};

TEST_F(Fuse, WhoeverGetsEitherRecordSeesAll) {
    fuse();
    EXPECT_EQ(shard.check(), "");
    traffic();
    EXPECT_EQ(find_bulk(far).pair, far_);
    EXPECT_NE(far_->partner, 0u) << "a bulk look-up leaves them as they are";
    EXPECT_EQ(shard.find_reverse(far).pair, far_);
    expect_traffic(*far_);
    expect_traffic(*near_);
    EXPECT_EQ(shard.check(), "");
}

TEST_F(Fuse, KnowsWhoseLineIsWhere) {
    fuse();
    EXPECT_EQ(shard.table.partner(*near_, 0), far_);
    EXPECT_EQ(shard.table.partner(*far_, 1), near_);
    EXPECT_EQ(shard.table.partner(*near_, 1), nullptr) << "that line waits";
    EXPECT_EQ(shard.table.partner(*far_, 0), nullptr);
}

TEST_F(Fuse, HandlesWalksAndSavesSeeAll) {
    for (const int way : {0, 1}) {
        fuse();
        traffic();
        if (way == 0) {
            EXPECT_EQ(shard.table.at_handle(shard.table.make_handle(*near_)), near_);
        } else {
            shard.table.for_each(g2, [](FlowPair&) {});
        }
        expect_traffic(*near_);
        expect_traffic(*far_);
        for (FlowPair* pair : {near_, far_}) {  // as it was
            pair->hot[0].packets = pair->hot[1].packets = 3;
            pair->hot[0].bytes = pair->hot[1].bytes = 300;
            pair->hot[0].sequence_end = pair->hot[1].sequence_end = 5000;
            pair->hot[0].last_seen_ns = pair->hot[1].last_seen_ns = 10 * ms;
        }
    }
}

TEST_F(Fuse, OneMayGoWithoutTheOther) {
    fuse();
    traffic();
    shard.table.erase(*near_);
    expect_traffic(*far_);
    EXPECT_EQ(shard.check(), "");
    EXPECT_FALSE(shard.find(key));
}

TEST_F(Fuse, ClosingAScopeCutsWhatItsRecordsAreFusedWith) {
    fuse();
    traffic();
    shard.table.close_scope(g1);
    expect_traffic(*far_);
    EXPECT_EQ(shard.check(), "");
}

// Only one side sends: the other record's times stand still, but it is as alive.
TEST_F(Fuse, TrafficOfOneSideKeepsBothAlive) {
    fuse();
    std::uint64_t now = 10 * ms;
    int cuts = 0;
    for (int hour = 0; hour < 5; ++hour) {
        now += 3600 * 1000 * ms;
        pass(*near_, 0, now);
        shard.table.age(now, 100);
        ASSERT_TRUE(find_bulk(far)) << hour;
        if (near_->partner != 0) continue;
        ++cuts;  // by the timer, which wants to know
        EXPECT_EQ(far_->hot[0].packets, near_->hot[0].packets);
        EXPECT_EQ(far_->hot[0].last_seen_ns, now);
        fuse();
    }
    EXPECT_GT(cuts, 1);
    now += 7300ull * 1000 * ms;
    shard.table.age(now, 100);
    EXPECT_EQ(shard.table.size(), 0u);
}

TEST_F(Fuse, CountsMayDiffer) {
    far_->hot[0].packets = 2;
    far_->hot[0].bytes = 180;
    near_->hot[1].packets = 1;
    near_->hot[1].bytes = 5'000'000'000;
    fuse();
    traffic();
    EXPECT_TRUE(shard.find(key));
    EXPECT_EQ(far_->hot[0].packets, 4u);
    EXPECT_EQ(far_->hot[0].bytes, 380u);
    EXPECT_EQ(near_->hot[1].packets, 2u);
    EXPECT_EQ(near_->hot[1].bytes, 5'000'000'100u);
}

TEST_F(Fuse, RefusesRecordsThatDisagree) {
    const auto refuses = [&](const char* why) {
        EXPECT_FALSE(shard.table.fuse(*near_, *far_, 0)) << why;
        EXPECT_EQ(near_->partner | far_->partner, 0u) << why;
    };
    ++far_->hot[1].sequence_end;
    refuses("another number");
    --far_->hot[1].sequence_end;
    far_->hot[0].window_scale = 3;
    refuses("another scale");
    far_->hot[0].window_scale = 0;
    far_->tcp = TcpState::fin_initiator;
    refuses("another state");
    far_->tcp = TcpState::established;
    ++near_->hot[1].last_seen_ns;
    refuses("one saw a packet that the other did not");
    --near_->hot[1].last_seen_ns;
    near_->hot[0].packets = 1ull << 40;
    refuses("counts too far apart to be remembered");
    near_->hot[0].packets = 3;
    near_->condemned = 1;
    refuses("about to go");
    near_->condemned = 0;
    EXPECT_FALSE(shard.table.fuse(*near_, *near_, 0));
    FlowPair* other = made(tcp_key(g2, 7, 2));
    EXPECT_FALSE(shard.table.fuse(*near_, *other, 0)) << "another connection";
    fuse();
    EXPECT_FALSE(shard.table.fuse(*near_, *far_, 0)) << "fused already";
}

TEST_F(Fuse, SurvivesACleanRestart) {
    fuse();
    traffic();
    shard.table.close();
    Result<Table> adopted = Table::adopt(shard.memory());
    ASSERT_TRUE(adopted);
    EXPECT_TRUE(adopted->check());
    shard.table = *adopted;
    EXPECT_TRUE(shard.find(key));
    expect_traffic(*near_);
    expect_traffic(*far_);
}

}  // namespace
}  // namespace weir::flow
