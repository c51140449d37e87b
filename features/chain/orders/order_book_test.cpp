#include "features/chain/orders/order_book.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>

namespace weir::chain {
namespace {

// The vault of a host, as far as a book needs it.
struct Memory {
    ~Memory() { std::free(start); }
    dataplane::OpenInput input(std::uint32_t worker, std::uint32_t workers) {
        dataplane::OpenInput in;
        in.worker = worker;
        in.workers = workers;
        in.pool = [this](std::string_view, std::size_t bytes, std::uint32_t, bool& fresh) {
            fresh = start == nullptr;
            if (fresh) start = std::calloc(1, bytes);
            return start;
        };
        return in;
    }
    OrderBook open(std::uint32_t worker = 0, std::uint32_t workers = 1) {
        OrderBook book;
        book.open(input(worker, workers));
        return book;
    }
    void* start = nullptr;
};

Order order(std::uint32_t handle, std::uint32_t issuer, CtrlOp op = CtrlOp::flow_drop) {
    Order o;
    o.handle = handle;
    o.issuer = issuer;
    o.flow_id = handle;
    o.op = static_cast<std::uint8_t>(op);
    o.scope = 3;
    return o;
}

TEST(OrderBook, KeepsOrdersOfAFlowApartAndOutlivesItsView) {
    Memory memory;
    OrderBook book = memory.open();
    for (std::uint32_t issuer = 1; issuer <= 3; ++issuer)
        book.place(*book.free_place(7), order(7, issuer));
    book.place(*book.free_place(8), order(8, 1));
    OrderBook later = memory.open();
    EXPECT_EQ(later.size(), 4u);
    EXPECT_EQ(later.find(7, 7, 2, CtrlOp::flow_drop)->issuer, 2u);
    EXPECT_EQ(later.find(7, 7, 2, CtrlOp::node_skip), nullptr);
    EXPECT_EQ(later.find(7, 9, 2, CtrlOp::flow_drop), nullptr);  // another flow had that handle
    later.erase(*later.find(7, 7, 2, CtrlOp::flow_drop));
    EXPECT_EQ(book.find(7, 7, 2, CtrlOp::flow_drop), nullptr);
    std::size_t left = 0;
    book.for_each(7, 7, [&](Order&) { ++left; });
    EXPECT_EQ(left, 2u);
    EXPECT_EQ(book.size(), 3u);
}

TEST(OrderBook, AFlowHasSixtyFourPlaces) {
    Memory memory;
    OrderBook book = memory.open();
    for (std::uint32_t i = 0; i < 64; ++i) book.place(*book.free_place(7), order(7, i + 1));
    EXPECT_EQ(book.free_place(7), nullptr);
    book.erase(*book.find(7, 7, 20, CtrlOp::flow_drop));
    EXPECT_NE(book.free_place(7), nullptr);
}

TEST(OrderBook, AnotherNumberOfWorkersEmptiesAPart) {
    Memory memory;
    OrderBook book = memory.open();
    book.place(*book.free_place(7), order(7, 1));
    EXPECT_EQ(memory.open().size(), 1u);
    OrderBook other = memory.open(0, 2);
    EXPECT_EQ(other.size(), 0u);
    EXPECT_EQ(other.find(7, 7, 1, CtrlOp::flow_drop), nullptr);
}

TEST(OrderBook, GoesRoundItsPlacesOnly) {
    Memory memory;
    OrderBook left = memory.open(0, 2), right = memory.open(1, 2);
    left.place(*left.free_place(7), order(7, 1));
    right.place(*right.free_place(7), order(7, 2));
    std::map<std::uint32_t, int> seen;
    left.go_round(left.capacity(), [&](Order& o) { ++seen[o.issuer]; });
    EXPECT_EQ(seen, (std::map<std::uint32_t, int>{{1, 1}}));
}

TEST(OrderBook, WithoutMemoryItIsEmpty) {
    OrderBook book;
    dataplane::OpenInput input;
    input.workers = 1;
    input.pool = [](std::string_view, std::size_t, std::uint32_t, bool&) -> void* {
        return nullptr;
    };
    book.open(input);
    OrderLetter letter;
    EXPECT_FALSE(book);
    EXPECT_EQ(book.free_place(7), nullptr);
    EXPECT_EQ(book.find(7, 7, 1, CtrlOp::flow_drop), nullptr);
    EXPECT_FALSE(book.send(0, letter));
    EXPECT_FALSE(book.receive(letter));
}

TEST(OrderBook, AnIssuerHasItsRateAndItsBurst) {
    Memory memory;
    OrderBook book = memory.open(), other = memory.open();
    constexpr std::uint64_t now = 5'000'000'000;
    for (std::uint64_t i = 0; i < order_burst; ++i)
        ASSERT_TRUE((i % 2 == 0 ? book : other).take_token(9, now)) << i;
    EXPECT_FALSE(book.take_token(9, now));
    EXPECT_TRUE(book.take_token(10, now));
    EXPECT_TRUE(book.take_token(9, now + 100'000));  // a ten-thousandth of a second
    EXPECT_FALSE(book.take_token(9, now + 100'000));
    for (std::uint64_t i = 0; i < order_burst; ++i)
        ASSERT_TRUE(book.take_token(9, now + 1'000'000'000)) << i;
    EXPECT_FALSE(book.take_token(9, now + 1'000'000'000));
}

TEST(OrderBook, AnIssuerAtRestGivesItsPlaceToAnother) {
    Memory memory;
    OrderBook book = memory.open();
    constexpr std::uint64_t now = 5'000'000'000;
    constexpr std::uint32_t places = dataplane::HealthBoard::capacity;
    for (std::uint32_t issuer = 1; issuer <= places; ++issuer)
        ASSERT_TRUE(book.take_token(issuer, now)) << issuer;
    EXPECT_FALSE(book.take_token(places + 1, now)) << "all have just sent";
    EXPECT_TRUE(book.take_token(places + 1, now + 1'000'000));
    EXPECT_TRUE(book.take_token(1, now + 1'000'000)) << "who gave way may come back";
    for (std::uint64_t i = 1; i < order_burst; ++i)
        ASSERT_TRUE(book.take_token(places + 1, now + 1'000'000)) << i;
    EXPECT_FALSE(book.take_token(places + 1, now + 1'000'000)) << "with a rate of its own";
}

TEST(OrderBox, HoldsLettersInAnyOrderUntilItIsFull) {
    Memory memory;
    OrderBook from = memory.open(0, 2), to = memory.open(1, 2);
    OrderLetter letter;
    for (std::uint32_t i = 0; i < OrderBox::capacity; ++i) {
        letter.svni = i;
        ASSERT_TRUE(from.send(1, letter));
    }
    EXPECT_FALSE(from.send(1, letter));
    std::uint64_t sum = 0, count = 0;
    while (to.receive(letter)) {
        sum += letter.svni;
        ++count;
    }
    EXPECT_EQ(count, OrderBox::capacity);
    EXPECT_EQ(sum, OrderBox::capacity * (OrderBox::capacity - 1) / 2);
    EXPECT_TRUE(from.send(1, letter));
}

}  // namespace
}  // namespace weir::chain
