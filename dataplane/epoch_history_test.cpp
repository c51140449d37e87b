#include "dataplane/epoch_history.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

#include "dataplane/test_rules.hpp"

namespace weir::dataplane {
namespace {

FlowMatch port_match(std::uint16_t port) {
    FlowMatch match;
    match.protocol = model::Protocol::tcp;
    match.ports = {{port, port}};
    return match;
}

net::Tuple to_port(std::uint16_t port) {
    net::Tuple tuple;
    tuple.src = net::Ip::from4(0x0a000001);
    tuple.dst = net::Ip::from4(0x0a000002);
    tuple.proto = net::proto_tcp;
    tuple.dst_port = port;
    return tuple;
}

TEST(EpochHistory, AFlowHoldsUntilAChangeNamesIt) {
    const auto one = EpochHistory::after(nullptr, 1, {port_match(80)});
    const auto two = EpochHistory::after(one.get(), 2, {port_match(81)});
    EXPECT_FALSE(two->still_holds(1, to_port(80), true));
    EXPECT_FALSE(two->still_holds(1, to_port(81), true));
    EXPECT_TRUE(two->still_holds(1, to_port(82), true));
    EXPECT_TRUE(two->still_holds(2, to_port(80), true)) << "that was before";
    EXPECT_FALSE(two->still_holds(2, to_port(81), true));
    EXPECT_FALSE(two->still_holds(3, to_port(82), true)) << "nobody knows that epoch";
    EXPECT_FALSE(two->still_holds(0, to_port(82), true));
}

TEST(EpochHistory, TellsWhichPortsChangesMayName) {
    FlowMatch range = port_match(1000);
    range.ports = {{2000, 2003}, {3000, 3000}};
    const auto one = EpochHistory::after(nullptr, 1, {port_match(90)});
    const auto two = EpochHistory::after(one.get(), 2, {range});
    for (std::uint32_t port = 0; port <= 0xffff; ++port) {
        const auto number = static_cast<std::uint16_t>(port);
        for (const std::uint32_t epoch : {1u, 2u})
            EXPECT_TRUE(two->changed_ports(epoch).may_have(number) ||
                        two->still_holds(epoch, to_port(number), true));
    }
    EXPECT_TRUE(two->changed_ports(1).may_have(90));
    EXPECT_TRUE(two->changed_ports(2).may_have(2003));
    EXPECT_FALSE(two->changed_ports(2).may_have(90)) << "that was before";
    EXPECT_TRUE(two->changed_ports(7).may_have(1)) << "nobody knows that epoch";
    FlowMatch wide = port_match(1);
    wide.ports = {{1, 64}};
    EXPECT_TRUE(EpochHistory::after(nullptr, 1, {wide})->changed_ports(1).may_have(65));
    wide.ports.clear();
    EXPECT_TRUE(EpochHistory::after(nullptr, 1, {wide})->changed_ports(1).may_have(9));
}

// The same change again and again is one to look at.
TEST(EpochHistory, ChangesThatComeBackStandOnce) {
    std::shared_ptr<const EpochHistory> history;
    for (std::uint32_t epoch = 1; epoch <= 250; ++epoch)
        history = EpochHistory::after(history.get(), epoch,
                                      {port_match(static_cast<std::uint16_t>(80 + epoch % 8))});
    EXPECT_EQ(history->steps(), 250u);
    EXPECT_TRUE(history->still_holds(1, to_port(79), true));
    for (std::uint16_t port = 80; port < 88; ++port)
        EXPECT_FALSE(history->still_holds(1, to_port(port), true));
    // Of the last three steps only theirs.
    EXPECT_FALSE(history->still_holds(248, to_port(80), true));
    EXPECT_TRUE(history->still_holds(248, to_port(80 + 247 % 8), true));
}

TEST(EpochHistory, ForgetsWhatIsLongAgo) {
    std::shared_ptr<const EpochHistory> history;
    for (std::uint32_t epoch = 1; epoch <= 1000; ++epoch)
        history = EpochHistory::after(history.get(), epoch, {port_match(80)});
    EXPECT_EQ(history->steps(), EpochHistory::max_steps);
    EXPECT_TRUE(history->still_holds(1000, to_port(79), true));
    EXPECT_FALSE(history->still_holds(1, to_port(79), true));
    for (std::uint32_t epoch = 1001; epoch <= 1040; ++epoch)
        history = EpochHistory::after(history.get(), epoch,
                                      {port_match(static_cast<std::uint16_t>(epoch))});
    EXPECT_EQ(history->steps(), EpochHistory::max_changes);
    EXPECT_TRUE(history->still_holds(1040, to_port(79), true));
    EXPECT_FALSE(history->still_holds(1008, to_port(79), true));
}

TEST(EpochHistory, TooManyChangesAtOnceMakeAllStale) {
    std::vector<FlowMatch> many;
    for (std::uint16_t port = 0; port <= EpochHistory::max_changes; ++port)
        many.push_back(port_match(port));
    EXPECT_EQ(EpochHistory::after(nullptr, 1, many), nullptr);
}

// Rules come, go and change in every way; what a history lets hold is decided the same by the rules
// of then and those of now, and what none of the changes names holds.
TEST(EpochHistory, HoldsOnlyWhatARuleLookUpWouldConfirm) {
    TestRules rules(7);
    struct Then {
        std::uint32_t epoch;
        std::vector<std::pair<std::uint32_t, FlowMatch>> rules;  // number, words
    };
    std::vector<Then> times = {{1, {}}};
    std::shared_ptr<const EpochHistory> history;
    const auto first = [](const Then& then, const net::Tuple& tuple, bool outgoing) {
        for (const auto& [number, match] : then.rules)
            if (match.matches(tuple, outgoing)) return std::optional(number);
        return std::optional<std::uint32_t>();
    };
    std::uint64_t held = 0, asked = 0;
    for (std::uint32_t step = 2; step < 400; ++step) {
        Then now = times.back();
        now.epoch = step;
        std::vector<FlowMatch> changed;
        if (now.rules.size() < 5 || rules.one_in(2)) {
            const std::uint32_t at = rules.pick(static_cast<std::uint32_t>(now.rules.size() + 1));
            changed.push_back(rules.small_match());
            now.rules.insert(now.rules.begin() + at, {step, changed.back()});
        } else {
            const std::uint32_t at = rules.pick(static_cast<std::uint32_t>(now.rules.size()));
            changed.push_back(now.rules[at].second);
            if (rules.one_in(3)) {
                now.rules.erase(now.rules.begin() + at);
            } else {
                changed.push_back(rules.small_match());
                now.rules[at] = {step, changed.back()};
            }
        }
        history = EpochHistory::after(history.get(), times.back().epoch, changed);
        ASSERT_NE(history, nullptr);
        times.push_back(std::move(now));
        for (int i = 0; i < 200; ++i) {
            const std::size_t back = 1 + rules.pick(std::min<std::uint32_t>(step - 1, 12));
            const Then& then = times[times.size() - 1 - back];
            const net::Tuple tuple = rules.small_tuple();
            const bool outgoing = rules.one_in(2);
            ++asked;
            if (!history->still_holds(then.epoch, tuple, outgoing)) continue;
            ++held;
            ASSERT_EQ(first(then, tuple, outgoing), first(times.back(), tuple, outgoing))
                << "step " << step << ", " << back << " back";
        }
    }
    EXPECT_GT(held, asked / 10);
    EXPECT_LT(held, asked * 9 / 10);
}

}  // namespace
}  // namespace weir::dataplane
