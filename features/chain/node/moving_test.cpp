#include <gtest/gtest.h>
#include <sys/mman.h>

#include "features/chain/anchor/stub.hpp"
#include "features/chain/hop/arrive.hpp"
#include "features/chain/planned.hpp"
#include "features/chain/testing/test_nodes.hpp"

// What hosts do with packets of nodes and guests that are on their way to another host.
namespace weir::chain {
namespace {

using namespace test;

model::Snapshot frozen_intent() {
    model::Snapshot intent = node_intent();
    intent.put(move_of("n1", aware_node, MovePhase::frozen));
    return intent;
}

class FrozenNode : public ::testing::Test {
protected:
    void wait_in_line(std::uint8_t ttl) {
        net::Smd smd = smd_of(1);
        smd.ttl = ttl;
        Packet& p = w.service_packet(guest_frame(1), smd, aware_port);
        ASSERT_EQ(w.engine.to_node(p), taken);
    }
    ToNode::State& state() { return w.engine.workers[0]->to; }
    void go() {
        state().moves.note_away(*w.engine.to_tables->move(aware_node), w.engine.now_ns);
        w.engine.tick();
    }
    std::uint64_t count(ToNode::Exit exit) const {
        return w.engine.to_exits.count[static_cast<std::size_t>(exit)];
    }

    World w{1, frozen_intent()};
};

TEST_F(FrozenNode, PacketsFollowItAsLongAsTheyHaveLegsLeft) {
    wait_in_line(1);
    wait_in_line(2);
    EXPECT_EQ(w.engine.entered(), nullptr);
    go();
    Packet* followed = w.engine.entered();
    ASSERT_TRUE(followed);
    EXPECT_EQ(followed->tunnel_peer, 4u);
    EXPECT_EQ(followed->smd.ttl, 1);
    EXPECT_EQ(w.engine.entered(), nullptr);
    EXPECT_EQ(count(ToNode::Exit::ttl_expired), 1u);
    EXPECT_EQ(count(ToNode::Exit::queue_full), 0u) << "there was room";
    w.machine.free(*followed);
    EXPECT_EQ(w.machine.in_use, 0u);
}

TEST_F(FrozenNode, WhatWaitsGoesWithTheEngine) {
    for (int i = 0; i < 3; ++i) wait_in_line(60);
    ToNode::leave(state(), w.engine.to_exits, w.engine.workers[0]->emit);
    w.engine.workers[0]->emit.flush();
    EXPECT_EQ(count(ToNode::Exit::hold_gone), 3u);
    EXPECT_EQ(count(ToNode::Exit::queue_full), 0u);
    EXPECT_EQ(w.machine.in_use, 0u);
}

TEST(FrozenPort, WhatWaitsGoesWithTheEngine) {
    Machine machine(1);
    dataplane::Emit emit(machine.vtable, 0);
    Stub::State state;
    dataplane::Exits<Stub::Exit> exits;
    for (; state.count < 3; ++state.count) state.held[state.count] = machine.make();
    Stub::leave(state, exits, emit);
    emit.flush();
    EXPECT_EQ(exits.count[static_cast<std::size_t>(Stub::Exit::hold_gone)], 3u);
    EXPECT_EQ(exits.count[static_cast<std::size_t>(Stub::Exit::hold_full)], 0u);
    EXPECT_EQ(machine.in_use, 0u);
}

// Every packet of a moving node is looked up, on every worker: lines that nobody writes can be
// everybody's. Writing here would end the test.
TEST(MoveBoard, OnlyReadsWhereTheMoveIsKnown) {
    void* const memory = ::mmap(nullptr, sizeof(MoveMemory), PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    dataplane::OpenInput input;
    input.pool = [&](std::string_view, std::size_t, std::uint32_t, bool&) {
        return static_cast<std::byte*>(memory);
    };
    MoveBoard board;
    board.open(input);
    const Move move{aware_node, 9001, 7, 3, 4, "n1", false, {}};
    const Move same_place{aware_node + max_moves, 9001, 8, 3, 4, "n65", false, {}};
    board.note_away(move, 5);
    ASSERT_TRUE(board.of(same_place));
    ASSERT_EQ(::mprotect(memory, sizeof(MoveMemory), PROT_READ), 0);
    EXPECT_TRUE(board.is_away(move));
    EXPECT_TRUE(board.relays(move, 6));
    EXPECT_FALSE(board.is_away(same_place)) << "behind the other";
    ::munmap(memory, sizeof(MoveMemory));
}

TEST(NodeArrived, IsSaidWithTheFirstPacketThatSaysIt) {
    Machine machine(1);
    dataplane::StageMap stages;
    dataplane::Emit emit(machine.vtable, 0);
    emit.stages = &stages;
    emit.now_ns = second;
    Arrive::State state;
    dataplane::OpenInput input;
    input.pool = [&](std::string_view name, std::size_t bytes, std::uint32_t, bool& fresh) {
        return static_cast<std::byte*>(machine.pool(name, bytes, fresh));
    };
    state.open(input);
    Arrive::Tables plane;
    plane.host_id = 4;
    plane.moves = {{aware_node, 9001, 7, 3, 4, "n1", true, {1, 2, 3}}};
    dataplane::Exits<Arrive::Exit> exits;
    const auto tick = [&] {
        Arrive::tick(plane, state, exits, emit);
        emit.flush();
        emit.now_ns += 1'000'000;
    };
    machine.most_packets = machine.in_use;  // no buffer is free
    for (int i = 0; i < 20; ++i) tick();
    EXPECT_TRUE(machine.events.empty()) << "not again with every tick";
    machine.most_packets = 100'000;
    for (int i = 0; i < 20; ++i) tick();
    ASSERT_EQ(machine.events.size(), 1u);
    EXPECT_NE(machine.events[0].find("\"node\":\"n1\""), std::string::npos);
    std::size_t told = 0;
    while (Packet* p = emit.queue(dataplane::Context::service).pop()) {
        ++told;
        machine.free(*p);
    }
    EXPECT_EQ(told, 3u);
}

}  // namespace
}  // namespace weir::chain
