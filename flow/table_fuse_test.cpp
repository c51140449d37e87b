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
    void fuse() { ASSERT_TRUE(shard.table.fuse(*near_, *far_)); }
    // As whoever follows fused records does: the leader's line of the side that sends.
    void pass(std::uint8_t direction, std::uint64_t now_ns) {
        Hot& hot = near_->hot[direction];
        ++hot.packets;
        hot.bytes += 100;
        hot.sequence_end += 100;
        hot.last_seen_ns = now_ns;
    }
    void traffic() {
        pass(0, 20 * ms);
        pass(0, 21 * ms);
        pass(1, 30 * ms);
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
    static Key turned(const Key& of) { return {of.scope, of.vni, of.tuple.reversed()}; }
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
    EXPECT_EQ(shard.find_reverse(far).pair, far_);
    expect_traffic(*far_);
    expect_traffic(*near_);
    EXPECT_EQ(shard.check(), "");
}

TEST_F(Fuse, WhoeverSendsIsLedToTheLeader) {
    fuse();
    for (const Key& of : {key, turned(far)}) {
        const Table::Hit hit = find_bulk(of);
        EXPECT_EQ(hit.pair, near_);
        EXPECT_EQ(hit.direction, of.scope == g1 ? 0 : 1);
        EXPECT_TRUE(Table::leads_steadily(*hit.pair));
    }
    EXPECT_EQ(&shard.table.partner_of(*near_), far_);
}

TEST_F(Fuse, WhoeverReceivesGetsItsOwnRecord) {
    for (const Key& of : {far, turned(key)}) {
        fuse();
        const Table::Hit hit = find_bulk(of);
        EXPECT_EQ(hit.pair, of.scope == g1 ? near_ : far_);
        EXPECT_EQ(near_->partner | far_->partner, 0u);
        EXPECT_EQ(shard.check(), "");
    }
}

TEST_F(Fuse, ASenderGetsItsOwnRecordCut) {
    for (const Key& of : {key, turned(far)}) {
        fuse();
        traffic();
        EXPECT_EQ(&shard.table.cut_sender(find_bulk(of)), of.scope == g1 ? near_ : far_);
        EXPECT_EQ(near_->partner | far_->partner, 0u);
        EXPECT_EQ(near_->hot[1].packets, far_->hot[1].packets);
    }
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
    for (int hour = 0; hour < 5; ++hour) {
        now += 3600 * 1000 * ms;
        pass(1, now);
        shard.table.age(now, 100);
        ASSERT_TRUE(find_bulk(key)) << hour;
        EXPECT_NE(near_->partner, 0u);
        EXPECT_EQ(shard.check(), "");
    }
    now += 7300ull * 1000 * ms;
    EXPECT_EQ(shard.table.age(now, 100), 2u);
    EXPECT_EQ(shard.table.size(), 0u);
    EXPECT_EQ(shard.table.stats().expired, 2u);
    EXPECT_EQ(shard.check(), "");
}

TEST_F(Fuse, EachGoesInItsOwnTime) {
    Timeouts shorter;
    shorter.tcp_established_ms = 1000;
    shard.table.refile(*far_, shorter);
    fuse();
    traffic();
    EXPECT_EQ(shard.table.age(1020 * ms, 100), 0u);
    EXPECT_EQ(shard.check(), "");
    EXPECT_EQ(shard.table.age(1060 * ms, 100), 1u);
    expect_traffic(*near_);
    EXPECT_FALSE(find_bulk(far));
    EXPECT_EQ(shard.check(), "");
}

