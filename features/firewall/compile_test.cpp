#include "features/firewall/compile.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "features/firewall/feature.hpp"
#include "model/registry.hpp"
#include "net/wire.hpp"

namespace weir::firewall {
namespace {

using Random = std::mt19937_64;

std::uint32_t pick(Random& random, std::uint32_t n) {
    return static_cast<std::uint32_t>(random() % n);
}

// A small world, so that rules and packets often meet.
net::Ip random_ip(Random& random, bool ip4) {
    if (ip4) return net::Ip::from4(0x0a000000u | pick(random, 3) << 8 | pick(random, 4));
    std::uint8_t bytes[16] = {0xfd, 0, 0, 0, 0, static_cast<std::uint8_t>(pick(random, 3))};
    bytes[15] = static_cast<std::uint8_t>(pick(random, 4));
    return net::Ip::from6(bytes);
}

std::vector<net::Prefix> random_prefixes(Random& random) {
    std::vector<net::Prefix> out;
    for (std::uint32_t n = pick(random, 3); n > 0; --n) {
        const bool ip4 = pick(random, 2) == 0;
        const std::uint8_t lengths4[] = {32, 24, 31, 8}, lengths6[] = {128, 64, 48, 16};
        const std::uint8_t length = (ip4 ? lengths4 : lengths6)[pick(random, 4)];
        out.push_back(net::Prefix{random_ip(random, ip4), length}.network());
    }
    return out;
}

Rule random_rule(Random& random, std::size_t i) {
    Rule rule;
    rule.name = "r" + std::to_string(i);
    rule.id = static_cast<std::uint32_t>(i + 1);
    rule.section = pick(random, 2);
    rule.priority = pick(random, 4);
    rule.source_addresses = random_prefixes(random);
    rule.destination_addresses = random_prefixes(random);
    rule.not_sources = !rule.source_addresses.empty() && pick(random, 4) == 0;
    rule.not_destinations = !rule.destination_addresses.empty() && pick(random, 4) == 0;
    rule.ip_version = static_cast<model::IpVersion>(1 + pick(random, 3));
    rule.protocol = static_cast<model::Protocol>(1 + pick(random, 4));
    const bool ported =
        rule.protocol == model::Protocol::tcp || rule.protocol == model::Protocol::udp;
    if (ported && pick(random, 2)) {
        const auto low = static_cast<std::uint16_t>(1 + pick(random, 6));
        rule.ports = {{low, static_cast<std::uint16_t>(low + pick(random, 3))}};
    }
    if (rule.protocol == model::Protocol::icmp && pick(random, 2)) rule.icmp_types = {8};
    rule.direction = static_cast<model::Direction>(1 + pick(random, 3));
    rule.action = static_cast<Action>(1 + pick(random, 3));
    rule.enabled = pick(random, 8) != 0;
    return rule;
}

struct Packet {
    net::Tuple tuple;
    bool outgoing = false;
};

Packet random_packet(Random& random) {
    Packet p;
    const bool ip4 = pick(random, 2) == 0;
    p.tuple.src = random_ip(random, ip4);
    p.tuple.dst = random_ip(random, ip4);
    const std::uint8_t protos[] = {net::proto_tcp, net::proto_udp,
                                   ip4 ? net::proto_icmp : net::proto_icmp6};
    p.tuple.proto = protos[pick(random, 3)];
    p.tuple.src_port = static_cast<std::uint16_t>(pick(random, 9));
    p.tuple.dst_port = static_cast<std::uint16_t>(pick(random, 10));
    p.outgoing = pick(random, 2) == 0;
    return p;
}

// The naive twin: what the reference page says, word by word, on the resources themselves.
struct Twin {
    int flip = 0;  // 1…: one comparison turned round, to see that the test would notice
    bool in(const std::vector<net::Prefix>& list, bool negated, const net::Ip& ip) const {
        bool found = list.empty();
        for (const net::Prefix& prefix : list) found |= prefix.contains(ip);
        return list.empty() || found != (negated != (flip == 1));
    }
    bool fits(const Rule& r, const Packet& p) const {
        const auto& t = p.tuple;
        const bool icmp = t.proto == 1 || t.proto == 58;
        const std::uint8_t protos[] = {0, 0, 6, 17};
        const auto wanted = static_cast<std::size_t>(r.protocol);
        if (wanted >= 2 && !(wanted < 4    ? t.proto == protos[wanted]
                             : wanted == 4 ? icmp
                                           : t.proto == 132))
            return false;
        if (r.ip_version != model::IpVersion::any &&
            (r.ip_version == model::IpVersion::ip4) != t.src.is4())
            return false;
        if (r.direction == (p.outgoing ? model::Direction::in : model::Direction::out))
            return false;
        const auto port_fits = [&](const model::PortRange& range) {
            return range.first <= t.dst_port &&
                   (flip == 2 ? t.dst_port < range.last : t.dst_port <= range.last);
        };
        if (!r.ports.empty() && std::none_of(r.ports.begin(), r.ports.end(), port_fits))
            return false;
        if (!r.icmp_types.empty() && !(icmp && r.icmp_types[0] == t.dst_port)) return false;
        return in(r.source_addresses, r.not_sources, t.src) &&
               in(r.destination_addresses, r.not_destinations, t.dst);
    }
    const Rule* decide(const std::vector<Rule>& rules, const Packet& p) const {
        const Rule* best = nullptr;
        for (const Rule& r : rules) {
            if (!r.enabled || !fits(r, p)) continue;
            const auto key = [](const Rule& x) {
                return std::tuple(x.section, x.priority, x.name);
            };
            if (!best || (flip == 3 ? key(r) > key(*best) : key(r) < key(*best))) best = &r;
        }
        return best;
    }
};

struct Fixture {
    dataplane::Topology topology;
    model::Snapshot snapshot;
    std::vector<Rule> rules;

