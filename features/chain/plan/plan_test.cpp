#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "features/chain/feature.hpp"
#include "features/chain/testing/test_intent.hpp"
#include "model/json.hpp"
#include "model/registry.hpp"

namespace weir::chain {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

model::Snapshot planned(const model::Snapshot& intent, std::string_view host) {
    model::Snapshot out;
    plan(intent, host, out);
    return out;
}

template <class R>
std::vector<std::string> names(const model::Snapshot& snapshot) {
    std::vector<std::string> out;
    for (const auto& row : snapshot.all<R>()) out.push_back(row.first);
    return out;
}

std::vector<std::string> paths_over(const model::Snapshot& snapshot) {
    std::vector<std::string> out;
    for (const auto& row : snapshot.all<ServicePath>())
        out.push_back(row.second.forward[0].node + row.second.forward[1].node);
    return out;
}

TEST(Plan, GivesAnAnchorItsRulesChainsAndAllPaths) {
    const auto h1 = planned(test::two_services(), "h1");
    EXPECT_THAT(names<ServiceRule>(h1), ElementsAre("web"));
    EXPECT_THAT(names<ServiceChain>(h1), ElementsAre("c1"));
    EXPECT_THAT(paths_over(h1), UnorderedElementsAre("n1n2", "n1n6", "n3n2", "n3n6"));
    EXPECT_THAT(names<ServiceNode>(h1), ElementsAre("n3"));
    EXPECT_THAT(names<Service>(h1), UnorderedElementsAre("fw", "ids"));
}

TEST(Plan, GivesAHopHostItsPathsAndNoRules) {
    const auto h4 = planned(test::two_services(), "h4");
    EXPECT_THAT(names<ServiceRule>(h4), IsEmpty());
    EXPECT_THAT(names<ServiceNode>(h4), ElementsAre("n2"));
    EXPECT_THAT(paths_over(h4), UnorderedElementsAre("n1n2", "n3n2"));
    EXPECT_THAT(names<ServiceChain>(h4), ElementsAre("c1"));
    EXPECT_NE(h4.find<model::ServiceSegment>("plane"), nullptr);
}

// CHAIN_CHANGE: a node may name any chain of the service segment.
TEST(Plan, GivesAnchorsWhatNodesMayMoveFlowsTo) {
    model::Snapshot intent = test::two_services();
    intent.put(test::make_chain("c2", 2, {"ids-default"}));
    EXPECT_THAT(names<ServiceChain>(planned(intent, "h1")), ElementsAre("c1"));
    test::edit<Service>(intent, "fw",
                        [](Service& s) { s.privileges = {Privilege::change_chain}; });
    const auto h1 = planned(intent, "h1");
    EXPECT_THAT(names<ServiceChain>(h1), ElementsAre("c1", "c2"));
    EXPECT_EQ(names<ServicePathUse>(h1).size(), 4u + 2u);
    EXPECT_THAT(names<ServicePathUse>(planned(intent, "h4")), IsEmpty()) << "no rule is here";
    test::edit<ServiceChain>(intent, "c2", [](ServiceChain& c) { c.service_segment = "other"; });
    EXPECT_THAT(names<ServiceChain>(planned(intent, "h1")), ElementsAre("c1"))
        << "another service segment is another tenant's";
}

TEST(Plan, OnlyAnchorsMayPutFlowsOnPaths) {
    const auto h1 = planned(test::two_services(), "h1");
    EXPECT_EQ(names<ServicePathUse>(h1), names<ServicePath>(h1));
    EXPECT_THAT(names<ServicePathUse>(planned(test::two_services(), "h4")), IsEmpty());
}

// CP-2: only hosts with a node on the path must be ready before anybody uses it.
TEST(Plan, OthersRelyOnHostsThatAPathPasses) {
    const auto relied_upon = feature.orders.front().relied_upon;
    for (const std::string host : {"h1", "h3", "h4"}) {
        const auto plan = planned(test::two_services(), host);
        for (const auto& [name, path] : plan.all<ServicePath>()) {
            const bool passes = path.forward[0].host == host || path.forward[1].host == host;
            EXPECT_EQ(relied_upon(plan, name, host), passes) << host << " " << name;
        }
    }
}

// CP-2: rules come last, but only for a chain that has nothing else to offer.
TEST(Plan, RulesWaitWhileNoPathOfTheirChainIsReady) {
    const auto h1 = planned(test::two_services(), "h1");
    std::vector<model::ResourceKey> held;
    for (const std::string& path : names<ServicePathUse>(h1))
        held.push_back({"service-path-use", path});
    EXPECT_THAT(waiting_rules(h1, held), ElementsAre(model::ResourceKey{"service-rule", "web"}));
    held.pop_back();
    EXPECT_THAT(waiting_rules(h1, held), IsEmpty());
}

TEST(Plan, NodesOfPathsThatLingerStayWithTheirPorts) {
    model::Snapshot before = planned(test::two_services(), "h3");
    const std::vector<std::string> paths = names<ServicePath>(before);
    ASSERT_FALSE(paths.empty());
    const auto* node = before.find<ServiceNode>("n1");
    ASSERT_TRUE(node && !node->vnics.empty());
    std::vector<model::ResourceKey> lingering;
    for (const std::string& path : paths) lingering.push_back({"service-path", path});
    std::vector<model::ResourceKey> kept = nodes_of_lingering_paths(before, lingering);
    EXPECT_THAT(kept, testing::Contains(model::ResourceKey{"service-node", "n1"}));
    EXPECT_THAT(kept, testing::Contains(model::ResourceKey{"service", node->service.name}));
    EXPECT_THAT(kept, testing::Contains(
                          model::ResourceKey{"service-segment", node->service_segment.name}));
    model::Port port;
    port.name = node->vnics.front().name;
    before.put(port);
    kept = nodes_of_lingering_paths(before, lingering);
    EXPECT_THAT(kept, testing::Contains(model::ResourceKey{"port", port.name}));
    // Nothing else lingers, and nothing that is not left.
    EXPECT_THAT(nodes_of_lingering_paths(
                    before, std::vector<model::ResourceKey>{{"service-rule", "web"}}),
                IsEmpty());
    before.erase<ServiceNode>("n1");
    EXPECT_THAT(nodes_of_lingering_paths(before, lingering),
                testing::Not(testing::Contains(model::ResourceKey{"service-node", "n1"})));
}

TEST(Plan, GivesNothingToHostsThatHaveNoPart) {
    EXPECT_EQ(planned(test::two_services(), "h2").size(), 0u);
    EXPECT_EQ(planned(test::two_services(), "nowhere").size(), 0u);
}

TEST(Plan, PutsAddressesInPlaceOfGroups) {
    const auto h1 = planned(test::two_services(), "h1");
    const ServiceRule& rule = *h1.find<ServiceRule>("web");
    EXPECT_THAT(rule.destinations, IsEmpty());
    std::vector<std::string> texts;
    for (const auto& prefix : rule.destination_addresses) texts.push_back(prefix.text());
    EXPECT_THAT(texts, ElementsAre("192.168.10.11/32", "192.168.10.12/32", "192.168.10.13/32"));
    EXPECT_GT(rule.id, max_explicit_rule_id);
}

TEST(Plan, AppliesRulesWithoutPortsToAllGuestPortsOfTheHost) {
    model::Snapshot intent = test::two_services();
    test::edit<ServiceRule>(intent, "web", [](ServiceRule& r) { r.applied_to_ports.clear(); });
    EXPECT_THAT(planned(intent, "h1").find<ServiceRule>("web")->applied_to_ports,
                ElementsAre(model::Ref<model::Port>("g1"), model::Ref<model::Port>("g3")));
    EXPECT_THAT(planned(intent, "h2").find<ServiceRule>("web")->applied_to_ports,
                ElementsAre(model::Ref<model::Port>("g2")));
}

TEST(Plan, LeavesOutRulesOfEmptyGroupsRatherThanMatchingAll) {
    model::Snapshot intent = test::two_services();
    test::edit<model::Group>(intent, "web-guests", [](model::Group& g) {
        g.labels = {{"no", "one"}};
    });
    EXPECT_THAT(names<ServiceRule>(planned(intent, "h1")), IsEmpty());
    test::edit<ServiceRule>(intent, "web", [](ServiceRule& r) { r.not_destinations = true; });
    const auto h1 = planned(intent, "h1");
    ASSERT_NE(h1.find<ServiceRule>("web"), nullptr);
    EXPECT_FALSE(h1.find<ServiceRule>("web")->not_destinations);
}

TEST(Plan, LeavesOutDisabledRulesAndWhatOnlyTheyNeed) {
    model::Snapshot intent = test::two_services();
    test::edit<ServiceRule>(intent, "web", [](ServiceRule& r) { r.enabled = false; });
    const auto h1 = planned(intent, "h1");
    EXPECT_THAT(names<ServiceRule>(h1), IsEmpty());
    EXPECT_THAT(paths_over(h1), UnorderedElementsAre("n3n2", "n3n6"));
}

TEST(Plan, HandsOnTheStateOfNodesOnPaths) {
    model::Snapshot intent = test::two_services();
    ServiceNodeStatus status;
    status.name = "n2";
    status.node_id = 2;
    status.state = NodeState::down;
    status.generation = 5;
    intent.put(status);
    status.name = "gone";
    intent.put(status);
    const auto h1 = planned(intent, "h1");
    EXPECT_THAT(names<ServiceNodeStatus>(h1), ElementsAre("n2"));
    EXPECT_EQ(h1.find<ServiceNodeStatus>("n2")->generation, 5u);
}

TEST(Plan, KeepsOnlyThisHostsPortsInExclusions) {
    model::Snapshot intent = test::two_services();
    ServiceExclusion exclusion;
    exclusion.name = "managers";
    exclusion.ports = {model::Ref<model::Port>("g1"), model::Ref<model::Port>("g2")};
    intent.put(exclusion);
    EXPECT_THAT(planned(intent, "h1").find<ServiceExclusion>("managers")->ports,
                ElementsAre(model::Ref<model::Port>("g1")));
    EXPECT_EQ(planned(intent, "h3").find<ServiceExclusion>("managers"), nullptr);
}

// Every kind of the feature, as text of both snapshots, to compare them as a whole.
std::string everything(const model::Snapshot& snapshot) {
    model::Registry registry;
    model::add_core_kinds(registry);
    add_kinds(registry);
    std::string out;
    for (const model::Kind* kind : registry.kinds())
        for (const std::string& name : kind->names(snapshot)) {
            out += std::string(kind->name()) + "/" + name + "\n";
            out += model::dump_json(kind->encode(snapshot, name)) + "\n";
        }
    return out;
}

TEST(Plan, IsTheSameHoweverTheIntentCameAbout) {
    const model::Snapshot once = test::two_services();
    model::Snapshot again = test::topology();
    const model::Snapshot other = test::two_services();
    for (const auto& row : other.all<ServiceRule>()) again.put(row.second);
    for (const auto& row : other.all<ServiceChain>()) again.put(row.second);
    for (const auto& row : other.all<ServiceProfile>()) again.put(row.second);
    for (const auto& row : other.all<Service>()) again.put(row.second);
    for (const auto& row : other.all<model::Port>()) again.put(row.second);
    for (const auto& row : other.all<ServiceNode>()) again.put(row.second);
    for (const char* host : {"h1", "h2", "h3", "h4"})
        EXPECT_EQ(everything(planned(once, host)), everything(planned(again, host)));
}

}  // namespace
}  // namespace weir::chain
