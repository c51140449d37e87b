#include "features/chain/hop/resolve_step.hpp"

#include <gtest/gtest.h>

#include "features/chain/testing/test_host.hpp"

namespace weir::chain {
namespace {

// Chain c1 = [fw, ids] with the nodes n1@h3 and n2@h4 alone, seen from h1.
class ResolveStepTest : public ::testing::Test {
protected:
    ResolveStepTest() {
        intent.erase<ServiceNode>("n3");
        intent.erase<ServiceNode>("n6");
    }
    test::TestHost& host() {
        if (!host_) host_ = std::make_unique<test::TestHost>(intent);
        return *host_;
    }
    const Path& path() { return host().chain(1).paths.front(); }
    net::Smd smd(bool reverse = false) {
        net::Smd s;
        s.sci = 1;
        s.spi = path().spi;
        s.path_epoch = path().epoch;
        s.initial_si = s.si = static_cast<std::uint8_t>(path().hops[reverse].size());
        s.reverse = reverse;
        s.ttl = initial_ttl;
        return s;
    }
    ResolveStep step(net::Smd& s) {
        return resolve_step(s, 9001, *host().resolves, *host().health);
    }
    void policy(FailurePolicy p) {
        test::edit<ServiceChain>(intent, "c1", [&](ServiceChain& c) { c.failure_policy = p; });
    }
    void make_copy(const char* profile) {
        test::edit<ServiceProfile>(intent, profile,
                                   [](ServiceProfile& p) { p.action = HopAction::copy; });
    }

