#include "features/chain/node/node_transfer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "features/chain/planned.hpp"
#include "features/chain/testing/test_nodes.hpp"

// What travels with a node, between hosts of several workers each.
namespace weir::chain {
namespace {

using namespace test;

// n6 of h3 moves to h4. Its flows are told apart by two tags.
model::Snapshot moving_intent() {
    model::Snapshot intent = node_intent();
    edit<ServiceNode>(intent, "n6", [](ServiceNode& n) { n.contexts = NodeContexts::qinq; });
    intent.put(move_of("n6", l2_node, MovePhase::frozen));
    return intent;
}

struct Host {
    Host(std::uint32_t workers, const char* name, std::uint32_t id)
        : machine(workers), engine(machine, moving_intent(), ports(name, id)) {}

    static dataplane::Topology ports(const char* name, std::uint32_t id) {
        dataplane::Topology out = node_ports(moving_intent());
        out.host_name = name;
        out.host_id = id;
        if (id != 3) out.ports.clear();
        return out;
    }
    ToNode::State& state(std::uint32_t worker) { return engine.workers[worker]->to; }
    std::uint32_t workers() const { return machine.vtable.workers; }

    Machine machine;
    Engine engine;
};

struct Transfer {
    static constexpr std::uint32_t per_worker = 3000;

    // So many flows inside the node, on each worker.
    void fill() {
        for (std::uint32_t w = 0; w < from.workers(); ++w) {
            ToNode::State& state = from.state(w);
            ASSERT_TRUE(state.binding.follow(from.engine.to_tables->nodes, true));
            const std::size_t n = 1;  // n6, behind n1
            for (std::uint32_t i = 0; i < per_worker; ++i)
                ASSERT_NE(state.binding.flow_contexts().add(
                              context(w * per_worker + i, state.binding.slot_number(n)),
                              ContextOf::direction, now),
                          nullptr);
        }
    }
    static FlowContext context(std::uint32_t number, std::uint8_t slot) {
        FlowContext out;
        out.node = slot;
        out.age = ContextAge::established;
        out.known = 1;
        out.smd[0] = smd_of(number);
        out.used_ns = now;
        return out;
    }
    // One round of questions, to all workers, as the controller asks; answers in turn, or the other
    // way round. False: there is no more.
    bool round(std::uint32_t& from_number, bool backwards) {
        std::uint32_t next = 0;
        for (std::uint32_t i = 0; i < from.workers(); ++i) {
            const std::uint32_t w = backwards ? from.workers() - 1 - i : i;
            const auto part =
                save_node(*from.engine.to_tables, from.state(w), "n6", from_number, now);
            EXPECT_TRUE(part) << part.error().text();
            if (part->next != 0) next = next == 0 ? part->next : std::min(next, part->next);
            if (!part->bytes.empty()) restore(part->bytes);
        }
        from_number = next;
        return next != 0;
    }
    void restore(const std::vector<std::uint8_t>& bytes) {
        for (std::uint32_t w = 0; w < to.workers(); ++w) {
            const auto taken = restore_node(*to.engine.to_tables, to.state(w), bytes, now);
            ASSERT_TRUE(taken) << taken.error().text();
            total.taken += taken->taken;
            total.renumbered += taken->renumbered;
            total.lost += taken->lost;
        }
    }
    std::multiset<std::uint32_t> flows_there() {
        std::multiset<std::uint32_t> out;
        for (std::uint32_t w = 0; w < to.workers(); ++w) {
            NodeBinding& binding = to.state(w).binding;
            const NodeSlot* slot = binding.taken_in(l2_node, 7);
            if (!slot) continue;
            binding.flow_contexts().for_each(binding.number_of(*slot), [&](const FlowContext& c) {
                out.insert(c.smd[0].flow_handle);
                return true;
            });
        }
        return out;
    }

