#include "features/chain/orders/carried_orders.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace weir::chain {
namespace {

constexpr std::uint32_t nodes = dataplane::HealthBoard::capacity;
constexpr std::uint64_t second_ns = 1'000'000'000, start_ns = 100 * second_ns;

struct Host {
    Host() {
        dataplane::OpenInput input;
        input.pool = [this](std::string_view, std::size_t, std::uint32_t, bool&) {
            return memory.get();
        };
        orders.open(input);
    }
    const std::unique_ptr<ProxyOrderMemory> memory = std::make_unique<ProxyOrderMemory>();
    ProxyOrders orders;
};

TEST(ProxyOrders, ANodeAtRestGivesItsPlaceAndGoesOnWithLargerNumbers) {
    Host host;
    ProxyOrders& orders = host.orders;
    for (std::uint32_t node = 1; node <= nodes; ++node)
        ASSERT_NE(orders.next_sequence(node, start_ns), 0u) << node;
    const std::uint32_t before = orders.next_sequence(1, start_ns);
    EXPECT_EQ(orders.next_sequence(nodes + 1, start_ns + second_ns), 0u) << "all may go on";
    // Carried over from a host whose clock is ahead: not at rest before this one's has caught up.
    orders.raise_sequence(2, 200'000, start_ns);
    const std::uint64_t later_ns = start_ns + 11 * second_ns;
    for (std::uint32_t node = nodes + 1; node <= nodes + nodes - 1; ++node)
        ASSERT_NE(orders.next_sequence(node, later_ns), 0u) << node;
    EXPECT_EQ(orders.next_sequence(2, later_ns), 200'001u);
    EXPECT_EQ(orders.next_sequence(1, later_ns), 0u);
    EXPECT_GT(orders.next_sequence(1, later_ns + 11 * second_ns), before);
}

// MB-8: to a host whose clock is far behind.
TEST(ProxyOrders, ANodeWithoutItsPlaceMovesAndGoesOnWithLargerNumbers) {
    Host from, to;
    for (std::uint32_t node = 1; node <= nodes; ++node)
        ASSERT_NE(from.orders.next_sequence(node, start_ns), 0u) << node;
    const std::uint32_t before = from.orders.next_sequence(nodes, start_ns);
    EXPECT_EQ(from.orders.last_sequence(nodes, start_ns), before);
    const std::uint64_t later_ns = start_ns + 11 * second_ns;
    ASSERT_NE(from.orders.next_sequence(nodes + 1, later_ns), 0u) << "it gets the place";
    to.orders.raise_sequence(nodes, from.orders.last_sequence(nodes, later_ns), second_ns);
    EXPECT_GT(to.orders.next_sequence(nodes, second_ns), before);
}

}  // namespace
}  // namespace weir::chain
