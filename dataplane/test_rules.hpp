#pragma once
#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "dataplane/classifier.hpp"
#include "net/wire.hpp"

// Rule sets and flows that meet them, for the test and the benchmark of RuleIndex.
namespace weir::dataplane {

struct TestRules {
    std::vector<FlowMatch> matches;
    std::vector<const FlowMatch*> order;
    std::mt19937_64 random;

    explicit TestRules(std::uint64_t seed) : random(seed) {}
    TestRules(const TestRules&) = delete;
    TestRules& operator=(const TestRules&) = delete;

    std::uint32_t pick(std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); }
    bool one_in(std::uint32_t n) { return pick(n) == 0; }
    void settle() {
        order.clear();
        for (const FlowMatch& match : matches) order.push_back(&match);
    }

    // A small world in which everything overlaps, with every word that rules have.
    net::Ip small_ip(bool ip4) {
        if (ip4) return net::Ip::from4(0x0a000000u | pick(4) << 8 | pick(6));
        std::uint8_t bytes[16] = {0xfd, 0, 0, 0, 0, static_cast<std::uint8_t>(pick(3))};
        bytes[7] = static_cast<std::uint8_t>(pick(2));
        bytes[15] = static_cast<std::uint8_t>(pick(6));
        return net::Ip::from6(bytes);
    }
    std::vector<net::Prefix> small_prefixes() {
        std::vector<net::Prefix> out;
        for (std::uint32_t n = pick(4); n > 0; --n) {
            const bool ip4 = one_in(2);
            const std::uint8_t lengths4[] = {32, 24, 31, 8, 30, 0};
            const std::uint8_t lengths6[] = {128, 64, 48, 16, 127, 0};
            const std::uint8_t length = (ip4 ? lengths4 : lengths6)[pick(6)];
            out.push_back(net::Prefix{small_ip(ip4), length}.network());
        }
        return out;
    }
    std::vector<model::PortRange> small_ranges() {
        std::vector<model::PortRange> out;
        for (std::uint32_t n = one_in(2) ? 0 : pick(3); n > 0; --n) {
            const auto low = static_cast<std::uint16_t>(one_in(8) ? 65533 : pick(8));
            out.push_back({low, static_cast<std::uint16_t>(low + pick(3))});
        }
        return out;
    }
    FlowMatch small_match() {
        FlowMatch match;
        match.sources = small_prefixes();
        match.destinations = small_prefixes();
        match.any_source = match.sources.empty() && !one_in(16);
        match.any_destination = match.destinations.empty() && !one_in(16);
        match.not_sources = one_in(5);
        match.not_destinations = one_in(5);
        match.ip_version = static_cast<model::IpVersion>(one_in(3) ? 1 + pick(3) : 1);
        match.protocol = static_cast<model::Protocol>(1 + pick(5));
        match.ports = small_ranges();
        if (one_in(4)) match.source_ports = small_ranges();
        if (one_in(6)) match.icmp_types = {8, static_cast<std::uint8_t>(pick(4))};
        match.in = !one_in(4);
        match.out = !one_in(4);
        return match;
    }
    net::Tuple small_tuple() {
        const bool ip4 = one_in(2);
        const std::uint8_t protos[] = {net::proto_tcp,
                                       net::proto_udp,
                                       net::proto_icmp,
                                       net::proto_icmp6,
                                       132,
                                       static_cast<std::uint8_t>(pick(256))};
        net::Tuple tuple;
        tuple.src = small_ip(ip4);
        tuple.dst = small_ip(ip4);
        tuple.proto = protos[pick(6)];
        tuple.src_port = static_cast<std::uint16_t>(pick(10));
        tuple.dst_port = static_cast<std::uint16_t>(one_in(8) ? 65533 + pick(3) : pick(10));
        return tuple;
    }

    // What data centres have: groups of some dozen guests out of `n`/2 groups, offices by network,
    // few services that many rules name; and at the end the rules for everybody.
    void make_data_centre(std::uint32_t n) {
        std::vector<std::vector<net::Prefix>> groups(std::max(2u, n / 2));
        for (auto& group : groups)
            for (std::uint32_t i = 2 + pick(30); i > 0; --i)
                group.push_back({net::Ip::from4(0x0a000000u | pick(n * 8 + 16)), 32});
        const auto members = [&](bool& any, bool wide) {
            const std::uint32_t kind = wide ? pick(20) : 2 + pick(18);
            any = kind == 0;
            if (any) return std::vector<net::Prefix>{};
            if (kind > 4) {
                auto group = groups[pick(static_cast<std::uint32_t>(groups.size()))];
                std::sort(group.begin(), group.end());
                group.erase(std::unique(group.begin(), group.end()), group.end());
                return group;
            }
            const auto length = static_cast<std::uint8_t>(kind == 1 ? 8 + pick(9) : 18 + pick(11));
            const net::Ip ip = net::Ip::from4(0x0a000000u | pick(n * 8 + 16));
            return std::vector<net::Prefix>{net::Prefix{ip, length}.network()};
        };
        for (std::uint32_t i = 0; i < n; ++i) {
            const bool wide = i >= n - n / 10;
            FlowMatch match;
            match.sources = members(match.any_source, wide);
            do {
                match.destinations = members(match.any_destination, wide);
            } while (match.any_source && match.any_destination);
            match.not_sources = wide && !match.any_source && one_in(50);
            match.protocol = one_in(4) ? model::Protocol::udp : model::Protocol::tcp;
            const auto port = static_cast<std::uint16_t>(one_in(2) ? 1 + pick(16) : 20 + pick(900));
            match.ports = {{port, static_cast<std::uint16_t>(one_in(10) ? port + 200 : port)}};
            if (one_in(40)) {
                match.ports.clear();
                match.protocol = model::Protocol::any;
            }
            match.in = !one_in(3);
            matches.push_back(std::move(match));
        }
        settle();
    }
    // A flow that the rule means, unless its members are somebody's exception.
    net::Tuple tuple_for(const FlowMatch& match) {
        const auto one_of = [&](const std::vector<net::Prefix>& list) {
            if (list.empty()) return net::Ip::from4(0x0a000000u | pick(1u << 20));
            return list[pick(static_cast<std::uint32_t>(list.size()))].address;
        };
        net::Tuple tuple;
        tuple.src = one_of(match.sources);
        tuple.dst = one_of(match.destinations);
        tuple.proto = match.protocol == model::Protocol::udp ? net::proto_udp : net::proto_tcp;
        tuple.src_port = static_cast<std::uint16_t>(1024 + pick(60000));
        tuple.dst_port = match.ports.empty() ? std::uint16_t{7} : match.ports[0].first;
        return tuple;
    }
    net::Tuple unwanted_tuple() {
        net::Tuple tuple;
        tuple.src =
            net::Ip::from4(one_in(2) ? 0xc0a80000u | pick(1u << 16) : 0x0a000000u | pick(80000));
        tuple.dst = net::Ip::from4(0x0a000000u | pick(80000));
        tuple.proto = one_in(4) ? net::proto_udp : net::proto_tcp;
        tuple.src_port = static_cast<std::uint16_t>(1024 + pick(60000));
        tuple.dst_port = static_cast<std::uint16_t>(30000 + pick(30000));
        return tuple;
    }
};

}  // namespace weir::dataplane