    explicit Fixture(Random& random, std::size_t n = 30) {
        topology.ports.resize(1);
        topology.ports[0].role = dataplane::PortRole::guest;
        topology.ports[0].index = 0;
        topology.ports[0].name = "g1";
        for (std::size_t i = 0; i < n; ++i) rules.push_back(random_rule(random, i));
        settle();
    }
    void settle() {
        snapshot = {};
        for (const Rule& rule : rules) snapshot.put(rule);
    }
    std::shared_ptr<const Tables> tables(
        const std::shared_ptr<const Tables>& previous = nullptr) const {
        auto made = compile({snapshot, topology, 1}, previous);
        EXPECT_TRUE(made.ok());
        return *made;
    }
};

struct Tally {
    std::size_t packets = 0, hits = 0, wrong = 0;
    std::set<std::uint32_t> rules, ports, protocols;
    std::set<bool> families;
};

Tally compare_with_twin(std::uint64_t seed, int flip) {
    Random random(seed);
    Tally tally;
    for (int round = 0; round < 40; ++round) {
        Fixture fixture(random);
        const auto tables = fixture.tables();
        for (int i = 0; i < 2000; ++i) {
            const Packet p = random_packet(random);
            const Rule* expected = Twin{flip}.decide(fixture.rules, p);
            const CompiledRule& got = tables->decide(0, p.tuple, p.outgoing);
            ++tally.packets;
            tally.hits += expected != nullptr;
            tally.wrong += got.id != (expected ? expected->id : 0);
            if (!expected) continue;
            tally.rules.insert(expected->id);
            tally.ports.insert(p.tuple.dst_port);
            tally.protocols.insert(p.tuple.proto);
            tally.families.insert(p.tuple.src.is4());
        }
    }
    return tally;
}

TEST(FirewallCompile, DecidesLikeItsNaiveTwin) {
    const Tally tally = compare_with_twin(1, 0);
    EXPECT_EQ(tally.wrong, 0u);
    EXPECT_GE(tally.hits * 10, tally.packets * 3) << "too few packets meet a rule to say anything";
    EXPECT_GE(tally.rules.size(), 25u);
    EXPECT_GE(tally.ports.size(), 8u);
    EXPECT_EQ(tally.protocols.size(), 4u);
    EXPECT_EQ(tally.families.size(), 2u);
}

TEST(FirewallCompile, NoticesOneFlippedComparison) {
    for (const int flip : {1, 2, 3}) EXPECT_GT(compare_with_twin(2, flip).wrong, 0u) << flip;
}

// What a delta promises must be what a full decision says (design: lazy revalidation).
TEST(FirewallCompile, RestampsOnlyDecisionsThatStillHold) {
    Random random(3);
    std::size_t promised = 0, asked = 0;
    for (int round = 0; round < 200; ++round) {
        Fixture fixture(random, 12);
        const auto before = fixture.tables();
        const std::size_t which = pick(random, 12);
        if (pick(random, 3) == 0)
            fixture.rules.erase(fixture.rules.begin() + static_cast<std::ptrdiff_t>(which));
        else fixture.rules[which] = random_rule(random, which);
        fixture.settle();
        const auto after = fixture.tables(before);
        for (int i = 0; i < 200; ++i) {
            const Packet p = random_packet(random);
            const CompiledRule& old = before->decide(0, p.tuple, p.outgoing);
            const CompiledRule& now = after->decide(0, p.tuple, p.outgoing);
            ++asked;
            if (!after->still_holds(0, before->ports[0].revision, old.id, p.tuple, p.outgoing))
                continue;
            ++promised;
            EXPECT_EQ(old.id, now.id);
            EXPECT_EQ(old.action, now.action);
        }
    }
    EXPECT_GT(promised * 2, asked) << "most flows should be spared a full decision";
}

TEST(FirewallCompile, KeepsCounterSlotsAndTablesOverChanges) {
    Random random(4);
    Fixture fixture(random, 10);
    const auto before = fixture.tables();
    EXPECT_EQ(fixture.tables(before), before) << "equal input, same tables";
    fixture.rules.erase(fixture.rules.begin());
    fixture.settle();
    const auto after = fixture.tables(before);
    for (const auto& [id, slot] : after->slots) EXPECT_EQ(slot, before->slots.at(id));
}

TEST(FirewallCompile, RevisionFollowsContentAlone) {
    Random one(5), other(5);
    Fixture a(one), b(other);
    EXPECT_EQ(a.tables()->port_epoch(0), b.tables()->port_epoch(0));
    b.rules[3].action = b.rules[3].action == Action::allow ? Action::drop : Action::allow;
    b.rules[3].enabled = true;
    b.settle();
    EXPECT_NE(a.tables()->port_epoch(0), b.tables()->port_epoch(0));
}

// What a host could not compile is refused before it gets there.
TEST(FirewallRules, AreAsManyAsAHostCanHold) {
    model::Snapshot intent;
    model::Host host;
    host.name = "h1";
    host.id = 1;
    intent.put(host);
    const auto put = [&](std::uint32_t id) {
        Rule rule;
        rule.name = "r" + std::to_string(100000 + id);
        rule.id = id;
        intent.put(rule);
    };
    for (std::uint32_t id = 1; id < max_rules; ++id) put(id);
    EXPECT_TRUE(feature.validate(intent).empty());
    put(max_rules);
    const auto errors = feature.validate(intent);
    ASSERT_EQ(errors.size(), 1u);
    EXPECT_EQ(errors[0].object, "firewall-rule/r165536");
    EXPECT_EQ(errors[0].field, "applied_to");
    EXPECT_NE(errors[0].message.find("host h1 would have more than 65535"), std::string::npos);
}

}  // namespace
}  // namespace weir::firewall