    static constexpr std::uint64_t now = 10'000 * second;
    Host from{2, "h3", 3}, to{2, "h4", 4};
    RestoredPart total;
};

TEST(NodeTransfer, TakesEveryContextOfEveryWorkerOnce) {
    for (const bool backwards : {false, true}) {
        Transfer t;
        t.fill();
        std::uint32_t at = 0;
        int rounds = 0;
        while (t.round(at, backwards)) ASSERT_LT(++rounds, 200);
        EXPECT_EQ(t.total.taken, 2 * Transfer::per_worker);
        EXPECT_EQ(t.total.lost, 0u);
        EXPECT_EQ(t.total.renumbered, 0u);
        const auto flows = t.flows_there();
        EXPECT_EQ(flows.size(), 2 * Transfer::per_worker);
        EXPECT_EQ(std::set(flows.begin(), flows.end()).size(), 2 * Transfer::per_worker);
        EXPECT_LE(rounds, 10);
    }
}

TEST(NodeTransfer, WhatComesTwiceIsTakenOnce) {
    Transfer t;
    t.fill();
    std::uint32_t at = 0;
    t.round(at, false);
    for (int i = 0; i < 3; ++i) {
        std::uint32_t again = 1;
        t.round(again, false);
    }
    EXPECT_EQ(t.total.taken, max_contexts_of_part);
    EXPECT_EQ(t.total.lost, 0u);
    EXPECT_EQ(t.flows_there().size(), max_contexts_of_part);
}

// Other nodes' contexts stand as they stood: which are old, and which have packets inside.
TEST(NodeTransfer, LeavesOtherNodesAlone) {
    Transfer t;
    t.fill();
    NodeBinding& binding = t.to.state(0).binding;
    ASSERT_TRUE(binding.follow(t.to.engine.to_tables->nodes, true));
    FlowContexts& contexts = binding.flow_contexts();
    contexts.claim(40, 1);
    std::vector<std::uint32_t> ids;
    for (std::uint32_t i = 0; i < 10; ++i) {
        FlowContext* one =
            contexts.add(Transfer::context(100'000 + i, 40), ContextOf::direction, Transfer::now);
        ASSERT_NE(one, nullptr);
        one->inside = 1;
        one->sampled_ns = Transfer::now;
        ids.push_back(contexts.id_of(*one));
    }
    const auto order = [&] {
        std::vector<std::uint32_t> out;
        contexts.for_each(40, [&](FlowContext& c) {
            EXPECT_EQ(c.inside, 1u);
            EXPECT_EQ(c.sampled_ns, Transfer::now);
            out.push_back(c.smd[0].flow_handle);
            return true;
        });
        return out;
    };
    // The first is used again: it is the newest now.
    const net::Smd smd = smd_of(100'000);
    net::Headers headers;
    headers.proto = net::proto_tcp;
    headers.tcp_flags = net::tcp_ack;
    contexts.refresh({40, ContextOf::direction, smd, headers, {}}, Transfer::now);
    for (std::uint32_t i = 0; i < 10; ++i) {
        FlowContext* one = contexts.find(ids[i], 40, Transfer::now);
        ASSERT_NE(one, nullptr);
        one->inside = 1;
        one->sampled_ns = Transfer::now;
    }
    const auto before = order();
    std::uint32_t at = 0;
    while (t.round(at, false)) {
    }
    EXPECT_EQ(order(), before);
    EXPECT_EQ(t.total.taken + t.total.lost, 2 * Transfer::per_worker);
    EXPECT_EQ(t.total.lost, 0u);
    // Those whose numbers the other node has; by which they are found all the same.
    EXPECT_EQ(t.total.renumbered, 10u);
    const std::uint8_t there = binding.number_of(*binding.taken_in(l2_node, 7));
    t.from.state(0).binding.flow_contexts().for_each(
        t.from.state(0).binding.slot_number(1), [&](const FlowContext& c) {
            const std::uint32_t number = t.from.state(0).binding.flow_contexts().id_of(c);
            const FlowContext* found = contexts.find(number, there, Transfer::now);
            EXPECT_TRUE(found && found->smd[0].flow_handle == c.smd[0].flow_handle) << number;
            return true;
        });
}

TEST(NodeTransfer, ARefusalIsOnesOwn) {
    Transfer t;
    const auto part = save_node(*t.to.engine.to_tables, t.to.state(0), "n6", 0, Transfer::now);
    ASSERT_FALSE(part);
    EXPECT_EQ(part.error().code, Errc::not_found);
}

}  // namespace
}  // namespace weir::chain
