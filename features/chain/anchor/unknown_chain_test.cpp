#include "features/chain/testing/test_decide.hpp"

// Rules that name a chain which the host does not know.
namespace weir::chain {
namespace {

// OBJ-20: as the chain did when it was known last.
class UnknownChain : public test::DecideTest {
protected:
    void forget_chain(FailurePolicy policy) {
        chain([&](ServiceChain& c) { c.failure_policy = policy; });
        publish();
        out(4000);
        host().untold_chains = {"c1"};
        publish();
        publish();
        ASSERT_EQ(host().inserts->plane->chain(1), nullptr);
    }
    void learn_chain() {
        host().untold_chains.clear();
        publish();
    }
};

TEST_F(UnknownChain, LetsFlowsPassIfItWasNeverKnown) {
    chain([](ServiceChain& c) { c.failure_policy = FailurePolicy::block; });
    host().untold_chains = {"c1"};
    host().inserts = nullptr;
    publish();
    const Decided first = out(4000);
    EXPECT_EQ(first.what, Decision::bypass);
    EXPECT_TRUE(first.unknown_chain);
    EXPECT_EQ(first.rule->name, "web");
    const Decided again = out(4000, net::tcp_ack);
    EXPECT_EQ(again.what, Decision::pass) << "remembered";
    EXPECT_FALSE(again.looked_up);
    learn_chain();
    EXPECT_EQ(out(4000, net::tcp_ack).what, Decision::redirect);
}

TEST_F(UnknownChain, LetsFlowsPassIfItDid) {
    forget_chain(FailurePolicy::allow);
    EXPECT_EQ(out(4000, net::tcp_ack).what, Decision::bypass) << "also those that were on a path";
    EXPECT_EQ(out(4001).what, Decision::bypass);
}

TEST_F(UnknownChain, BlocksFlowsIfItDid) {
    forget_chain(FailurePolicy::block);
    const flow::InsertionDecision before = (out(4000, net::tcp_ack), record());
    EXPECT_EQ(out(4000, net::tcp_ack).what, Decision::no_active_path);
    EXPECT_EQ(record(), before);
    const Decided first = out(4001);
    EXPECT_EQ(first.what, Decision::no_active_path);
    EXPECT_TRUE(first.unknown_chain);
    EXPECT_EQ(first.chain, nullptr);
    learn_chain();
    const Decided back = out(4000, net::tcp_ack);
    EXPECT_EQ(back.what, Decision::redirect);
    EXPECT_FALSE(back.new_on_path) << "on the path that it had";
}

TEST_F(UnknownChain, ResetsFlowsIfItDid) {
    forget_chain(FailurePolicy::reset);
    const Decided first = out(4000, net::tcp_ack);
    EXPECT_EQ(first.what, Decision::cut_off);
    EXPECT_TRUE(first.failed) << "the far end hears of it";
    const Decided again = out(4000, net::tcp_ack);
    EXPECT_EQ(again.what, Decision::cut_off);
    EXPECT_FALSE(again.failed) << "once";
}

TEST_F(UnknownChain, WhatIsKnownOfItStaysWhileARuleNamesIt) {
    forget_chain(FailurePolicy::block);
    const std::uint32_t blocking = host().inserts->revision(host().port("g1"));
    const ServiceRule web = *intent.find<ServiceRule>("web");
    intent.erase<ServiceRule>("web");
    publish();
    EXPECT_EQ(out(4001).what, Decision::pass);
    intent.put(web);
    publish();
    EXPECT_EQ(out(4002).what, Decision::bypass) << "nobody remembers";
    EXPECT_NE(host().inserts->revision(host().port("g1")), blocking);
}

}  // namespace
}  // namespace weir::chain
