#include <gtest/gtest.h>

#include "features/chain/testing/test_host.hpp"
#include "model/value.hpp"

// What the insertion stage shows of chains and paths (TM-2).
namespace weir::chain {
namespace {

using model::Value;
using dataplane::Packet;
using test::TestHost;

Value ask(TestHost& host, std::string_view what) {
    Value rows = Value::array();
    EXPECT_TRUE(Insert::query(what, *host.inserts, host.insert_state, host.emit, rows));
    return rows;
}

// Of all paths that flows of the host may have.
std::uint64_t active_flows(TestHost& host) {
    std::uint64_t flows = 0;
    const Value rows = ask(host, "paths");
    for (const Value& row : rows.items()) flows += row["active_flows"].as_uint();
    return flows;
}

TEST(InsertReport, CountsTheFlowsThatAreOnAPathNow) {
    TestHost host(test::remote_path());
    EXPECT_EQ(active_flows(host), 0u);
    Packet* last = nullptr;
    for (std::uint16_t port = 4000; port < 4010; ++port) {
        last = &host.tracked("g1", CallPoint::egress, test::tcp(port, 80));
        host.insert(*last);
    }
    host.insert(host.tracked("g1", CallPoint::egress, test::tcp(4000, 81)));  // has no services
    EXPECT_EQ(active_flows(host), 10u);
    host.flows.erase(*last->flow);
    EXPECT_EQ(active_flows(host), 9u);
    EXPECT_EQ(ask(host, "paths").items()[0]["new_flows"].as_uint(), 10u);
}

TEST(InsertReport, SaysWhetherNodesOfAChainAreAskedIfTheyLive) {
    model::Snapshot intent = test::remote_path();
    test::edit<Service>(intent, "fw", [](Service& s) { s.liveness_support = true; });
    TestHost host(intent);
    EXPECT_EQ(ask(host, "chains").items()[0]["liveness"].as_text(), "asked");
    test::edit<Service>(intent, "fw", [](Service& s) { s.liveness_support = false; });
    host.apply(intent);
    EXPECT_EQ(ask(host, "chains").items()[0]["liveness"].as_text(), "none");
    // What only gets copies is not asked to be alive.
    test::edit<ServiceProfile>(intent, "fw-default",
                               [](ServiceProfile& p) { p.action = HopAction::copy; });
    host.apply(intent);
    EXPECT_EQ(ask(host, "chains").items()[0]["liveness"].as_text(), "asked");
}

TEST(InsertReport, CountsWhatRulesOfUnknownChainsFind) {  // OBJ-20
    TestHost host(test::remote_path());
    host.untold_chains = {"c1"};
    host.apply(test::remote_path());
    Packet& p = host.tracked("g1", CallPoint::egress, test::tcp(4000, 80));
    host.insert(p);
    EXPECT_EQ(test::count(host.insert_exits, Insert::Exit::no_active_path), 1u);
    EXPECT_EQ(host.insert_state.rules.at(host.inserts->rules.rules()[0].id).unknown_chain, 1u);
    const Value rules = ask(host, "rules");
    EXPECT_EQ(rules.items()[0]["action"].as_text(), "redirect");
    EXPECT_TRUE(rules.items()[0]["unknown_chain"].as_bool());
    EXPECT_EQ(rules.items()[0]["failure_policy"].as_text(), "block");
}

TEST(CounterMap, CountsWhatFindsNoRoom) {
    CounterMap<std::uint64_t> map(8);
    for (std::uint64_t number = 1; number <= 100; ++number) ++map[number];
    EXPECT_EQ(map.misses(), map.others());
    EXPECT_GE(map.misses(), 84u);
    const std::uint64_t before = map.misses();
    ++map[1];
    EXPECT_EQ(map.misses(), before);
    EXPECT_EQ(map.at(1), 2u);
}

}  // namespace
}  // namespace weir::chain
