#include "example/inspector.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "weir/test_frames.hpp"

namespace weir::example {
namespace {

using service::Metadata;
using service::Verdict;
using service::testing_frames::tcp_syn;
using ::testing::HasSubstr;

std::vector<Rule> rules(std::string_view text) {
    auto parsed = parse_rules(text);
    EXPECT_TRUE(std::holds_alternative<std::vector<Rule>>(parsed)) << text;
    return std::get<0>(parsed);
}

std::string why_not(std::string_view text) {
    auto parsed = parse_rules(text);
    const std::string* why = std::get_if<std::string>(&parsed);
    return why != nullptr ? *why : "";
}

TEST(Rules, ErrorsNameLineAndReason) {
    EXPECT_EQ(why_not("drop tcp 80\nallow tcp 1"),
              "line 2: 'allow' is no action; there are: drop, pass");
    EXPECT_EQ(why_not("drop sctp"), "line 1: 'sctp' is no protocol; there are: tcp, udp, icmp");
    EXPECT_EQ(why_not("# x\n\ndrop udp 65536"), "line 3: '65536' is no port (1 to 65535)");
    EXPECT_EQ(why_not("drop udp 0"), "line 1: '0' is no port (1 to 65535)");
    EXPECT_EQ(why_not("drop icmp 3"), "line 1: icmp has no ports");
    EXPECT_EQ(why_not("drop tcp 80 now"), "line 1: 'now' is too much");
    EXPECT_EQ(why_not("drop udp order"),
              "line 1: '' is no order; there are: allow, drop, reset, skip, path, chain, tag, "
              "restore, overload");
    EXPECT_EQ(why_not("pass icmp order tag x"), "line 1: 'x' is no number");
    EXPECT_EQ(why_not("pass icmp order skip 7"), "line 1: parameter does not fit the order");
    EXPECT_TRUE(rules("# nothing\n").empty());
}

TEST(Inspector, GivesTheOrderOfTheRule) {
    Inspector inspector(rules("drop tcp 23 order drop\npass tcp 80 order tag 9\n"), nullptr, false);
    const Metadata m{.sci = 7, .spi = 9, .si = 2};
    service::OrderSlip slip(2), other(2);
    EXPECT_EQ(inspector.on_packet({m, tcp_syn(23), &slip}), Verdict::drop);
    EXPECT_EQ(slip.order().order, service::Order::drop);
    EXPECT_EQ(inspector.on_packet({m, tcp_syn(80), &other}), Verdict::pass);
    EXPECT_EQ(other.order().parameter, 9u);
    EXPECT_EQ(inspector.on_packet({m, tcp_syn(80), &other}), Verdict::pass);
    EXPECT_THAT(inspector.status({}), HasSubstr(R"("refused_orders":1)"));
}

TEST(Inspector, DropsByRuleEitherEndOfTheConnection) {
    Inspector inspector(rules("drop udp\ndrop tcp 81 # the wrong one\n"), nullptr, false);
    const Metadata m{.sci = 7, .spi = 9, .si = 2};
    EXPECT_EQ(inspector.on_packet({m, tcp_syn(80)}), Verdict::pass);
    EXPECT_EQ(inspector.on_packet({m, tcp_syn(81)}), Verdict::drop);
    auto answer = tcp_syn(0);
    std::swap_ranges(answer.begin() + 34, answer.begin() + 36, answer.begin() + 36);
    answer[35] = 81;
    EXPECT_EQ(inspector.on_packet({m, answer}), Verdict::drop);
    const std::string status = inspector.status({});
    EXPECT_THAT(status,
                HasSubstr(R"({"rule":"drop udp","hits":0},{"rule":"drop tcp 81","hits":2})"));
}

TEST(Inspector, LogsOncePerFlowAndDirectionWithItsPlace) {
    std::vector<std::string> log;
    Inspector inspector(
        {}, [&](const std::string& line) { log.push_back(line); }, false);
    const Metadata there{.sci = 7, .spi = 9, .si = 2, .tenant_vni = 5001};
    Metadata back = there;
    back.reverse = true;
    for (int i = 0; i < 3; ++i) inspector.on_packet({there, tcp_syn()});
    inspector.on_packet({back, tcp_syn()});
    ASSERT_EQ(log.size(), 2u);
    EXPECT_EQ(log[0], R"({"sci":7,"spi":9,"si":2,"d":0,"tenant_vni":5001,"flow_handle":0,)"
                      R"("tuple":"tcp 10.0.0.1:4000 > 10.0.0.2:80","tcp_seq":100,"tcp_flags":2,)"
                      R"("verdict":"pass"})");
    EXPECT_THAT(log[1], HasSubstr(R"("d":1)"));
    EXPECT_THAT(inspector.status({}),
                HasSubstr(R"("places":[{"sci":7,"spi":9,"si":2,"d":0,"packets":3},)"
                          R"({"sci":7,"spi":9,"si":2,"d":1,"packets":1}])"));
}

TEST(Inspector, LogsEveryPacketWhenAsked) {
    int lines = 0;
    Inspector inspector(
        {}, [&](const std::string&) { ++lines; }, true);
    for (int i = 0; i < 3; ++i) inspector.on_packet({Metadata{}, tcp_syn()});
    EXPECT_EQ(lines, 3);
}

TEST(Tuple, ReadsIpv6BehindExtensionHeadersAndTags) {
    std::vector<std::uint8_t> frame(12, 2);
    const auto add = [&](std::initializer_list<int> bytes) {
        for (const int b : bytes) frame.push_back(static_cast<std::uint8_t>(b));
    };
    add({0x81, 0, 0, 100, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 16, 0, 64});
    add({0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
    add({0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2});
    add({17, 0, 1, 4, 0, 0, 0, 0});  // hop-by-hop, next UDP
    add({0x13, 0x88, 0, 53, 0, 8, 0, 0});
    const auto tuple = read_tuple(frame);
    ASSERT_TRUE(tuple);
    EXPECT_EQ(tuple->text(), "udp [fd00::1]:5000 > [fd00::2]:53");
    for (std::size_t size = 0; size < frame.size(); ++size) {
        std::vector<std::uint8_t> cut(frame.begin(), frame.begin() + static_cast<long>(size));
        cut.shrink_to_fit();
        read_tuple(cut);  // under the address sanitizer: reads nothing beyond the end
    }
}

}  // namespace
}  // namespace weir::example