    model::Snapshot intent = test::two_services();

private:
    std::unique_ptr<test::TestHost> host_;
};

TEST_F(ResolveStepTest, ForwardGoesToTheNodeOfTheIndex) {
    net::Smd s = smd();
    const ResolveStep first = step(s);
    EXPECT_EQ(first.what, Resolved::forward);
    EXPECT_EQ(first.hop->node, "n1");
    EXPECT_EQ(s.ttl, 62);
    EXPECT_EQ(s.si, 2);
    s.si = 1;  // n1's proxy
    EXPECT_EQ(step(s).hop->node, "n2");
    EXPECT_EQ(s.ttl, 61);
}

TEST_F(ResolveStepTest, ReverseMeetsTheNodesInOppositeOrder) {
    net::Smd s = smd(true);
    EXPECT_EQ(step(s).hop->node, "n2");
    s.si = 1;
    EXPECT_EQ(step(s).hop->node, "n1");
}

TEST_F(ResolveStepTest, TtlFallsByOneForEveryLeg) {  // HD-6, scenario 4
    net::Smd s = smd();
    for (std::uint8_t si = 2; si > 0; --si) {
        s.si = si;
        EXPECT_EQ(step(s).what, Resolved::forward);
        EXPECT_FALSE(s.returning);
    }
    s.si = 0;
    EXPECT_EQ(step(s).what, Resolved::to_anchor);
    EXPECT_TRUE(s.returning);
    EXPECT_EQ(s.ttl, initial_ttl - 3);
}

TEST_F(ResolveStepTest, SkippedHopsCostNothing) {
    net::Smd s = smd();
    s.skip_mask = 0x01;
    const ResolveStep one = step(s);
    EXPECT_EQ(one.hop->node, "n2");
    EXPECT_EQ(one.skipped, 1);
    EXPECT_EQ(s.si, 1);
    EXPECT_EQ(s.ttl, initial_ttl - 1);

    net::Smd all = smd();
    all.skip_mask = 0x03;
    EXPECT_EQ(step(all).what, Resolved::to_anchor);
    EXPECT_EQ(all.ttl, initial_ttl - 1);
    EXPECT_EQ(all.si, 0);
}

TEST_F(ResolveStepTest, SkipMaskNamesHopsByOrdinal) {
    net::Smd s = smd();
    s.skip_mask = 0x02;
    EXPECT_EQ(step(s).hop->node, "n1");
    s.si = 1;
    EXPECT_EQ(step(s).what, Resolved::to_anchor);
}

TEST_F(ResolveStepTest, PacketsDieWhenTheirTtlIsSpent) {
    net::Smd s = smd();
    s.ttl = 1;
    EXPECT_EQ(step(s).what, Resolved::ttl_expired);
    s = smd();
    s.ttl = 1;
    s.si = 0;
    EXPECT_EQ(step(s).what, Resolved::ttl_expired);
    EXPECT_FALSE(s.returning);
}

TEST_F(ResolveStepTest, ALoopEndsAfterAtMost63Legs) {  // scenario 38
    net::Smd s = smd();
    int legs = 0;
    while (step(s).what == Resolved::forward) ++legs;  // nobody counts the index down
    EXPECT_EQ(legs, 62);
}

TEST_F(ResolveStepTest, UnknownPathsAndPlanesHaveNoNextHop) {
    net::Smd s = smd();
    s.spi ^= 1;
    EXPECT_EQ(step(s).what, Resolved::no_next_hop);
    s = smd();
    EXPECT_EQ(resolve_step(s, 9002, *host().resolves, *host().health).what, Resolved::no_next_hop);
    s = smd();
    s.si = s.initial_si = 3;
    EXPECT_EQ(step(s).what, Resolved::no_next_hop);
}

TEST_F(ResolveStepTest, PacketsOfAnotherEpochAreNotResolved) {
    net::Smd s = smd();
    ++s.path_epoch;
    EXPECT_EQ(step(s).what, Resolved::bad_epoch);
}

TEST_F(ResolveStepTest, PacketsOnTheirWayAreResolvedUnderTheirOwnEpoch) {  // CP-6
    const net::Smd former = smd();
    model::Snapshot before;
    plan(intent, "h1", before);
    test::edit<ServiceChain>(intent, "c1", [](ServiceChain& c) {
        c.reverse = {model::Ref<ServiceProfile>("ids-default")};
    });
    host().apply(intent, before);
    ASSERT_EQ(path().spi, former.spi) << "the same nodes forward";
    ASSERT_NE(path().epoch, former.path_epoch);
    net::Smd reply = smd(true), former_reply = former;
    former_reply.reverse = true;
    EXPECT_EQ(reply.si, 1);
    EXPECT_EQ(step(reply).hop->node, "n2");
    EXPECT_EQ(step(reply).what, Resolved::forward);
    EXPECT_EQ(step(former_reply).hop->node, "n2");
    --former_reply.si;
    EXPECT_EQ(step(former_reply).hop->node, "n1") << "which the new path does not pass";
    host().apply(intent);
    net::Smd late = former;
    EXPECT_EQ(step(late).what, Resolved::bad_epoch);
}

TEST_F(ResolveStepTest, ADeadNodeBlocks) {
    host().set_node(1, false);
    net::Smd s = smd();
    const ResolveStep result = step(s);
    EXPECT_EQ(result.what, Resolved::hop_down);
    EXPECT_EQ(result.hop->node, "n1");
    EXPECT_EQ(s.si, 2);
    EXPECT_EQ(s.ttl, initial_ttl);
}

TEST_F(ResolveStepTest, ADeadNodeIsLeftOutWhereTheChainAllows) {
    policy(FailurePolicy::allow);
    host().set_node(1, false);
    net::Smd s = smd();
    const ResolveStep result = step(s);
    EXPECT_EQ(result.hop->node, "n2");
    EXPECT_EQ(result.fail_skipped, 1);
    EXPECT_EQ(s.si, 1);
    EXPECT_EQ(s.ttl, initial_ttl - 1);
}

TEST_F(ResolveStepTest, CopiesGoOutBesideTheOriginal) {
    make_copy("fw-default");
    net::Smd s = smd();
    const ResolveStep tap = step(s);
    EXPECT_EQ(tap.what, Resolved::copy);
    EXPECT_EQ(tap.hop->node, "n1");
    EXPECT_EQ(tap.copy_si, 2);
    EXPECT_EQ(s.si, 1);
    EXPECT_EQ(s.ttl, initial_ttl);  // the original has not moved
    EXPECT_EQ(step(s).hop->node, "n2");
    EXPECT_EQ(s.ttl, initial_ttl - 1);
}

TEST_F(ResolveStepTest, ADeadTapIsPassedOverWhateverThePolicy) {
    make_copy("fw-default");
    host().set_node(1, false);
    net::Smd s = smd();
    const ResolveStep result = step(s);
    EXPECT_EQ(result.what, Resolved::forward);
    EXPECT_EQ(result.hop->node, "n2");
    EXPECT_EQ(result.fail_skipped, 0);
}

TEST_F(ResolveStepTest, APathOfCopiesReturnsAtOnce) {
    make_copy("fw-default");
    make_copy("ids-default");
    net::Smd s = smd();
    EXPECT_EQ(step(s).what, Resolved::copy);
    EXPECT_EQ(step(s).what, Resolved::copy);
    EXPECT_EQ(step(s).what, Resolved::to_anchor);
    EXPECT_EQ(s.ttl, initial_ttl - 1);
}

TEST_F(ResolveStepTest, ANodeHereWithoutItsPortsIsDown) {
    intent = test::two_services();
    test::edit<model::Port>(intent, "n3",
                            [](model::Port& p) { p.host = model::Ref<model::Host>("h2"); });
    for (const Path& p : host().chain(1).paths) {
        if (p.hops[0][0].node != "n3") continue;
        net::Smd s = smd();
        s.spi = p.spi;
        s.path_epoch = p.epoch;
        EXPECT_EQ(step(s).what, Resolved::hop_down);
    }
}

}  // namespace
}  // namespace weir::chain
