#include "dataplane/hold.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "net/builder.hpp"

namespace weir::dataplane {
namespace {

weir_host_vtable no_host() {
    weir_host_vtable table{};
    table.workers = 1;
    return table;
}

struct HoldTest : ::testing::Test {
    weir_host_vtable table = no_host();
    Emit emit{table, 0};
    HoldQueue<int, 4> queue;
    std::vector<Packet> packets = std::vector<Packet>(6);

    Packet& packet(int i) { return packets[static_cast<std::size_t>(i)]; }
    std::vector<int> left() const {
        std::vector<int> out;
        queue.each([&](const auto& held) { out.push_back(held.what); });
        return out;
    }
};

TEST_F(HoldTest, takes_packets_over_until_it_is_full) {
    packets[0].slot = 3;
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(queue.hold(packet(i), 10, i, emit));
    EXPECT_EQ(emit.taken, 1u << 3) << "the stage's no more";
    packets[4].slot = 5;
    EXPECT_FALSE(queue.hold(packets[4], 10, 4, emit));
    EXPECT_EQ(packets[4].slot, 5) << "still the stage's";
    EXPECT_EQ(queue.size(), 4u);
}

TEST_F(HoldTest, keeps_the_order_in_which_packets_came) {
    for (int i = 0; i < 4; ++i) queue.hold(packet(i), 10, i, emit);
    queue.release([](auto& held) { return held.what == 0 || held.what == 2; });
    EXPECT_EQ(left(), (std::vector{1, 3}));
    queue.hold(packets[4], 10, 4, emit);
    EXPECT_EQ(left(), (std::vector{1, 3, 4}));
    std::vector<int> seen;
    queue.release([&](auto& held) {
        seen.push_back(held.what);
        return true;
    });
    EXPECT_EQ(seen, (std::vector{1, 3, 4}));
    EXPECT_EQ(queue.size(), 0u);
}

}  // namespace
}  // namespace weir::dataplane
