#include "features/chain/plan/paths.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "features/chain/plan/path_generation.hpp"
#include "features/chain/testing/test_intent.hpp"

namespace weir::chain {
namespace {

using ::testing::ElementsAre;
using Ids = std::vector<std::uint32_t>;

std::vector<Ids> sorted(std::vector<Ids> paths) {
    std::sort(paths.begin(), paths.end());
    return paths;
}

TEST(PathGeneration, MakesEveryCombinationOnceWhenThereIsRoom) {
    const PathRequest request{{0, 1}, {{1, 3, 0}, {3, 1, 0}, {2, 4, 1}, {6, 3, 1}}, 64};
    EXPECT_THAT(sorted(generate_paths(request)),
                ElementsAre(Ids{1, 2}, Ids{1, 6}, Ids{3, 2}, Ids{3, 6}));
}

TEST(PathGeneration, StartsWithTheHostThatOffersTheLongestRun) {
    const PathRequest request{{0, 1}, {{1, 3, 0}, {3, 1, 0}, {2, 4, 1}, {6, 3, 1}}, 1};
    EXPECT_THAT(generate_paths(request), ElementsAre(Ids{1, 6}));
}

TEST(PathGeneration, CoversEveryNodeBeforeRepeatingCombinations) {
    PathRequest request{{0, 1}, {}, 8};
    for (std::uint32_t i = 0; i < 8; ++i) {
        request.nodes.push_back({10 + i, i, 0});
        request.nodes.push_back({20 + i, 7 - i, 1});
    }
    std::set<std::uint32_t> covered;
    const auto paths = generate_paths(request);
    for (const Ids& path : paths) covered.insert(path.begin(), path.end());
    EXPECT_EQ(paths.size(), 8u);
    EXPECT_EQ(covered.size(), 16u);
    for (const Ids& path : paths) EXPECT_EQ(path[0] - 10, 7 - (path[1] - 20)) << "same host";
}

TEST(PathGeneration, NeverUsesANodeTwiceInAPath) {
    const PathRequest request{{0, 0, 0}, {{1, 1, 0}, {2, 1, 0}, {3, 2, 0}}, 256};
    const auto paths = generate_paths(request);
    EXPECT_EQ(paths.size(), 6u);
    for (const Ids& path : paths)
        EXPECT_EQ(std::set<std::uint32_t>(path.begin(), path.end()).size(), 3u);
}

TEST(PathGeneration, GivesNothingWhereAServiceLacksNodes) {
    EXPECT_TRUE(generate_paths({{0, 0}, {{1, 1, 0}}, 64}).empty());
    EXPECT_TRUE(generate_paths({{0, 1}, {{1, 1, 0}}, 64}).empty());
    EXPECT_TRUE(generate_paths({{}, {{1, 1, 0}}, 64}).empty());
}

TEST(PathGeneration, StaysWithinTheLimitWithoutRepeating) {
    PathRequest request{{0, 1, 2, 3}, {}, 256};
    for (std::uint32_t i = 0; i < 40; ++i) request.nodes.push_back({i + 1, i % 7, i % 4});
    const auto paths = generate_paths(request);
    EXPECT_EQ(paths.size(), 256u);
    EXPECT_EQ(std::set<Ids>(paths.begin(), paths.end()).size(), 256u);
}

TEST(PathGeneration, DoesNotDependOnTheOrderOfNodes) {
    PathRequest request{{0, 1}, {{1, 3, 0}, {3, 1, 0}, {2, 4, 1}, {6, 3, 1}}, 3};
    const auto paths = generate_paths(request);
    std::reverse(request.nodes.begin(), request.nodes.end());
    EXPECT_EQ(generate_paths(request), paths);
}

std::vector<ServicePath> paths_of(const model::Snapshot& intent, const std::string& chain) {
    return static_paths(intent)[chain];
}

std::map<Ids, std::uint32_t> spis(const model::Snapshot& intent, const std::string& chain) {
    std::map<Ids, std::uint32_t> out;
    for (const ServicePath& path : paths_of(intent, chain)) {
        Ids ids;
        for (const PathHop& hop : path.forward) ids.push_back(hop.node_id);
        out[ids] = path.spi;
    }
    return out;
}

TEST(StaticPaths, ReplyHopsAreTheSameNodesInOppositeOrder) {
    const auto paths = paths_of(test::two_services(), "c1");
    ASSERT_EQ(paths.size(), 4u);
    for (const ServicePath& path : paths) {
        EXPECT_EQ(path.svni, 9001u);
        EXPECT_EQ(path.sci, 1u);
        EXPECT_NE(path.spi, 0u);
        ASSERT_EQ(path.forward.size(), 2u);
        EXPECT_EQ(path.forward[0], path.reverse[1]);
        EXPECT_EQ(path.forward[1], path.reverse[0]);
        EXPECT_EQ(path.forward[0].mac, node_mac(path.forward[0].node_id));
    }
}

TEST(StaticPaths, NumbersSurviveUnrelatedChanges) {
    model::Snapshot intent = test::two_services();
    const auto before = spis(intent, "c1");
    test::add_node(intent, 7, "h2", "fw", NodeMode::aware);
    intent.put(test::make_chain("a-second", 2, {"ids-default"}));
    const auto after = spis(intent, "c1");
    EXPECT_EQ(after.size(), 6u);
    for (const auto& [ids, spi] : before) EXPECT_EQ(after.at(ids), spi);
}

TEST(StaticPaths, NumbersAreUniqueInAServiceSegment) {
    model::Snapshot intent = test::topology();
    test::add_service(intent, "fw", Transport::nsh);
    for (std::uint32_t id = 1; id <= 60; ++id)
        test::add_node(intent, id, "h1", "fw", NodeMode::aware);
    // About 14 000 of 16 M numbers: several would meet by chance.
    for (std::uint32_t sci = 1; sci <= 220; ++sci)
        intent.put(test::make_chain("c" + std::to_string(sci), sci, {"fw-default", "fw-default"}));
    std::set<std::uint32_t> seen;
    std::size_t count = 0;
    const auto all = static_paths(intent);
    for (const auto& row : all)
        for (const ServicePath& path : row.second) seen.insert(path.spi), ++count;
    EXPECT_EQ(count, 220u * 64);
    EXPECT_EQ(seen.size(), count);
}

TEST(StaticPaths, EpochFollowsTheHopsAndNothingElse) {
    model::Snapshot intent = test::two_services();
    const auto epoch = paths_of(intent, "c1").front().epoch;
    test::edit<ServiceNode>(intent, "n1", [](ServiceNode& n) { n.weight = 7; });
    EXPECT_EQ(paths_of(intent, "c1").front().epoch, epoch);
    test::edit<ServiceProfile>(intent, "fw-default",
                               [](ServiceProfile& p) { p.action = HopAction::copy; });
    EXPECT_NE(paths_of(intent, "c1").front().epoch, epoch);
}

TEST(StaticPaths, WeightIsTheProductOfTheNodesShares) {
    model::Snapshot intent = test::two_services();
    test::edit<ServiceNode>(intent, "n2", [](ServiceNode& n) { n.weight = 300; });
    test::edit<ServiceNode>(intent, "n3", [](ServiceNode& n) { n.weight = 0; });
    std::map<Ids, std::uint32_t> weights;
    for (const ServicePath& path : paths_of(intent, "c1"))
        weights[{path.forward[0].node_id, path.forward[1].node_id}] = path.weight;
    EXPECT_EQ((weights[{1, 2}]), 3 * weights[(Ids{1, 6})]);
    EXPECT_EQ((weights[{3, 2}]), 0u);
}

TEST(StaticPaths, OwnReplyProfilesUseTheForwardNodesWhereTheyFit) {
    model::Snapshot intent = test::two_services();
    test::edit<ServiceChain>(intent, "c1", [](ServiceChain& c) {
        c.reverse = {model::Ref<ServiceProfile>("ids-default")};
    });
    for (const ServicePath& path : paths_of(intent, "c1")) {
        ASSERT_EQ(path.reverse.size(), 1u);
        EXPECT_EQ(path.reverse[0], path.forward[1]);
    }
}

TEST(StaticPaths, NodesAboveTheirLimitsAreLeftToThoseWhoFindNoOther) {
    model::Snapshot intent = test::two_services();
    ServiceNodeStatus status;
    status.name = "n2";
    status.node_id = 2;
    status.slow = status.lossy = true;
    intent.put(status);
    const auto limit = [&](LatencyAction action, std::uint16_t loss) {
        test::edit<ServiceNode>(intent, "n2", [&](ServiceNode& n) {
            n.latency_limit_us = 1000;
            n.latency_action = action;
            n.loss_limit_permille = loss;
        });
    };
    const auto marks = [&] {
        std::set<std::pair<bool, std::uint32_t>> out;  // passes n2, limits missed
        for (const ServicePath& path : paths_of(intent, "c1")) {
            EXPECT_FALSE(path.maintenance) << "nobody said so";
            out.emplace(path.forward[1].node_id == 2, path.above_limits);
        }
        return out;
    };
    using Marks = std::set<std::pair<bool, std::uint32_t>>;
    EXPECT_EQ(marks(), (Marks{{false, 0}, {true, 0}})) << "it has no limits";
    limit(LatencyAction::alarm, 10);
    EXPECT_EQ(marks(), (Marks{{false, 0}, {true, 0}}));
    limit(LatencyAction::drain, 0);
    EXPECT_EQ(marks(), (Marks{{false, 0}, {true, 1}})) << "once, though replies pass it too";
    limit(LatencyAction::drain, 10);
    EXPECT_EQ(marks(), (Marks{{false, 0}, {true, 2}}));
}

TEST(StaticPaths, NodesInMaintenanceMarkTheirPaths) {
    model::Snapshot intent = test::two_services();
    test::edit<ServiceNode>(intent, "n2", [](ServiceNode& n) { n.maintenance = true; });
    for (const ServicePath& path : paths_of(intent, "c1"))
        EXPECT_EQ(path.maintenance, path.forward[1].node_id == 2) << path.name;
}

// CT-11: whatever befalls a tap, the originals go on as before.
TEST(StaticPaths, TapsDecideNothing) {
    model::Snapshot intent = test::two_services();
    test::edit<ServiceNode>(intent, "n2", [](ServiceNode& n) {
        n.maintenance = true;
        n.drain_s = 5;
        n.weight = 0;
    });
    for (const HopAction action : {HopAction::copy, HopAction::redirect}) {
        test::edit<ServiceProfile>(intent, "ids-default",
                                   [=](ServiceProfile& p) { p.action = action; });
        for (const ServicePath& path : paths_of(intent, "c1")) {
            const bool counts = action == HopAction::redirect && path.forward[1].node_id == 2;
            EXPECT_EQ(path.maintenance, counts) << path.name;
            EXPECT_EQ(path.drain_s, counts ? 5u : 0u) << path.name;
            EXPECT_EQ(path.weight == 0, counts) << path.name;
        }
    }
}

TEST(StaticPaths, NamesOfLongChainsStayNames) {
    model::Snapshot intent = test::two_services();
    const std::string longest(limits::max_name_bytes, 'x');
    intent.put(test::make_chain(longest, 9, {"fw-default"}));
    for (const ServicePath& path : paths_of(intent, longest))
        EXPECT_LE(path.name.size(), limits::max_name_bytes);
}

TEST(StaticPaths, HopsSayTheLargestPacketThatFitsTheirPorts) {  // DP-24
    model::Snapshot intent = test::two_services();
    const auto mtus = [&](std::uint32_t id) {
        for (const ServicePath& path : paths_of(intent, "c1"))
            for (const PathHop& hop : path.forward)
                if (hop.node_id == id) return hop.mtu;
        return 0u;
    };
    EXPECT_EQ(mtus(1), 1700u - 58);
    EXPECT_EQ(mtus(2), 1700u);
    test::edit<model::Port>(intent, "n1", [](model::Port& p) { p.mtu = 1500; });
    test::edit<model::Port>(intent, "n2-right", [](model::Port& p) { p.mtu = 1400; });
    EXPECT_EQ(mtus(1), 1500u - 58);
    EXPECT_EQ(mtus(2), 1400u) << "the smaller of both sides";
    EXPECT_EQ(paths_of(intent, "c1").front().epoch,
              paths_of(test::two_services(), "c1").front().epoch);
}

TEST(RuleIds, KeepsGivenNumbersAndMakesOthersAboveThem) {
    model::Snapshot intent = test::two_services();
    test::edit<ServiceRule>(intent, "web", [](ServiceRule& r) { r.id = 7; });
    ServiceRule other = *intent.find<ServiceRule>("web");
    other.name = "other";
    other.id = 0;
    intent.put(other);
    const auto ids = rule_ids(intent);
    EXPECT_EQ(ids.at("web"), 7u);
    EXPECT_GT(ids.at("other"), max_explicit_rule_id);
    EXPECT_EQ(rule_ids(intent), ids);
}

}  // namespace
}  // namespace weir::chain
