#include "features/chain/node/flow_contexts.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <type_traits>

#include "net/wire.hpp"

namespace weir::chain {
namespace {

constexpr std::uint64_t second = 1'000'000'000, start = 5'000 * second;

static_assert(std::is_trivially_copyable_v<FlowContextMemory>);

net::Smd smd_of(std::uint32_t number, bool reverse = false) {
    net::Smd smd;
    smd.spi = 11;
    smd.sci = 1;
    smd.si = smd.initial_si = 2;
    smd.tenant_vni = 5001;
    smd.anchor_host = 1;
    smd.anchor_port = 0x01000004;
    smd.flow_handle = number;
    smd.reverse = reverse;
    return smd;
}

net::Tuple tuple_of(std::uint32_t number, bool reverse = false) {
    net::Tuple tuple;
    tuple.src = net::Ip::from4(0x0a000001u + number / 60'000);
    tuple.dst = net::Ip::from4(0x0a000101u);
    tuple.src_port = static_cast<std::uint16_t>(1000 + number % 60'000);
    tuple.dst_port = 80;
    tuple.proto = net::proto_tcp;
    return reverse ? tuple.reversed() : tuple;
}

struct Bed {
    struct Free {
        void operator()(FlowContextMemory* memory) const { std::free(memory); }
    };
    std::unique_ptr<FlowContextMemory, Free> memory;
    std::unique_ptr<RenumberedMemory> renumbered = std::make_unique<RenumberedMemory>();
    FlowContexts contexts;

    explicit Bed(std::uint32_t worker = 0, std::uint32_t workers = 1)
        : memory(static_cast<FlowContextMemory*>(std::calloc(1, sizeof(FlowContextMemory)))),
          contexts(*memory, *renumbered, worker, workers) {
        contexts.recover();
        contexts.claim(3, 1);
        contexts.claim(4, 1);
    }
    FlowContexts::Refreshed give(ContextOf of, const net::Smd& smd, const net::Tuple& tuple,
                                 std::uint64_t now, std::uint8_t flags = net::tcp_ack,
                                 std::uint8_t node = 3) {
        net::Headers headers;
        headers.proto = net::proto_tcp;
        headers.tcp_flags = flags;
        return contexts.refresh({node, of, smd, headers, tuple}, now);
    }
    std::uint32_t id(ContextOf of, std::uint32_t number, bool reverse = false,
                     std::uint64_t now = start, std::uint8_t node = 3) {
        FlowContext* c =
            give(of, smd_of(number, reverse), tuple_of(number, reverse), now, net::tcp_ack, node)
                .context;
        return c ? contexts.id_of(*c) : no_context_id;
    }
};

FlowContext of_another_host(std::uint32_t number, std::uint8_t node = 3) {
    FlowContext out;
    out.node = node;
    out.known = 1;
    out.smd[0] = smd_of(number);
    out.tuple = tuple_of(number);
    out.used_ns = start;
    out.cookie = context_cookie({1, 2}, number, 9);
    return out;
}

// MB-9: packets that are inside a node carry the numbers of the host it came from. Numbers 1 and 2
// are another node's here.
TEST(FlowContexts, AreFoundByTheNumberThatTheyHadElsewhere) {
    Bed bed;
    ASSERT_EQ(bed.id(ContextOf::direction, 101, false, start, 4), 1u);
    ASSERT_EQ(bed.id(ContextOf::direction, 102, false, start, 4), 2u);
    const auto handle = [&](std::uint32_t id, std::uint64_t now = start) {
        const FlowContext* found = bed.contexts.find(id, 3, now);
        return found ? found->smd[0].flow_handle & 0xffff : 0;
    };
    ASSERT_FALSE(bed.contexts.put(1, of_another_host(1), ContextOf::direction, start));
    FlowContext* first = bed.contexts.add(of_another_host(1), ContextOf::direction, start, 1);
    ASSERT_TRUE(first);
    EXPECT_EQ(bed.contexts.id_of(*first), 3u);
    // Whose number that was comes later: what has its place makes room, for nobody carries it yet.
    EXPECT_TRUE(bed.contexts.put(3, of_another_host(3), ContextOf::direction, start));
    EXPECT_EQ(handle(3), 3u);
    EXPECT_EQ(handle(1), 1u) << "packets inside are not another flow's, and not lost";
    EXPECT_EQ(handle(4), 1u);
    EXPECT_EQ(bed.contexts.find(1, 4, start)->smd[0].flow_handle & 0xffff, 101u);
    EXPECT_EQ(bed.contexts.size(3), 2u);
    // The cookie that they carry counts as well, for this context alone.
    FlowContext& moved = *bed.contexts.find(4, 3, start);
    const std::uint32_t carried = std::exchange(moved.cookie, 77);
    EXPECT_TRUE(bed.contexts.is_named(moved, carried, start));
    EXPECT_TRUE(bed.contexts.is_named(moved, 77, start));
    EXPECT_FALSE(bed.contexts.is_named(moved, carried + 1, start));
    EXPECT_FALSE(bed.contexts.is_named(*bed.contexts.find(3, 3, start), carried, start));
    // As long as they may come, nobody else of the node gets the number.
    bed.contexts.claim(4, 2);
    EXPECT_EQ(bed.id(ContextOf::direction, 50), 2u) << "that was nobody's";
    EXPECT_EQ(bed.id(ContextOf::direction, 51), 5u);
    EXPECT_EQ(handle(1), 1u);
    const std::uint64_t later = start + renumbered_ns;
    EXPECT_EQ(handle(1, later), 0u);
    EXPECT_EQ(bed.id(ContextOf::direction, 52, false, later), 1u);
    EXPECT_EQ(handle(1, later), 52u);
}

TEST(FlowContexts, AnotherNodeInThePlaceOfTheMovedOneIsNotTakenForIt) {
    Bed bed;
    bed.id(ContextOf::direction, 101, false, start, 4);
    ASSERT_TRUE(bed.contexts.add(of_another_host(1), ContextOf::direction, start, 1));
    EXPECT_TRUE(bed.contexts.find(1, 3, start));
    bed.contexts.claim(3, 2);
    EXPECT_FALSE(bed.contexts.find(1, 3, start));
}

TEST(FlowContexts, AreOneForADirectionOrAFlowOrATuple) {
    Bed bed;
    EXPECT_NE(bed.id(ContextOf::direction, 1), bed.id(ContextOf::direction, 1, true));
    EXPECT_EQ(bed.id(ContextOf::direction, 1), bed.id(ContextOf::direction, 1));
    const std::uint32_t both = bed.id(ContextOf::flow, 2);
    EXPECT_EQ(bed.id(ContextOf::flow, 2, true), both);
    FlowContext* found = bed.contexts.find(both, 3, start);
    ASSERT_TRUE(found && found->knows(false) && found->knows(true));
    EXPECT_FALSE(found->of(false).reverse);
    EXPECT_TRUE(found->of(true).reverse);
    EXPECT_EQ(found->tuple, tuple_of(2));
    const std::uint32_t one = bed.id(ContextOf::tuple, 5),
                        other = bed.id(ContextOf::tuple, 5, true);
    EXPECT_NE(one, other);
    EXPECT_EQ(bed.contexts.find(tuple_of(5), false, 3, start), bed.contexts.find(one, 3, start));
    EXPECT_EQ(bed.contexts.find(tuple_of(5, true), true, 3, start),
              bed.contexts.find(other, 3, start));
    EXPECT_EQ(bed.contexts.find(tuple_of(5, true), false, 3, start), nullptr);
    EXPECT_EQ(bed.contexts.find(tuple_of(6), false, 3, start), nullptr);
}

TEST(FlowContexts, OfOneNodeAreNotAnothers) {
    Bed bed;
    const std::uint32_t mine = bed.id(ContextOf::tuple, 1);
    EXPECT_EQ(bed.contexts.find(mine, 4, start), nullptr);
    EXPECT_EQ(bed.contexts.find(tuple_of(1), false, 4, start), nullptr);
    EXPECT_NE(bed.id(ContextOf::tuple, 1, false, start, 4), mine);
    EXPECT_EQ(bed.contexts.size(3), 1u);
    EXPECT_EQ(bed.contexts.size(4), 1u);
}

TEST(FlowContexts, NumbersHaveOneOwnerAndBecomeTagsAndBack) {
    for (const std::uint32_t workers : {1u, 2u, 3u, 16u}) {
        std::vector<std::uint32_t> owned(workers + 1);
        for (std::uint32_t id = 0; id <= max_flow_contexts + 1; ++id)
            ++owned[flow_context_owner(id, workers)];
        for (std::uint32_t w = 0; w < workers; ++w)
            EXPECT_EQ(owned[w], max_flow_contexts / workers);
    }
    for (std::uint32_t id = 1; id <= max_flow_contexts; ++id) {
        const TwoTags tags = tags_of(id);
        ASSERT_TRUE(tags.outer >= 1 && tags.outer <= 4094 && tags.inner >= 1 && tags.inner <= 4094);
        ASSERT_EQ(id_of(tags), id);
        ASSERT_EQ(id_of_cookie(context_cookie({1, 2}, id, 77)), id);
    }
    EXPECT_EQ(id_of({0, 1}), no_context_id);
    EXPECT_EQ(id_of({1, 4095}), no_context_id);
    EXPECT_EQ(id_of({4094, 1}), no_context_id);
    EXPECT_NE(context_cookie({1, 2}, 9, 77), context_cookie({1, 3}, 9, 77));
}

TEST(FlowContexts, ANodeHoldsSixtyFourThousand) {
    Bed bed;
    for (std::uint32_t i = 0; i < max_flow_contexts_of_node; ++i)
        ASSERT_NE(bed.id(ContextOf::tuple, i), no_context_id) << i;
    EXPECT_EQ(bed.id(ContextOf::tuple, 70'000), no_context_id);
    EXPECT_NE(bed.id(ContextOf::tuple, 70'000, false, start, 4), no_context_id) << "another node";
    EXPECT_EQ(bed.id(ContextOf::tuple, 9), bed.id(ContextOf::tuple, 9)) << "one that is inside";
    // A connection closed ten seconds ago gives way.
    bed.give(ContextOf::tuple, smd_of(5), tuple_of(5), start, net::tcp_fin | net::tcp_ack);
    EXPECT_EQ(bed.id(ContextOf::tuple, 70'000, false, start + 9 * second), no_context_id);
    EXPECT_NE(bed.id(ContextOf::tuple, 70'000, false, start + 10 * second), no_context_id);
    EXPECT_EQ(bed.contexts.find(tuple_of(5), false, 3, start + 10 * second), nullptr);
}

TEST(FlowContexts, AgeAndFragmentsAgeFast) {
    Bed bed;
    const net::Smd smd = smd_of(1);
    net::Headers later;
    later.proto = net::proto_udp;
    later.fragment = net::Fragment::later;
    later.fragment_id = 0x00070008;
    net::Tuple bare = tuple_of(1);
    bare.src_port = bare.dst_port = 0;
    const net::Tuple key = tuple_key(later, bare);
    EXPECT_EQ(key.src_port, 7);
    EXPECT_EQ(key.dst_port, 8);
    ASSERT_TRUE(bed.contexts.refresh({3, ContextOf::tuple, smd, later, key}, start).context);
    bed.give(ContextOf::tuple, smd_of(2), tuple_of(2), start, net::tcp_syn);
    EXPECT_TRUE(bed.contexts.find(key, false, 3, start + 2 * second - 1));
    EXPECT_FALSE(bed.contexts.find(key, false, 3, start + 2 * second));
    EXPECT_TRUE(bed.contexts.find(tuple_of(2), false, 3, start + 119 * second));
    EXPECT_FALSE(bed.contexts.find(tuple_of(2), false, 3, start + 120 * second));
    bed.contexts.expire(3, start + 120 * second);
    EXPECT_EQ(bed.contexts.size(3), 0u);
}

// Two anchors send packets of the same addresses through one node: while one's is inside, the
// other's may not enter, or it would come out as the first one's.
TEST(FlowContexts, EqualAddressesOfAnotherAnchorWaitTheirTurn) {
    Bed bed;
    net::Smd mine = smd_of(1), other = smd_of(1), again = smd_of(77);
    other.anchor_host = 2;
    FlowContext* context = bed.give(ContextOf::tuple, mine, tuple_of(1), start).context;
    ASSERT_TRUE(context);
    context->inside = 1;
    const auto refused = bed.give(ContextOf::tuple, other, tuple_of(1), start);
    EXPECT_TRUE(refused.taken);
    EXPECT_EQ(refused.context, nullptr);
    EXPECT_EQ(context->of(false), mine);
    EXPECT_EQ(bed.give(ContextOf::tuple, again, tuple_of(1), start).context, context)
        << "the same anchor's flow, begun anew";
    context->inside = 0;
    EXPECT_EQ(bed.give(ContextOf::tuple, other, tuple_of(1), start).context, context);
    context->inside = 1;
    EXPECT_EQ(bed.give(ContextOf::tuple, mine, tuple_of(1), start + 2 * second).context, context)
        << "what has been inside for a second does not come back";
}

TEST(FlowContexts, SurviveAKillAndForgetAnotherDivision) {
    Bed bed;
    std::set<std::uint32_t> ids;
    for (std::uint32_t i = 0; i < 100; ++i) ids.insert(bed.id(ContextOf::tuple, i));
    FlowContext* torn = bed.contexts.find(tuple_of(50), false, 3, start);
    torn->live = 0;  // it was being written
    FlowContexts next(*bed.memory, *bed.renumbered, 0, 1);
    next.recover();
    EXPECT_EQ(next.size(3), 99u);
    for (std::uint32_t i = 0; i < 100; ++i)
        EXPECT_EQ(next.find(tuple_of(i), false, 3, start) != nullptr, i != 50) << i;
    FlowContexts half(*bed.memory, *bed.renumbered, 0, 2);
    half.recover();
    EXPECT_EQ(half.size(3), 0u);
    EXPECT_EQ(half.find(tuple_of(1), false, 3, start), nullptr);
}

TEST(FlowContexts, ANodeThatLeftTakesItsContextsAlong) {
    Bed bed;
    bed.id(ContextOf::tuple, 1);
    bed.id(ContextOf::tuple, 1, false, start, 4);
    bed.contexts.claim(3, 2);
    EXPECT_EQ(bed.contexts.find(tuple_of(1), false, 3, start), nullptr);
    EXPECT_TRUE(bed.contexts.find(tuple_of(1), false, 4, start));
    bed.contexts.claim(4, 1);
    EXPECT_TRUE(bed.contexts.find(tuple_of(1), false, 4, start)) << "the same node";
}

// Against a map that knows no lists and buckets.
TEST(FlowContexts, EqualANaiveTwin) {
    Bed bed;
    std::mt19937 random(7);
    std::map<std::pair<std::uint32_t, bool>, std::uint64_t>
        used;  // (number, reverse) → last packet
    std::uint64_t now = start;
    for (int step = 0; step < 20'000; ++step) {
        now += random() % second;
        const auto number = static_cast<std::uint32_t>(random() % 200);
        const bool reverse = random() % 2 == 0;
        if (random() % 3 != 0) {
            const auto [context, taken] = bed.give(ContextOf::tuple, smd_of(number, reverse),
                                                   tuple_of(number, reverse), now, net::tcp_syn);
            ASSERT_TRUE(context && !taken);
            used[{number, reverse}] = now;
        }
        if (random() % 5 == 0) bed.contexts.expire(3, now, 3);
        const auto known = used.find({number, reverse});
        const bool alive = known != used.end() && now - known->second < 120 * second;
        FlowContext* found = bed.contexts.find(tuple_of(number, reverse), reverse, 3, now);
        ASSERT_EQ(found != nullptr, alive) << step;
        if (found) {
            ASSERT_EQ(found->of(reverse), smd_of(number, reverse));
        }
    }
}

}  // namespace
}  // namespace weir::chain
