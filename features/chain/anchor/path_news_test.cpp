#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "features/chain/testing/test_host.hpp"

namespace weir::chain {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t second = 1'000'000'000;

struct PathNewsTest : ::testing::Test {
    explicit PathNewsTest(model::Snapshot from = test::remote_path())
        : intent(std::move(from)), host(intent) {}

    // What is told in so many seconds, looked at ten times in each.
    std::vector<std::string> told(unsigned seconds) {
        host.events.clear();
        for (unsigned i = 0; i < 10 * seconds; ++i) {
            host.emit.now_ns += second / 10;
            Insert::tick(*host.inserts, host.insert_state, host.insert_exits, host.emit);
        }
        return host.events;
    }
    model::Snapshot intent;
    test::TestHost host;
};

MATCHER_P(Tells, event, "") {
    return arg.find("\"event\":\"" + std::string(event) + "\"") != std::string::npos;
}

TEST_F(PathNewsTest, WhatIsWellIsNoNews) {
    EXPECT_THAT(told(30), IsEmpty());
}

TEST_F(PathNewsTest, APathThatFailsAndTheChainThatHasNoneLeft) {
    told(2);
    host.set_node(1, false);
    const auto failing = told(5);
    ASSERT_THAT(failing, ElementsAre(Tells("path-down"), Tells("chain-failing")));
    EXPECT_THAT(failing[0], AllOf(HasSubstr(R"("chain":"c1")"), HasSubstr(R"("path":"c1.)")));
    EXPECT_THAT(failing[1], AllOf(HasSubstr(R"("chain":"c1","sci":1,"failure_policy":"block")")));
    EXPECT_THAT(told(30), IsEmpty());
    host.set_node(1, true);
    EXPECT_THAT(told(5), ElementsAre(Tells("path-up"), Tells("chain-whole")));
}

TEST_F(PathNewsTest, AChainThatFlapsIsToldOfEveryTenSecondsAtMost) {
    told(2);
    std::size_t chains = 0;
    for (int i = 0; i < 10; ++i) {  // for 40 seconds
        host.set_node(1, i % 2 != 0);
        for (const std::string& event : told(4))
            chains += event.find("\"event\":\"chain-") != std::string::npos;
    }
    EXPECT_GE(chains, 2u);
    EXPECT_LE(chains, 5u);
    host.set_node(1, true);
    told(25);
    host.set_node(1, false);
    EXPECT_THAT(told(3), ElementsAre(Tells("path-down"), Tells("chain-failing")))
        << "the last word was that it is whole";
}

TEST_F(PathNewsTest, AnOutageOfLessThanASecondIsNoneOfTheChain) {
    told(2);
    host.set_node(1, false);
    host.emit.now_ns += second;
    Insert::tick(*host.inserts, host.insert_state, host.insert_exits, host.emit);
    host.set_node(1, true);
    EXPECT_THAT(told(5), ElementsAre(Tells("path-up")));
}

// A node without link is on no usable path, whatever liveness says or does not (LV-3).
TEST_F(PathNewsTest, ANodeThatIsNotAttachedTakesItsPathsDown) {
    told(2);
    ServiceNodeStatus status;
    status.name = "n1";
    status.node_id = 1;
    status.attached = false;
    intent.put(status);
    host.apply(intent);
    EXPECT_FALSE(is_usable(host.chain(1).paths.at(0), 1, *host.health));
    EXPECT_THAT(told(5), ElementsAre(Tells("path-down"), Tells("chain-failing")));
    status.node_id = 77;  // of an earlier node of that name
    intent.put(status);
    host.apply(intent);
    EXPECT_TRUE(is_usable(host.chain(1).paths.at(0), 1, *host.health));
}

struct ManyPathsTest : PathNewsTest {
    static model::Snapshot many() {
        model::Snapshot intent = test::two_services();
        for (std::uint32_t id = 10; id < 18; ++id)
            test::add_node(intent, id, "h3", "fw", NodeMode::aware);
        for (std::uint32_t id = 20; id < 24; ++id)
            test::add_node(intent, id, "h4", "ids", NodeMode::l2);
        return intent;
    }
    ManyPathsTest() : PathNewsTest(many()) {}
};

TEST_F(ManyPathsTest, AreToldOfLittleByLittle) {
    const std::size_t paths = host.chain(1).paths.size();
    ASSERT_GT(paths, 40u);
    told(2);
    for (const std::uint32_t id : {2u, 6u, 20u, 21u, 22u, 23u}) host.set_node(id, false);
    const auto first = told(1);
    EXPECT_LE(first.size(), 33u);
    EXPECT_EQ(first.size() + told(20).size(), paths + 1) << "every path once, and the chain";
}

}  // namespace
}  // namespace weir::chain
