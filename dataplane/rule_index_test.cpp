#include "dataplane/rule_index.hpp"

#include <gtest/gtest.h>

#include <set>

#include "dataplane/test_rules.hpp"

namespace weir::dataplane {
namespace {

std::uint32_t twin(const TestRules& rules, const net::Tuple& tuple, bool outgoing) {
    for (std::uint32_t i = 0; i < rules.matches.size(); ++i)
        if (rules.matches[i].matches(tuple, outgoing)) return i;
    return RuleIndex::none;
}

struct Tally {
    std::size_t flows = 0, hits = 0, wrong = 0;
    std::set<std::uint32_t> rules;
    void add(const TestRules& rules_, const RuleIndex& index, const net::Tuple& tuple,
             bool outgoing) {
        const std::uint32_t expected = twin(rules_, tuple, outgoing);
        ++flows;
        hits += expected != RuleIndex::none;
        wrong += index.find(tuple, outgoing) != expected;
        if (expected != RuleIndex::none) rules.insert(expected);
    }
};

Tally small_worlds(std::uint64_t seed, std::size_t max_cells) {
    Tally tally;
    for (std::uint64_t round = 0; round < 60; ++round) {
        TestRules rules(seed * 1000 + round);
        for (std::uint32_t n = 1 + rules.pick(round % 3 == 0 ? 300 : 40); n > 0; --n)
            rules.matches.push_back(rules.small_match());
        rules.settle();
        const RuleIndex index(rules.order, max_cells);
        for (int i = 0; i < 1500; ++i)
            tally.add(rules, index, rules.small_tuple(), rules.one_in(2));
    }
    return tally;
}

TEST(RuleIndex, FindsWhatItsNaiveTwinFinds) {
    const Tally tally = small_worlds(1, RuleIndex::default_max_cells);
    EXPECT_EQ(tally.wrong, 0u);
    EXPECT_GT(tally.hits * 2, tally.flows);
    EXPECT_GT(tally.rules.size(), 60u) << "too few rules decide to say anything";
}

TEST(RuleIndex, FindsTheSameWithAnyShortOfMemory) {
    for (const std::size_t words : {0, 1, 8, 64, 512}) {
        const Tally tally = small_worlds(2 + words, words);
        EXPECT_EQ(tally.wrong, 0u) << words;
    }
}

net::Ip either(const net::Ip& mask, const net::Ip& a, const net::Ip& b) {
    net::Ip out;
    for (std::size_t i = 0; i < out.bytes.size(); ++i)
        out.bytes[i] = (a.bytes[i] & mask.bytes[i]) | (b.bytes[i] & ~mask.bytes[i]);
    return out;
}

// What it is not asked for may be anything.
TEST(RuleIndex, AsksForAllThatItsAnswersDependOn) {
    std::size_t left_open = 0, wrong = 0;
    for (std::uint64_t round = 0; round < 400; ++round) {
        TestRules rules(7000 + round);
        for (std::uint32_t n = rules.pick(4); n > 0; --n) {
            FlowMatch match = rules.small_match();
            if (rules.one_in(2)) match.any_source = true, match.sources.clear();
            if (rules.one_in(2)) match.any_destination = true, match.destinations.clear();
            rules.matches.push_back(match);
        }
        rules.settle();
        const RuleIndex index(rules.order, rules.one_in(2) ? RuleIndex::default_max_cells : 1);
        const net::Tuple mask = index.asked();
        for (int i = 0; i < 200; ++i) {
            const net::Tuple flow = rules.small_tuple();
            net::Tuple other = rules.small_tuple();
            if (other.src.is4() != flow.src.is4()) continue;
            other.src = either(mask.src, flow.src, other.src);
            other.dst = either(mask.dst, flow.dst, other.dst);
            if (mask.src_port != 0) other.src_port = flow.src_port;
            if (mask.dst_port != 0) other.dst_port = flow.dst_port;
            if (mask.proto != 0) other.proto = flow.proto;
            left_open += !(other == flow);
            wrong += index.find(flow, i % 2 == 0) != index.find(other, i % 2 == 0);
        }
    }
    EXPECT_EQ(wrong, 0u);
    EXPECT_GT(left_open, 1000u);
}

TEST(RuleIndex, FindsTheSameAmongTenThousand) {
    TestRules rules(3);
    rules.make_data_centre(10'000);
    const RuleIndex index(rules.order);
    Tally tally;
    for (std::uint32_t i = 0; i < 1500; ++i)
        tally.add(rules, index, rules.tuple_for(rules.matches[rules.pick(10'000)]),
                  rules.one_in(2));
    for (int i = 0; i < 100; ++i) tally.add(rules, index, rules.unwanted_tuple(), true);
    EXPECT_EQ(tally.wrong, 0u);
    EXPECT_GT(tally.rules.size(), 400u);
    EXPECT_LT(index.bytes(), 32u << 20);
}

// Rules that all overlap at different widths are what makes bitmaps of this kind large.
TEST(RuleIndex, StaysSmallWhereEverythingOverlaps) {
    TestRules rules(4);
    for (std::uint32_t i = 0; i < 10'000; ++i) {
        FlowMatch match;
        match.any_source = match.any_destination = false;
        const auto length = [&] { return static_cast<std::uint8_t>(8 + rules.pick(25)); };
        const auto ip = [&] { return net::Ip::from4(0x0a000000u | rules.pick(1u << 24)); };
        match.sources = {net::Prefix{ip(), length()}.network()};
        match.destinations = {net::Prefix{ip(), length()}.network()};
        rules.matches.push_back(match);
    }
    rules.settle();
    const RuleIndex index(rules.order);
    EXPECT_LT(index.bytes(), 24u << 20);
    Tally tally;
    for (std::uint32_t i = 0; i < 1000; ++i)
        tally.add(rules, index, rules.tuple_for(rules.matches[rules.pick(10'000)]), true);
    EXPECT_EQ(tally.wrong, 0u);
}

TEST(RuleIndex, KnowsNoRulesAndRulesForNobody) {
    const net::Tuple tuple = TestRules(5).small_tuple();
    EXPECT_EQ(RuleIndex().find(tuple, true), RuleIndex::none);
    EXPECT_EQ(RuleIndex(std::vector<const FlowMatch*>{}).find(tuple, true), RuleIndex::none);
    FlowMatch nobody, everybody;
    nobody.any_source = false;
    const RuleIndex index(std::vector<const FlowMatch*>{&nobody, &everybody});
    EXPECT_EQ(index.find(tuple, true), 1u);
    EXPECT_EQ(RuleIndex(std::vector<const FlowMatch*>{&nobody}).find(tuple, true), RuleIndex::none);
}

TEST(SearchTree, FindsTheLastKeyNotAbove) {
    std::mt19937_64 random(6);
    for (const std::size_t n : {1, 2, 15, 16, 17, 255, 256, 257, 5000}) {
        std::set<std::uint32_t> keys = {0, ~std::uint32_t{0}};
        while (keys.size() < n + 1) keys.insert(static_cast<std::uint32_t>(random() % 100'000));
        if (n == 1) keys = {0};
        const std::vector<std::uint32_t> sorted(keys.begin(), keys.end());
        const SearchTree<std::uint32_t, 16> tree(sorted);
        const auto expected = [&](std::uint32_t x) {
            return static_cast<std::size_t>(std::upper_bound(sorted.begin(), sorted.end(), x) -
                                            sorted.begin() - 1);
        };
        for (const std::uint32_t key : sorted)
            for (const std::uint32_t x : {key, key + 1, key - 1})
                ASSERT_EQ(tree.find(x), expected(x)) << x << " among " << n;
    }
}

}  // namespace
}  // namespace weir::dataplane