TEST_F(Fuse, WhoWantsToHearOfRemovalsSeesBothWhole) {
    fuse();
    traffic();
    std::vector<std::uint64_t> packets;
    shard.table.on_removal(
        [](void* context, const FlowPair& pair, Removal why) {
            EXPECT_EQ(why, Removal::expired);
            static_cast<std::vector<std::uint64_t>*>(context)->push_back(pair.hot[0].packets);
        },
        &packets);
    for (const std::uint64_t hours : {3, 4}) shard.table.age(hours * 3'600'000 * ms, 100);
    EXPECT_EQ(packets, (std::vector<std::uint64_t>{5, 5}));
    EXPECT_EQ(shard.check(), "");
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
        EXPECT_FALSE(shard.table.fuse(*near_, *far_)) << why;
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
    EXPECT_FALSE(shard.table.fuse(*near_, *near_));
    FlowPair* other = made(tcp_key(g2, 7, 2));
    EXPECT_FALSE(shard.table.fuse(*near_, *other)) << "another connection";
    fuse();
    EXPECT_FALSE(shard.table.fuse(*near_, *far_)) << "fused already";
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

// Two records that are made in one.
class Begin : public Fuse {
protected:
    Key opened = udp_key(g1, 50, 2), other = udp_key(g2, 50, 2);

    FlowPair* insert_both(const Key& first, const Key& second, std::uint64_t now_ns = 10 * ms) {
        const std::uint32_t hash = net::symmetric_hash(first.tuple);
        return shard.table.insert_fused({first.scope, first.vni, &first.tuple, hash},
                                        {second.scope, second.vni, &second.tuple, hash}, now_ns,
                                        default_timeouts);
    }
};

TEST_F(Begin, IsWhatTwoRecordsAre) {
    for (const bool tcp : {false, true}) {
        const Key first = tcp ? tcp_key(g1, 51, 2) : opened,
                  second = tcp ? tcp_key(g2, 51, 2) : other;
        FlowPair* leader = insert_both(first, second);
        ASSERT_NE(leader, nullptr);
        EXPECT_EQ(shard.check(), "");
        EXPECT_EQ(Table::leads_steadily(*leader), !tcp);
        EXPECT_EQ(find_bulk(first).pair, leader);
        EXPECT_EQ(find_bulk(turned(second)).pair, leader);
        leader->hot[0].packets = 7;
        const FlowPair* follower = shard.find(second).pair;
        ASSERT_NE(follower, nullptr);
        EXPECT_EQ(shard.check(), "");
        EXPECT_EQ(leader->partner | follower->partner, 0u);
        EXPECT_EQ(follower->key, second);
        EXPECT_NE(follower->id, leader->id);
        EXPECT_EQ(follower->initiator_outside, 1);
        EXPECT_EQ(follower->hot[0].packets, 7u);
        EXPECT_EQ(follower->hot[1].packets, 0u);
        EXPECT_EQ(follower->created_ns, 10 * ms);
    }
    EXPECT_EQ(shard.table.stats().inserted, 6u);
    EXPECT_EQ(shard.table.size(), 6u);
}

TEST_F(Begin, EndsWithItsIdleTime) {
    ASSERT_NE(insert_both(opened, other), nullptr);
    EXPECT_EQ(shard.table.age(60'000 * ms, 100), 0u);
    EXPECT_EQ(shard.table.age(60'040 * ms, 100), 2u);
    EXPECT_EQ(shard.table.size(), 2u);
    EXPECT_EQ(shard.check(), "");
}

TEST_F(Begin, TakesNoPlaceThatIsTaken) {
    EXPECT_EQ(insert_both(key, far), nullptr) << "both are there";
    EXPECT_EQ(insert_both(opened, opened), nullptr) << "one scope";
    EXPECT_EQ(insert_both(opened, udp_key(2, 50, 2)), nullptr) << "not open";
    FlowPair* there = shard.insert(other, 10 * ms);
    EXPECT_EQ(insert_both(opened, other), nullptr) << "the second one is there";
    shard.table.erase(*there);
    EXPECT_NE(insert_both(opened, other), nullptr);
    EXPECT_EQ(shard.check(), "");
}

// A full table: the two oldest go for the two new ones, in pairs.
TEST_F(Begin, TheOldestTwoGoForTheNextTwo) {
    std::uint32_t number = 100;
    std::uint32_t fused = 0;
    const auto insert_next = [&] {
        ++number;
        const Key first = udp_key(g1, number, 2), second = udp_key(g2, number, 2);
        const bool both = insert_both(first, second, number * ms) != nullptr;
        fused += both;
        if (both) return;
        for (const Key& one : {first, second}) shard.insert(one, number * ms);
    };
    while (shard.table.stats().evicted[static_cast<std::size_t>(Kind::other)] == 0) insert_next();
    EXPECT_EQ(shard.check(), "");
    const std::size_t full = shard.table.size();
    EXPECT_GT(full, 190u);
    for (std::uint32_t i = 0; i < 300; ++i) {
        insert_next();
        ASSERT_EQ(shard.check(), "") << i;
        ASSERT_LE(shard.table.size(), full + 2);
        ASSERT_GE(shard.table.size() + 2, full);
        const std::uint32_t oldest = number - static_cast<std::uint32_t>(full / 2);
        ASSERT_TRUE(find_bulk(udp_key(g1, oldest + 10, 2)));
        ASSERT_FALSE(find_bulk(udp_key(g1, oldest - 10, 2)));
    }
    EXPECT_GT(fused, 300u) << "and few had to be made one by one";
    EXPECT_EQ(near_->live, record_live) << "established, and spared";
    EXPECT_EQ(shard.table.stats().refused_full, 0u);
}

// Of five slabs one scope has three: what one takes must not stay empty when another is emptied.
TEST(BeginFull, ScopesOfUnequalSizeLeaveNoSlabEmpty) {
    for (const std::uint32_t records : {192u, 320u, 448u, 576u}) {
        Shard shard{{.records = records, .scopes = 2}};
        const std::uint32_t g1 = shard.scope("g1"), g2 = shard.scope("g2");
        for (std::uint32_t number = 0; number < 4 * records; ++number) {
            const Key first = udp_key(g1, number, 2), second = udp_key(g2, number, 2);
            const std::uint32_t hash = net::symmetric_hash(first.tuple);
            shard.table.insert_fused({g1, first.vni, &first.tuple, hash},
                                     {g2, second.vni, &second.tuple, hash}, number * ms,
                                     default_timeouts);
            if (records == 448 && number % 7 == 0)  // not both full at once
                shard.insert(udp_key(g1, 50'000 + number, 2), number * ms);
            ASSERT_EQ(shard.check(), "") << records << ", " << number;
        }
        for (const std::uint32_t scope : {g1, g2}) shard.table.close_scope(scope);
        EXPECT_EQ(shard.table.size(), 0u);
        EXPECT_EQ(shard.check(), "");
    }
}

// What nobody may drive out stays, and leaves no empty slab behind.
TEST_F(Begin, FullOfEstablishedTakesNoMore) {
    std::uint32_t number = 100;
    InsertOutcome outcome = InsertOutcome::none;
    while (outcome != InsertOutcome::full) {
        FlowPair* pair = shard.insert(tcp_key(g1, number++, 2), 10 * ms, &outcome);
        if (pair == nullptr) break;
        establish(*pair, 10 * ms);
        shard.table.refile(*pair, default_timeouts);
    }
    const std::size_t size = shard.table.size();
    for (std::uint32_t i = 0; i < 100; ++i) {
        insert_both(udp_key(g1, 5000 + i, 2), udp_key(g2, 5000 + i, 2));
        ASSERT_EQ(shard.check(), "") << i;
    }
    EXPECT_EQ(shard.table.size(), size);
}

// The oldest goes, whether it leads or follows, and takes the other along.
TEST_F(Begin, TwoThatAreFusedGoTogether) {
    for (const std::uint32_t scope : {g1, g2}) {
        FlowPair* leader = insert_both(opened, other);
        FlowPair* later = insert_both(udp_key(g1, 52, 2), udp_key(g2, 52, 2), 11 * ms);
        ASSERT_TRUE(leader != nullptr && later != nullptr);
        EXPECT_TRUE(shard.table.make_room(scope));
        EXPECT_FALSE(find_bulk(opened));
        EXPECT_FALSE(find_bulk(other));
        EXPECT_NE(later->partner, 0u);
        EXPECT_EQ(shard.check(), "");
        shard.table.erase(*shard.find(udp_key(g1, 52, 2)).pair);
        shard.table.erase(*shard.find(udp_key(g2, 52, 2)).pair);
    }
}

}  // namespace
}  // namespace weir::flow
