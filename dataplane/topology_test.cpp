#include "dataplane/topology.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "base/check.hpp"
#include "model/core_resources.hpp"
#include "model/documents.hpp"
#include "model/registry.hpp"
#include "model/yaml.hpp"

namespace weir::dataplane {
namespace {

constexpr const char* base = R"(
{kind: host, name: h1, id: 1, tunnel_address: 10.0.0.1}
---
{kind: segment, name: web, vni: 5001}
---
{kind: port, name: g1, host: h1, segment: web, mac: "02:00:00:00:00:01", labels: {role: client}}
---
{kind: port, name: g2, host: h1, segment: web, mac: "02:00:00:00:00:02", labels: {role: server}}
---
{kind: group, name: servers, labels: {role: server}}
)";

Topology with(const std::string& more) {
    model::Registry registry;
    model::add_core_kinds(registry);
    model::Errors errors;
    model::Snapshot snapshot;
    model::put_documents(registry, model::parse_documents(base + more, errors), snapshot, errors);
    WEIR_CHECK(errors.empty(), "the text is valid");
    std::vector<AttachedPort> open(2);
    for (std::uint32_t i = 0; i < open.size(); ++i) {
        open[i].info.index = i;
        open[i].info.name[0] = 'g';
        open[i].info.name[1] = static_cast<char>('1' + i);
        open[i].attached = true;
    }
    return compile_topology(snapshot, "h1", open).value();
}

TEST(FlowTimeouts, PortsWithoutAnyHaveTheRulebook) {
    const Topology topology = with("");
    for (const PortEntry& port : topology.ports) {
        EXPECT_EQ(port.timeouts, flow::default_timeouts);
    }
}

// What an operator reads in the description is what holds where he says nothing.
TEST(FlowTimeouts, DefaultsAreTheRulebook) {
    const Topology topology = with("---\n{kind: flow-timeouts, name: all}\n");
    for (const PortEntry& port : topology.ports) {
        EXPECT_EQ(port.timeouts, flow::default_timeouts);
    }
}

TEST(FlowTimeouts, TheFirstThatAppliesCounts) {
    const Topology topology = with(
        "---\n{kind: flow-timeouts, name: a, priority: 2, udp_s: 1}\n"
        "---\n{kind: flow-timeouts, name: b, priority: 1, applied_to: [servers], udp_s: 2}\n"
        "---\n{kind: flow-timeouts, name: c, priority: 1, applied_to: [servers], udp_s: 3}\n");
    EXPECT_EQ(topology.ports[0].timeouts.udp_ms, 1000u);
    EXPECT_EQ(topology.ports[1].timeouts.udp_ms, 2000u);
}

TEST(FlowTimeouts, EveryFieldReachesThePort) {
    const Topology topology = with(
        "---\n{kind: flow-timeouts, name: a, tcp_new_s: 1, tcp_established_s: 2592000, "
        "tcp_closing_s: 3, tcp_closed_s: 4, udp_s: 5, udp_replied_s: 6, icmp_s: 7, other_s: 8}\n");
    const flow::Timeouts& t = topology.ports[0].timeouts;
    EXPECT_EQ(t.tcp_new_ms, 1000u);
    EXPECT_EQ(t.tcp_established_ms, 2'592'000'000u);
    EXPECT_EQ(t.tcp_closing_ms, 3000u);
    EXPECT_EQ(t.tcp_closed_ms, 4000u);
    EXPECT_EQ(t.udp_ms, 5000u);
    EXPECT_EQ(t.udp_replied_ms, 6000u);
    EXPECT_EQ(t.icmp_ms, 7000u);
    EXPECT_EQ(t.other_ms, 8000u);
}

TEST(FlowLimits, EveryFieldReachesThePort) {
    const Topology topology =
        with("---\n{kind: flow-limits, name: a, new_flows_per_second: 100, burst: 3}\n"
             "---\n{kind: flow-limits, name: b, priority: 1, applied_to: [servers], "
             "max_flows: 7}\n");
    const FlowLimits& clients = topology.ports[0].flow_limits;
    EXPECT_EQ(clients.interval_ns, 10'000'000u);
    EXPECT_EQ(clients.burst_ns, 30'000'000u);
    EXPECT_EQ(clients.max_flows, 0u);
    const FlowLimits& servers = topology.ports[1].flow_limits;
    EXPECT_EQ(servers.interval_ns, 0u);
    EXPECT_EQ(servers.max_flows, 7u);
    EXPECT_EQ(servers.max_per_worker(2), 4u) << "both together may have all of them";
}

// Over a second, and with any number of workers that share the flows evenly.
TEST(FlowBudget, GivesTheRateAndTheBurst) {
    const FlowLimits limits{0, 1'000'000, 5'000'000};  // 1000 a second, 5 at once
    for (const std::uint32_t workers : {1u, 4u}) {
        std::vector<FlowBudget> budgets(workers);
        std::uint32_t begun = 0;
        for (std::uint64_t now = 0; now < 1'000'000'000; now += 10'000) {
            FlowBudget& budget = budgets[now / 10'000 % workers];
            if (budget.is_used_up(limits, workers, now)) continue;
            budget.begin(limits, workers, now);
            ++begun;
        }
        EXPECT_NEAR(begun, 1005, 2 * workers) << workers;
    }
}

TEST(FlowBudget, OwesNothingUnderOtherLimits) {
    const FlowLimits slow{0, 100'000'000, 10'000'000'000};  // 10 a second, 100 at once
    const FlowLimits fast{0, 1'000'000, 5'000'000};
    FlowBudget budget;
    std::uint64_t now = 1;
    while (!budget.is_used_up(slow, 1, now)) budget.begin(slow, 1, now);
    EXPECT_TRUE(budget.is_used_up(fast, 1, now));
    EXPECT_FALSE(budget.is_used_up(fast, 1, now += fast.interval_ns)) << "that is the new pace";
}

// Live flows must not be decided again because they may be idle for longer.
TEST(FlowTimeouts, AreNoPartOfThePortsEpoch) {
    const Topology before = with("");
    const Topology after =
        with("---\n{kind: flow-timeouts, name: a, udp_s: 1}\n"
             "---\n{kind: flow-limits, name: a, max_flows: 1}\n");
    for (std::size_t i = 0; i < before.ports.size(); ++i)
        EXPECT_EQ(before.ports[i].epoch, after.ports[i].epoch);
}

}  // namespace
}  // namespace weir::dataplane
