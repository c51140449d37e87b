#include "dataplane/classifier.hpp"

#include <gtest/gtest.h>

#include "net/wire.hpp"

namespace weir::dataplane {
namespace {

using model::Direction;
using model::IpVersion;
using model::Protocol;

// A rule of no feature, with the words that all of them have.
struct Rule {
    std::string name = "r";
    std::uint32_t section = 0, priority = 0;
    std::vector<model::Ref<model::Group>> sources, destinations;
    std::vector<net::Prefix> source_addresses, destination_addresses;
    bool not_sources = false, not_destinations = false;
    IpVersion ip_version = IpVersion::any;
    Protocol protocol = Protocol::any;
    std::vector<model::PortRange> ports, source_ports;
    std::vector<std::uint8_t> icmp_types;
    Direction direction = Direction::in_out;
};

net::Tuple tuple(const char* src, const char* dst, std::uint8_t proto = net::proto_tcp,
                 std::uint16_t src_port = 4000, std::uint16_t dst_port = 80) {
    return {net::Ip::parse(src).value(), net::Ip::parse(dst).value(), src_port, dst_port, proto};
}
const net::Tuple web = tuple("10.0.0.1", "10.0.1.2");
const net::Tuple web6 = tuple("fd00::1", "fd00::2");

FlowMatch match(const Rule& rule, const model::Snapshot& snapshot = {}) {
    return compile_match(rule, snapshot);
}
net::Prefix prefix(const char* text) {
    return net::Prefix::parse(text).value();
}

TEST(Classifier, ARuleWithoutWordsMeansEverything) {
    EXPECT_TRUE(match({}).matches(web, true));
    EXPECT_TRUE(match({}).matches(web6, false));
}

TEST(Classifier, EachWordNarrows) {
    const auto means = [](auto&& change, const net::Tuple& flow, bool outgoing = true) {
        Rule rule;
        change(rule);
        return match(rule).matches(flow, outgoing);
    };
    const auto from = [](Rule& r) { r.source_addresses = {prefix("10.0.0.0/24")}; };
    EXPECT_TRUE(means(from, web));
    EXPECT_FALSE(means(from, web.reversed()));
    EXPECT_FALSE(means([&](Rule& r) { from(r), r.not_sources = true; }, web));
    const auto to = [](Rule& r) { r.destination_addresses = {prefix("10.0.1.2/32")}; };
    EXPECT_TRUE(means(to, web));
    EXPECT_FALSE(means(to, web6));
    EXPECT_TRUE(means([&](Rule& r) { to(r), r.not_destinations = true; }, web6));
    EXPECT_TRUE(means([](Rule& r) { r.ip_version = IpVersion::ip6; }, web6));
    EXPECT_FALSE(means([](Rule& r) { r.ip_version = IpVersion::ip6; }, web));
    EXPECT_FALSE(means([](Rule& r) { r.protocol = Protocol::udp; }, web));
    EXPECT_TRUE(means([](Rule& r) { r.ports = {{1, 9}, {80, 81}}; }, web));
    EXPECT_FALSE(means([](Rule& r) { r.ports = {{81, 90}}; }, web));
    EXPECT_FALSE(means([](Rule& r) { r.source_ports = {{80, 80}}; }, web));
    EXPECT_TRUE(means([](Rule& r) { r.direction = Direction::out; }, web, true));
    EXPECT_FALSE(means([](Rule& r) { r.direction = Direction::out; }, web, false));
    EXPECT_FALSE(means([](Rule& r) { r.direction = Direction::in; }, web, true));
}

TEST(Classifier, IcmpHasTypesAndNoPorts) {
    const net::Tuple ping = tuple("10.0.0.1", "10.0.1.2", net::proto_icmp, 7, 8);
    Rule rule;
    rule.protocol = Protocol::icmp;
    rule.icmp_types = {8};
    EXPECT_TRUE(match(rule).matches(ping, true));
    EXPECT_TRUE(match(rule).matches(tuple("fd00::1", "fd00::2", net::proto_icmp6, 7, 8), true));
    EXPECT_FALSE(match(rule).matches(ping.reversed(), true));
    EXPECT_FALSE(match(rule).matches(web, true));
    rule = {};
    rule.ports = {{8, 8}};
    EXPECT_FALSE(match(rule).matches(ping, true)) << "a type is no port";
}

TEST(Classifier, GroupsAndNetworksAddUp) {
    model::Snapshot snapshot;
    model::Group group;
    group.name = "web";
    group.addresses = {prefix("10.0.1.0/24")};
    snapshot.put(group);
    Rule rule;
    rule.destinations = {model::Ref<model::Group>("web")};
    rule.destination_addresses = {prefix("10.9.0.0/16")};
    EXPECT_TRUE(match(rule, snapshot).matches(web, true));
    EXPECT_TRUE(match(rule, snapshot).matches(tuple("10.0.0.1", "10.9.9.9"), true));
    EXPECT_FALSE(match(rule, snapshot).matches(tuple("10.0.0.1", "10.8.9.9"), true));
}

TEST(Classifier, AGroupWithNobodyInItMeansNobody) {
    Rule rule;
    rule.sources = {model::Ref<model::Group>("nobody")};
    EXPECT_FALSE(match(rule).matches(web, true));
    rule.not_sources = true;
    EXPECT_TRUE(match(rule).matches(web, true)) << "anybody is not nobody";
}

TEST(Classifier, DigestsTellMatchesApart) {
    Rule rule;
    const std::uint64_t before = match(rule).digest();
    EXPECT_EQ(match(rule).digest(), before);
    rule.direction = Direction::in;
    EXPECT_NE(match(rule).digest(), before);
}

TEST(Classifier, MistakesInRulesAreNamed) {
    const auto mistake = [](auto&& change) {
        Rule rule;
        change(rule);
        std::string out;
        model::check_match(rule, [&](const char* field, const char*) { out += field; });
        return out;
    };
    EXPECT_EQ(mistake([](Rule&) {}), "");
    EXPECT_EQ(mistake([](Rule& r) { r.ports = {{80, 80}}; }), "ports");
    EXPECT_EQ(mistake([](Rule& r) { r.source_ports = {{80, 80}}; }), "source_ports");
    EXPECT_EQ(mistake([](Rule& r) { r.ports = {{80, 80}}, r.protocol = Protocol::tcp; }), "");
    EXPECT_EQ(mistake([](Rule& r) { r.icmp_types = {8}; }), "icmp_types");
    EXPECT_EQ(mistake([](Rule& r) { r.not_sources = true; }), "not_sources");
    EXPECT_EQ(mistake([](Rule& r) { r.not_destinations = true; }), "not_destinations");
}

}  // namespace
}  // namespace weir::dataplane
