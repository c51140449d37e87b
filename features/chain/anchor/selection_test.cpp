#include "features/chain/anchor/selection.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>
#include <set>

#include "features/chain/testing/test_host.hpp"

namespace weir::chain {
namespace {

net::Tuple tuple(std::uint32_t n) {
    net::Tuple t;
    t.src = net::Ip::from4(0x0a000000u + n % 251);
    t.dst = net::Ip::from4(0x0a010000u + n % 13);
    t.src_port = static_cast<std::uint16_t>(1024 + n);
    t.dst_port = 80;
    t.proto = 6;
    return t;
}

// Share of `flows` flows per path, named by its nodes.
std::map<std::string, double> shares(const Chain& chain, const dataplane::HealthBoard& health,
                                     std::uint32_t host, std::uint32_t flows = 12000) {
    std::map<std::string, double> out;
    for (std::uint32_t n = 0; n < flows; ++n) {
        const Path* path = select_path(chain, host, health, flow_number(chain.sci, 5001, tuple(n)));
        std::string name;
        if (path)
            for (const Hop& hop : path->hops[0]) name += hop.node;
        out[name] += 1.0 / flows;
    }
    return out;
}

TEST(Ranges, AreContiguousAndAsWideAsTheirWeights) {
    Ranges ranges;
    ranges.add(3, 7);
    ranges.add(0, 8);
    ranges.add(1, 9);
    const std::uint32_t edge = 0xc0000000u;  // three quarters
    EXPECT_EQ(ranges.pick(0), 7);
    EXPECT_EQ(ranges.pick(edge - 1), 7);
    EXPECT_EQ(ranges.pick(edge), 9);
    EXPECT_EQ(ranges.pick(0xffffffffu), 9);
}

TEST(Ranges, HoldTheLargestWeights) {
    Ranges ranges;
    for (std::uint16_t i = 0; i < 256; ++i) ranges.add(0xffffffffu, i);
    for (std::uint32_t i = 0; i < 256; ++i) {
        EXPECT_EQ(ranges.pick(i << 24), i);
        EXPECT_EQ(ranges.pick(i << 24 | 0xffffff), i);
    }
}

TEST(Ranges, AgreeWithTheirDefinitionOnRandomWeights) {
    std::mt19937 random(7);
    for (int round = 0; round < 200; ++round) {
        Ranges ranges;
        std::vector<std::uint32_t> weights(1 + random() % 40);
        std::uint64_t total = 0;
        for (std::uint16_t i = 0; i < weights.size(); ++i) {
            weights[i] =
                static_cast<std::uint32_t>(random() % 5 == 0 ? 0 : random() >> (random() % 31));
            total += weights[i];
            ranges.add(weights[i], i);
        }
        if (total == 0) continue;
        for (int probe = 0; probe < 50; ++probe) {
            const auto number = static_cast<std::uint32_t>(random());
            __extension__ using Wide = unsigned __int128;
            auto at = static_cast<std::uint64_t>(Wide{total} * number >> 32);
            std::uint16_t expected = 0;
            while (at >= weights[expected]) at -= weights[expected++];
            EXPECT_EQ(ranges.pick(number), expected);
        }
    }
}

TEST(FlowNumber, IsEqualForBothDirectionsOnly) {
    std::set<std::uint32_t> seen;
    for (std::uint32_t n = 0; n < 2000; ++n) {
        const net::Tuple t = tuple(n);
        EXPECT_EQ(flow_number(1, 5001, t), flow_number(1, 5001, t.reversed()));
        EXPECT_NE(flow_number(1, 5001, t), flow_number(2, 5001, t));
        EXPECT_NE(flow_number(1, 5001, t), flow_number(1, 5002, t));
        seen.insert(flow_number(1, 5001, t));
    }
    EXPECT_GE(seen.size(), 1999u);
}

TEST(Draws, AreSpreadEvenlyAndDifferByWorkerAndTime) {
    Chain chain;
    chain.number = FlowNumbers::random;
    Draws first, second;
    first.begin(0);
    second.begin(1);
    std::array<std::uint32_t, 16> buckets{};
    std::uint32_t equal = 0;
    for (std::uint32_t n = 0; n < 16000; ++n) {
        const std::uint32_t number = number_of(chain, 5001, tuple(1), {&first, n / 7 * 1000});
        equal += number == number_of(chain, 5001, tuple(1), {&second, n / 7 * 1000});
        ++buckets[number >> 28];
    }
    EXPECT_LE(equal, 1u);
    for (const std::uint32_t count : buckets) EXPECT_NEAR(count, 1000, 150);
    Draws once, again;
    EXPECT_NE(once.next(1), again.next(2));
    chain.number = FlowNumbers::hash;
    EXPECT_EQ(number_of(chain, 5001, tuple(1), {&first, 0}), flow_number(0, 5001, tuple(1)));
}

TEST(FlowNumber, KeepsItsValues) {
    // Hosts of different builds must agree; a change moves flows to other nodes.
    EXPECT_EQ(flow_number(1, 5001, tuple(1)), 0x6d5758f6u);
}

class Selection : public ::testing::Test {
protected:
    model::Snapshot intent = test::two_services();
    void choose(PathSelection how) {
        test::edit<ServiceChain>(intent, "c1", [&](ServiceChain& c) { c.path_selection = how; });
    }
    void weigh(const std::string& node, std::uint16_t weight) {
        test::edit<ServiceNode>(intent, node, [&](ServiceNode& n) { n.weight = weight; });
    }
};

TEST_F(Selection, FollowsWeightsWithinThreePoints) {
    choose(PathSelection::weighted);
    weigh("n3", 0);
    weigh("n2", 300);
    const test::TestHost host(intent);
    const auto share = shares(host.chain(1), *host.health, 1);
    EXPECT_NEAR(share.at("n1n2"), 0.75, 0.03);
    EXPECT_NEAR(share.at("n1n6"), 0.25, 0.03);
    EXPECT_EQ(share.size(), 2u);
}

TEST_F(Selection, RoundRobinIgnoresWeights) {
    choose(PathSelection::round_robin);
    weigh("n2", 900);
    const test::TestHost host(intent);
    for (const auto& [path, share] : shares(host.chain(1), *host.health, 1))
        EXPECT_NEAR(share, 0.25, 0.03) << path;
}

TEST_F(Selection, LocalTakesTheFewestCrossings) {
    choose(PathSelection::local);
    // From h1: n3 (h1) and n2 (h4) or n6 (h3) cross twice; n1n6 on h3 cross twice as well, but have
    // no node here; n1n2 crosses three times.
    const test::TestHost host(intent);
    const auto share = shares(host.chain(1), *host.health, 1);
    EXPECT_EQ(share.size(), 2u);
    EXPECT_NEAR(share.at("n3n2"), 0.5, 0.03);
    EXPECT_NEAR(share.at("n3n6"), 0.5, 0.03);
}

TEST_F(Selection, LocalGoesFurtherWhenNearNodesAreDown) {
    choose(PathSelection::local);
    test::TestHost host(intent);
    host.set_node(3, false);
    EXPECT_THAT(shares(host.chain(1), *host.health, 1),
                ::testing::ElementsAre(::testing::Key("n1n6")));
    host.set_node(6, false);
    EXPECT_THAT(shares(host.chain(1), *host.health, 1),
                ::testing::ElementsAre(::testing::Key("n1n2")));
}

TEST_F(Selection, LocalPrefersTheAnchorsRackAmongEqualDistances) {
    choose(PathSelection::local);
    test::edit<ServiceChain>(intent, "c1", [](ServiceChain& c) { c.forward.resize(1); });
    test::add_node(intent, 7, "h2", "fw", NodeMode::aware);  // h2 shares h1's rack, h3 does not
    test::TestHost host(intent);
    EXPECT_THAT(shares(host.chain(1), *host.health, 1),
                ::testing::ElementsAre(::testing::Key("n3")));
    host.set_node(3, false);
    EXPECT_THAT(shares(host.chain(1), *host.health, 1),
                ::testing::ElementsAre(::testing::Key("n7")));
}

TEST_F(Selection, RemoteKeepsAwayFromTheAnchorsHost) {
    choose(PathSelection::remote);
    test::TestHost host(intent);
    EXPECT_THAT(shares(host.chain(1), *host.health, 1),
                ::testing::ElementsAre(::testing::Key("n1n2"), ::testing::Key("n1n6")));
    host.set_node(1, false);
    EXPECT_THAT(shares(host.chain(1), *host.health, 1),
                ::testing::ElementsAre(::testing::Key("n3n2"), ::testing::Key("n3n6")));
}

TEST_F(Selection, AvoidsMaintenanceAndDeadNodesAndUnattachedOnes) {
    test::edit<ServiceNode>(intent, "n2", [](ServiceNode& n) { n.maintenance = true; });
    test::TestHost host(intent);
    EXPECT_THAT(shares(host.chain(1), *host.health, 1),
                ::testing::ElementsAre(::testing::Key("n1n6"), ::testing::Key("n3n6")));
    host.set_node(6, false);
    EXPECT_THAT(shares(host.chain(1), *host.health, 1), ::testing::ElementsAre(::testing::Key("")));
}

TEST_F(Selection, CopiesDoNotMatterForUsability) {
    test::edit<ServiceProfile>(intent, "ids-default",
                               [](ServiceProfile& p) { p.action = HopAction::copy; });
    test::TestHost host(intent);
    host.set_node(2, false);
    host.set_node(6, false);
    EXPECT_FALSE(shares(host.chain(1), *host.health, 1).contains(""));
}

TEST_F(Selection, MovesFewFlowsWhenAWeightChanges) {
    choose(PathSelection::weighted);
    const test::TestHost before(intent);
    weigh("n2", 110);
    const test::TestHost after(intent);
    int moved = 0;
    for (std::uint32_t n = 0; n < 5000; ++n) {
        const std::uint32_t number = flow_number(1, 5001, tuple(n));
        moved += select_path(before.chain(1), 1, *before.health, number)->spi !=
                 select_path(after.chain(1), 1, *after.health, number)->spi;
    }
    EXPECT_LT(moved, 5000 / 10);
}

// PS-6, PS-3: the busy get less, and where distance counts they give way when all near ones are.
TEST(SelectionByLoad, TakesWeightAndLetsLocalSpill) {
    const auto board = std::make_unique<dataplane::HealthBoard>();
    const dataplane::HealthBoard& health = *board;
    Chain chain;
    chain.sci = 1;
    chain.path_selection = PathSelection::weighted;
    for (std::uint32_t id : {1u, 3u}) {
        Path path;
        path.spi = id;
        path.weight = 100;
        path.crossings = static_cast<std::uint16_t>(id);
        Hop hop;
        hop.node = "n" + std::to_string(id);
        hop.node_id = id;
        hop.host_id = 9;
        path.hops = {std::vector<Hop>{hop}, std::vector<Hop>{hop}};
        chain.paths.push_back(path);
    }
    EXPECT_NEAR(shares(chain, health, 1)["n1"], 0.5, 0.03);
    chain.paths[0].load = 750;
    EXPECT_NEAR(shares(chain, health, 1)["n1"], 0.2, 0.03);
    chain.paths[0].load = 1000;
    EXPECT_NEAR(shares(chain, health, 1)["n1"], 0.05 / 1.05, 0.03);
    chain.path_selection = PathSelection::round_robin;
    EXPECT_NEAR(shares(chain, health, 1)["n1"], 0.5, 0.03);
    chain.path_selection = PathSelection::local;
    chain.paths[0].load = 899;
    EXPECT_GT(shares(chain, health, 1)["n1"], 0.99);
    chain.paths[0].load = 900;
    EXPECT_GT(shares(chain, health, 1)["n3"], 0.99);
    chain.paths[1].load = 950;  // everybody is busy: nearness counts again
    EXPECT_GT(shares(chain, health, 1)["n1"], 0.99);
}

// OVERLOAD: the paths of the node get its share of what they weigh.
TEST(AvoidingSelection, NodesThatAskForFewerFlowsGetFewer) {
    test::TestHost host(test::two_services());
    host.health->overloads().set(3, 100, 60'000'000'000, 1);
    const auto got = shares(host.chain(1), *host.health, 1);
    EXPECT_NEAR(got.at("n3n2") + got.at("n3n6"), 1.0 / 11, 0.03);
    EXPECT_NEAR(got.at("n1n2") + got.at("n1n6"), 10.0 / 11, 0.03);
}

TEST(AvoidingSelection, WhereDistanceCountsAnOverloadedClassGivesWay) {
    model::Snapshot intent = test::two_services();
    test::edit<ServiceChain>(intent, "c1",
                             [](ServiceChain& c) { c.path_selection = PathSelection::local; });
    test::TestHost host(intent);
    const auto near = shares(host.chain(1), *host.health, 1, 500);
    host.health->overloads().set(3, 100, 60'000'000'000, 1);
    const auto far = shares(host.chain(1), *host.health, 1, 500);
    EXPECT_NE(near, far);
    EXPECT_EQ(far.count("n3n6") + far.count("n3n2"), 0u);
}

// A node that is drained for being slow never leaves a chain without a path.
TEST(AvoidingSelection, NodesAboveTheirLimitsAreForThoseWhoFindNoOther) {
    test::TestHost host(test::two_services());
    Chain chain = host.chain(1);
    const auto path = [&](const std::string& name) -> Path& {
        for (Path& one : chain.paths)
            if (one.hops[0][0].node + one.hops[0][1].node == name) return one;
        return chain.paths.front();
    };
    const auto taken = [&] {
        std::set<std::string> out;
        for (const auto& row : shares(chain, *host.health, 1, 500)) out.insert(row.first);
        return out;
    };
    using Names = std::set<std::string>;
    path("n1n2").above_limits = path("n3n2").above_limits = 1;
    EXPECT_EQ(taken(), (Names{"n1n6", "n3n6"}));
    for (Path& one : chain.paths) ++one.above_limits;
    EXPECT_EQ(taken(), (Names{"n1n6", "n3n6"})) << "all are bad: the least bad";
    path("n1n6").maintenance = true;
    host.health->avoided_paths().add(9001, path("n3n6").spi, 1'000'000'000, 0);
    EXPECT_EQ(taken(), (Names{"n1n2", "n3n2", "n3n6"})) << "its own limits and its nodes' alike";
    host.set_node(6, false);
    EXPECT_EQ(taken(), (Names{"n1n2", "n3n2"})) << "better slow than not at all";
    const auto choice = choices(chain, 1, *host.health);
    for (const Choice& one : choice)
        EXPECT_EQ(one.takes_part, one.path->hops[0][1].node == "n2") << one.path->name;
}

TEST(AvoidingSelection, PathsAboveTheirLimitsAreForThoseWhoFindNoOther) {
    test::TestHost host(test::two_services());
    const Chain& chain = host.chain(1);
    const std::uint32_t generation = host.health->generation;
    for (const Path& path : chain.paths)
        if (path.hops[0][0].node == "n1")
            host.health->avoided_paths().add(path.svni, path.spi, 1'000'000'000, 0);
    auto got = shares(chain, *host.health, 1, 500);
    EXPECT_EQ(got.count("n1n2") + got.count("n1n6"), 0u);
    host.set_node(3, false);
    got = shares(chain, *host.health, 1, 500);
    EXPECT_EQ(got.count(""), 0u) << "better slow than not at all";
    EXPECT_EQ(host.health->generation, generation + 1) << "flows that are there do not care";
    host.set_node(3, true);
    host.health->expire_paths(1'000'000'000);
    got = shares(chain, *host.health, 1, 500);
    EXPECT_EQ(got.size(), 4u);
}

}  // namespace
}  // namespace weir::chain
