#include "apps/host/stub_table.hpp"

#include <gtest/gtest.h>

#include "base/limits.hpp"

namespace weir::host {
namespace {

struct StubTableTest : testing::Test {
    StubTable table() { return StubTable(memory.data()); }
    std::vector<std::uint64_t> memory = std::vector<std::uint64_t>(StubTable::bytes() / 8 + 1);
};

TEST_F(StubTableTest, KeepsWhatItIsToldUntilItIsForgotten) {
    StubTable first = table();
    EXPECT_TRUE(first.all().empty());
    first.keep({"g1", {3, 2, 1u << 24 | 9, 77}, true});
    first.keep({"g2", {4, 5, 6, 78}, true});
    first.keep({"g2", {4, 5, 6, 78}, false});
    const auto all = table().all();
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].name, "g1");
    EXPECT_EQ(all[0].move.port, 3u);
    EXPECT_EQ(all[0].move.to_host, 2u);
    EXPECT_EQ(all[0].move.to_anchor, 1u << 24 | 9);
    EXPECT_EQ(all[0].move.until_ns, 77u);
    EXPECT_TRUE(all[0].news);
    EXPECT_FALSE(all[1].news);
    table().forget("g1");
    ASSERT_EQ(table().all().size(), 1u);
    EXPECT_EQ(table().all()[0].name, "g2");
}

TEST_F(StubTableTest, WhicheverBitChangesNothingWrongIsBelieved) {
    table().keep({"g1", {3, 2, 9, 77}, true});
    constexpr std::size_t words_of_a_row = 12;
    const auto whole = memory;
    for (std::size_t bit = 0; bit < words_of_a_row * 64; ++bit) {
        memory[bit / 64] ^= std::uint64_t{1} << bit % 64;
        EXPECT_TRUE(table().all().empty()) << bit;
        memory = whole;
    }
    EXPECT_EQ(table().all().size(), 1u);
}

TEST_F(StubTableTest, ForgetsWhatThereIsNoRoomFor) {
    StubTable full = table();
    for (std::size_t i = 0; i <= limits::max_ports; ++i)
        full.keep({"p" + std::to_string(i), {1, 2, 3, 4}, true});
    EXPECT_EQ(full.all().size(), limits::max_ports);
}

}  // namespace
}  // namespace weir::host
