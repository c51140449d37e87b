#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "apps/engine/engine.hpp"
#include "apps/engine/testing/host_snapshot.hpp"
#include "apps/engine/testing/memory_shell.hpp"
#include "features/chain/node_memory.hpp"
#include "model/json.hpp"
#include "net/builder.hpp"
#include "net/hash.hpp"
#include "net/notation.hpp"
#include "net/nsh.hpp"
#include "net/parse.hpp"

// Service chains by the express way and by the stages: two engines get the same packets at the same
// times, from guests and back from nodes that do all they may and some things they may not. Nobody
// may be able to tell the engines apart.
namespace weir::engine {
namespace {

using Frame = MemoryShell::Frame;
using Sent = MemoryShell::Sent;

constexpr std::uint32_t n1 = 10, n2_left = 11, n2_right = 12, n3 = 13;
constexpr std::uint32_t nsh_at = 14, inner_of_aware = nsh_at + net::nsh_md2_bytes;

constexpr const char* network = R"(
{kind: host, name: h1, id: 1, tunnel_address: 10.0.0.1, underlay: {type: memory}}
---
{kind: host, name: h2, id: 2, tunnel_address: 10.0.0.2, underlay: {type: memory}}
---
{kind: segment, name: web, vni: 5001}
---
{kind: segment, name: app, vni: 5002, mtu: 900}
---
{kind: router, name: r1, interfaces: [{segment: web, addresses: [10.1.0.1/24]},
  {segment: app, addresses: [10.2.0.1/24]}]}
---
{kind: port, name: g1, host: h1, segment: web, mac: "02:00:00:00:00:01", addresses: [10.1.0.11],
 device: {type: memory}}
---
{kind: port, name: g2, host: h1, segment: web, mac: "02:00:00:00:00:02", addresses: [10.1.0.12],
 device: {type: memory}}
---
{kind: port, name: g3, host: h1, segment: app, mac: "02:00:00:00:00:03", addresses: [10.2.0.13],
 device: {type: memory}}
---
{kind: service-segment, name: plane, svni: 9001, hosts: [h1, h2], underlay_trusted: true}
---
{kind: service, name: s1, transports: [nsh], liveness_support: true, privileges: [exempt_chain]}
---
{kind: service, name: s2, transports: [l2_bridge]}
---
{kind: service, name: s3, transports: [nsh], can_decrement_si: true}
---
{kind: service, name: s4, transports: [nsh]}
---
{kind: port, name: n1, host: h1, service_segment: plane, mac: "02:00:00:00:90:01",
 device: {type: memory}}
---
{kind: port, name: n2-left, host: h1, service_segment: plane, mac: "02:00:00:00:90:02",
 device: {type: memory}}
---
{kind: port, name: n2-right, host: h1, service_segment: plane, mac: "02:00:00:00:90:03",
 device: {type: memory}}
---
{kind: port, name: n3, host: h1, service_segment: plane, mac: "02:00:00:00:90:04",
 device: {type: memory}}
---
{kind: port, name: n4, host: h2, service_segment: plane, mac: "02:00:00:00:90:05",
 device: {type: memory}}
---
{kind: service-node, name: n1, id: 1, service: s1, host: h1, service_segment: plane, vnics: [n1]}
---
{kind: service-node, name: n2, id: 2, service: s2, host: h1, mode: l2, contexts: vlan,
 service_segment: plane, vnics: [n2-left, n2-right]}
---
{kind: service-node, name: n3, id: 3, service: s3, host: h1, service_segment: plane, vnics: [n3]}
---
{kind: service-node, name: n4, id: 4, service: s4, host: h2, service_segment: plane, vnics: [n4]}
---
{kind: service-profile, name: p1, service: s1}
---
{kind: service-profile, name: p2, service: s2}
---
{kind: service-profile, name: p3, service: s3}
---
{kind: service-profile, name: p4, service: s4}
---
{kind: service-profile, name: tap, service: s3, attributes: {mode: tap}}
)";

// Chain number n is that of port 8000 + n.
constexpr const char* chains[] = {"p1", "p2", "p3", "p1, p2", "p2, p3, p1", "p1, p4", "p3, p2"};

std::string intent(int revision) {
    std::string text = network;
    for (std::size_t i = 0; i < std::size(chains); ++i) {
        const std::string n = std::to_string(i + 1);
        // What changes: a chain's policy, its nodes, one rule.
        const bool other = revision % 3 == 1 && i == 3;
        const char* policy = (static_cast<std::size_t>(revision) + i) % 2 ? "allow" : "block";
        text += "---\n{kind: service-chain, name: c" + n + ", sci: " + n +
                ", service_segment: plane, forward: [" + (other ? "p2, p1" : chains[i]) +
                "], failure_policy: " + policy + "}\n";
        if (revision % 4 == 3 && i == 2) continue;
        for (const char* protocol : {"udp", "tcp"})
            text += "---\n{kind: service-rule, name: " + std::string(protocol) + n +
                    ", id: " + std::to_string(100 + 2 * i + (protocol[0] == 't')) +
                    ", protocol: " + protocol + ", ports: [" + std::to_string(8001 + i) +
                    "], applied_to_ports: [" +
                    (i % 3 == 2 ? "g2"
                     : i == 4   ? "g1, g2, g3"
                                : "g1, g3") +
                    "], chain: c" + n + "}\n";
    }
    return text;
}

struct Guest {
    std::uint32_t port;
    const char* ip;
    bool web;
    net::Mac mac() const { return {{2, 0, 0, 0, 0, static_cast<std::uint8_t>(port)}}; }
};
constexpr Guest guests[] = {
    {1, "10.1.0.11", true}, {2, "10.1.0.12", true}, {3, "10.2.0.13", false}};

class Twin {
public:
    explicit Twin(bool by_express) {
        std::uint32_t adoption = 0;
        auto* memory = static_cast<chain::NodeMemory*>(shell.vtable.pool(
            &shell, std::string(chain::NodeMemory::pool_name).c_str(), sizeof(chain::NodeMemory),
            chain::NodeMemory::layout_version, &adoption));
        memory->seed.store(42);  // cookies are to be equal
        engine_ = Engine::create(shell.vtable, "h1", 1).value();
        engine_->use_express(by_express);
        publish(0);
        constexpr std::pair<std::uint32_t, const char*> ports[] = {{0, "underlay"},
                                                                   {1, "g1"},
                                                                   {2, "g2"},
                                                                   {3, "g3"},
                                                                   {n1, "n1"},
                                                                   {n2_left, "n2-left"},
                                                                   {n2_right, "n2-right"},
                                                                   {n3, "n3"}};
        for (const auto& [index, name] : ports)
            EXPECT_TRUE(engine_->attach(MemoryShell::port(index, name)).ok()) << name;
        hear_of_the_other_host(1);
    }
    void hear_of_the_other_host(std::uint64_t now_ns) {
        give({{0, net::parse_notation("arp who-has 10.0.0.1 tell 10.0.0.2 smac=02:5b:00:00:00:02")
                      .value()}},
             now_ns);
        shell.sent.clear();
    }
    void publish(int revision) {
        ASSERT_TRUE(engine_
                        ->publish(host_snapshot(intent(revision), "h1"),
                                  static_cast<std::uint64_t>(revision) + 1)
                        .ok());
    }
    void give(const std::vector<Sent>& frames, std::uint64_t now_ns) {
        std::vector<net::Packet*> packets;
        for (const auto& [port, frame] : frames) {
            packets.push_back(shell.pool.make(0, frame.data(), frame.size()));
            packets.back()->hand.port = port;
        }
        engine_->run(0, packets.data(), static_cast<std::uint32_t>(packets.size()), now_ns);
    }
    void tick(std::uint64_t now_ns) { engine_->tick(0, now_ns); }
    // All but those that tell the two ways apart. Unless `all`, without those that depend on which
    // of several packets of a burst was timed, and without those of a flow's first burst.
    std::vector<std::string> counters(std::uint64_t now_ns, bool all) {
        std::vector<std::string> out;
        const model::Value answer = ask("counters", now_ns);
        for (const model::Value& row : answer["rows"].items()) {
            const std::string metric(row["metric"].as_text());
            if (metric == "weir_express_plane_packets_total") express = row["value"].as_uint();
            if (metric == "weir_drops_total") drops += row["value"].as_uint() != 0;
            if (metric.starts_with("weir_express_") || metric == "weir_flows_renewed_total" ||
                metric.starts_with("weir_tunnel_"))  // among which BFD's are
                continue;
            if (!all && (metric.starts_with("weir_service_node_latency") ||
                         metric.starts_with("weir_service_hop_latency") ||
                         metric.starts_with("weir_insertion_packets") ||
                         metric.starts_with("weir_insertion_bytes") ||
                         metric.starts_with("weir_insertion_ct_hits") ||
                         (metric == "weir_insertion_results_total" &&
                          row["labels"]["result"].as_text() == "no_service")))
                continue;
            out.push_back(model::dump_json(row));
        }
        return out;
    }
    std::vector<std::string> flows(std::uint64_t now_ns) {
        std::vector<std::string> out;
        const model::Value answer = ask("flows", now_ns);
        for (const model::Value& row : answer["rows"].items()) {
            std::string line;
            for (const auto& [key, value] : row.members())
                if (key != "id" && key != "slot") line += key + "=" + model::dump_json(value) + " ";
            out.push_back(std::move(line));
        }
        return out;
    }
    std::uint64_t express = 0, drops = 0;
    MemoryShell shell;

private:
    model::Value ask(const char* what, std::uint64_t now_ns) {
        model::Value request = model::Value::object();
        request.set("what", what);
        request.set("limit", 10000);
        return engine_->worker_query(0, request, now_ns);
    }
    std::unique_ptr<Engine> engine_;
};

bool is_node(std::uint32_t port) {
    return port >= n1 && port <= n3;
}
bool is_aware(std::uint32_t port) {
    return port == n1 || port == n3;
}

// Where the guest's frame begins in what goes to a node or comes from one.
std::size_t guest_at(const Sent& sent) {
    if (!is_node(sent.port)) return 0;
    return is_aware(sent.port) ? inner_of_aware : 4;
}

std::optional<net::Tuple> tuple_of(const Sent& sent) {
    net::Headers headers;
    net::Tuple tuple;
    const std::size_t at = guest_at(sent);
    if (sent.frame.size() < at + 14) return std::nullopt;
    const std::span<const std::uint8_t> guest = std::span(sent.frame).subspan(at);
    if (net::parse_inner(guest, headers, tuple) != net::ParseError::none || headers.l4 == 0)
        return std::nullopt;
    return tuple;
}

class Traffic {
public:
    explicit Traffic(std::uint64_t seed) : random_(seed) {}
    std::uint64_t below(std::uint64_t n) { return random_() % n; }

    // What one port receives: a guest's packets, or what a node gives back of what it got.
    std::vector<Sent> burst(bool alone) {
        ways_.clear();
        std::vector<Sent> out;
        const std::size_t most = alone ? 1 : 1 + below(32);
        if (below(3) == 0 || inside_.empty()) {
            const Guest& from = guests[below(std::size(guests))];
            for (std::size_t i = 0; i < most; ++i) say(from, out);
            return out;
        }
        const std::uint32_t port = inside_[below(inside_.size())].port;
        std::vector<Sent> kept;
        for (Sent& one : inside_) {
            if (one.port != port || out.size() >= most || !goes_this_way(one))
                kept.push_back(std::move(one));
            else if (below(50) != 0) give_back(std::move(one), out);
        }
        inside_ = std::move(kept);
        return out;
    }
    // Remembers what nodes got.
    void took(const std::vector<Sent>& sent) {
        for (const Sent& one : sent)
            if (is_node(one.port) && inside_.size() < 400)
                inside_.push_back({back_from(one), one.frame});
    }

private:
    struct Talk {
        const Guest *from = nullptr, *to = nullptr;
        bool tcp = false;
        std::uint16_t port = 0, service = 0;
        int steps = 0;
        std::uint32_t sequence[2] = {1000, 9000};
    };

    // The port that a node gives it back on.
    static std::uint32_t back_from(const Sent& sent) {
        if (sent.port == n2_left) return n2_right;
        return sent.port == n2_right ? n2_left : sent.port;
    }

    // In one burst a conversation goes one way only.
    bool goes_this_way(const Sent& sent) {
        const auto tuple = tuple_of(sent);
        if (!tuple) return true;
        const bool forward = tuple->dst_port > 8000 && tuple->dst_port < 9000;
        const std::uint16_t name = forward ? tuple->src_port : tuple->dst_port;
        return ways_.emplace(name, forward).first->second == forward;
    }

    void say(const Guest& from, std::vector<Sent>& out) {
        Talk& talk = talks_[below(talks_.size())];
        if (!talk.from || below(300) == 0) {
            if (!out.empty()) return;  // flows begin one by one, so that records have equal places
            start(talk, from);
        } else if (talk.steps < 4 && !out.empty()) {
            return;
        }
        const bool back = talk.to == &from;
        if (talk.from != &from && !back) return;
        if (talk.steps == 0 && back) return;
        if (talk.tcp && ((talk.steps == 1 && !back) || (talk.steps == 2 && back))) return;
        Sent sent{from.port, write(talk, back)};
        if (!goes_this_way(sent)) return;
        if (talk.steps > 4 && below(60) == 0) spoil(sent.frame);
        ++talk.steps;
        out.push_back(std::move(sent));
        if (talk.steps <= 4) out.resize(1);
    }

    void start(Talk& talk, const Guest& from) {
        talk = {};
        talk.from = &from;
        do talk.to = &guests[below(std::size(guests))];
        while (talk.to == talk.from);
        talk.tcp = below(3) == 0;
        talk.port = static_cast<std::uint16_t>(10'000 + ports_++ % 50'000);
        talk.service = static_cast<std::uint16_t>(8000 + below(9));
    }

    Frame write(Talk& talk, bool back) {
        const Guest &src = back ? *talk.to : *talk.from, &dst = back ? *talk.from : *talk.to;
        net::FrameBuilder frame;
        frame.eth(src.web == dst.web ? dst.mac() : model::Router{}.mac, src.mac())
            .ip(src.ip, dst.ip)
            .ttl(static_cast<std::uint8_t>(below(60) ? 64 : 1 + below(2)));
        const std::uint16_t sport = back ? talk.service : talk.port;
        const std::uint16_t dport = back ? talk.port : talk.service;
        std::uint32_t bytes = static_cast<std::uint32_t>(below(10) ? below(64) : below(1460));
        if (!talk.tcp) {
            frame.udp(sport, dport).payload(bytes);
        } else {
            const std::uint8_t flags = talk.steps == 0   ? net::tcp_syn
                                       : talk.steps == 1 ? net::tcp_syn | net::tcp_ack
                                                         : net::tcp_ack;
            if (flags & net::tcp_syn) bytes = 0;
            frame.tcp(sport, dport, flags, talk.sequence[back],
                      flags == net::tcp_syn ? 0 : talk.sequence[!back]);
            frame.payload(bytes);
            talk.sequence[back] += bytes + ((flags & net::tcp_syn) != 0);
        }
        Frame out = frame.build();
        if (out.size() < 60) out.resize(60);
        return out;
    }

    void give_back(Sent sent, std::vector<Sent>& out) {
        Frame& frame = sent.frame;
        if (is_aware(sent.port) && frame.size() >= inner_of_aware) {
            std::swap_ranges(frame.begin(), frame.begin() + 6, frame.begin() + 6);
            if (sent.port == n3) --frame[nsh_at + 7];   // counts the index down itself
            const bool asked = frame[nsh_at + 12] & 1;  // L is bit 8 of the flags
            if (asked && below(20) != 0) frame[nsh_at + 13] |= 0x80;  // A
            if (below(20) == 0) frame[nsh_at + 36 + below(4)] ^= 1;   // FlowTag, which it may
        }
        if (below(25) == 0) disturb(sent);
        if (below(40) == 0) out.push_back(sent);  // twice
        out.push_back(std::move(sent));
    }

    // What a node must not, or seldom does.
    void disturb(Sent& sent) {
        Frame& frame = sent.frame;
        switch (below(6)) {
            case 0:
                return spoil(frame);
            case 1:
                frame.resize(1 + below(frame.size()));
                return;
            case 2:
                sent.port = sent.port == n2_left ? n2_right : sent.port == n2_right ? n2_left : n1;
                return;
            case 3:
                if (is_aware(sent.port))
                    frame[nsh_at + below(44)] ^= static_cast<std::uint8_t>(1u << below(8));
                return;
            case 4:
                if (frame.size() > guest_at(sent) + 34) frame[guest_at(sent) + 14 + below(20)] ^= 1;
                return;
            default:
                if (!inside_.empty()) sent = inside_[below(inside_.size())];
        }
    }

    void spoil(Frame& frame) {
        for (std::uint64_t i = below(3) + 1; i > 0; --i)
            frame[below(frame.size())] = static_cast<std::uint8_t>(random_());
    }

    std::mt19937_64 random_;
    std::array<Talk, 80> talks_{};
    std::uint32_t ports_ = 0;
    std::vector<Sent> inside_;  // of nodes, with the port that it comes back on
    std::map<std::uint16_t, bool> ways_;
};

// As text; unless `all`, without what tells which packet of a burst was timed or asked.
std::string text_of(const Sent& sent, bool all) {
    Frame frame = sent.frame;
    if (!all && is_aware(sent.port) && frame.size() >= inner_of_aware) {
        std::fill_n(frame.begin() + nsh_at + 40, 4, std::uint8_t{0});
        frame[nsh_at + 12] &= 0xfe;
    }
    static const char digits[] = "0123456789abcdef";
    std::string out = net::describe(frame) + " ";
    for (const std::uint8_t byte : frame) {
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    return out;
}

// Frames of one flow keep their order; those of different flows need not.
using Sendings = std::map<std::string, std::vector<std::string>>;
Sendings by_flow(const std::vector<Sent>& sent, bool all) {
    Sendings out;
    for (const Sent& one : sent) {
        // BFD between hosts, whose numbers and times are drawn at random.
        if (one.port == 0 && one.frame.size() > 43 && (one.frame[43] & 0x80) != 0) continue;
        if (one.port == 0 && one.frame[12] == 8 && one.frame[13] == 6) continue;  // … and asks
        const auto tuple = tuple_of(one);
        const std::string name = tuple ? std::to_string(net::symmetric_hash(*tuple)) : "";
        out[std::to_string(one.port) + " " + name].push_back(text_of(one, all));
    }
    return out;
}

std::string difference(const Sendings& quick, const Sendings& slow) {
    std::string out;
    Sendings every = quick;
    every.insert(slow.begin(), slow.end());
    for (const auto& [flow, unused] : every) {
        const auto list = [&](const Sendings& sendings) {
            std::string text;
            if (const auto at = sendings.find(flow); at != sendings.end())
                for (const std::string& line : at->second) text += "\n    " + line;
            return text;
        };
        if (list(quick) != list(slow))
            out += flow + "\n  quick" + list(quick) + "\n  slow" + list(slow) + "\n";
    }
    return out;
}

std::string difference(std::vector<std::string> quick, std::vector<std::string> slow) {
    std::ranges::sort(quick);
    std::ranges::sort(slow);
    std::string out;
    const auto only = [&out](const char* side, const auto& these, const auto& those) {
        std::vector<std::string> lines;
        std::ranges::set_difference(these, those, std::back_inserter(lines));
        for (const std::string& line : lines) out += std::string(side) + ": " + line + "\n";
    };
    only("quick", quick, slow);
    only("slow", slow, quick);
    return out;
}

class ExpressPlane : public testing::TestWithParam<std::tuple<std::uint64_t, bool>> {};

TEST_P(ExpressPlane, DoesWhatTheStagesDo) {
    const auto [seed, alone] = GetParam();
    Twin quick(true), slow(false);
    Traffic traffic(seed);
    std::uint64_t now = 1'000'000'000;
    std::size_t to_nodes = 0, to_guests = 0;
    const int bursts = alone ? 12'000 : 6'000;
    for (int burst = 0; burst < bursts; ++burst) {
        const bool later = traffic.below(2000) == 0;
        now += later ? 40'000'000'000 : traffic.below(500'000);
        const std::vector<Sent> in = traffic.burst(alone);
        for (Twin* twin : {&quick, &slow}) {
            if (burst % 1000 == 999) twin->publish(burst / 1000);
            if (later || burst % 500 == 0) twin->hear_of_the_other_host(now);
            twin->shell.sent.clear();
            twin->give(in, now);
            if (burst % 4 == 0) twin->tick(now);
        }
        for (const Sent& one : slow.shell.sent) ++(is_node(one.port) ? to_nodes : to_guests);
        ASSERT_EQ(difference(by_flow(quick.shell.sent, alone), by_flow(slow.shell.sent, alone)), "")
            << "burst " << burst;
        traffic.took(slow.shell.sent);
        if (burst % 100 != 0) continue;
        ASSERT_EQ(difference(quick.flows(now), slow.flows(now)), "") << "burst " << burst;
        ASSERT_EQ(difference(quick.counters(now, alone), slow.counters(now, alone)), "")
            << "burst " << burst;
    }
    RecordProperty("to_nodes", static_cast<int>(to_nodes));
    EXPECT_GT(to_nodes, 3'000u) << "traffic must get to nodes for this to mean anything";
    EXPECT_GT(to_guests, 2'000u) << "and come back to its guests";
    EXPECT_GT(quick.express, to_nodes) << "and most of it by the way that is tested";
    EXPECT_GT(slow.drops, 6u) << "and things go wrong in several ways";
    EXPECT_EQ(slow.express, 0u);
    EXPECT_EQ(quick.shell.pool.in_use(), slow.shell.pool.in_use());
}
INSTANTIATE_TEST_SUITE_P(Seeds, ExpressPlane,
                         testing::Combine(testing::Range<std::uint64_t>(1, 4), testing::Bool()));

}  // namespace
}  // namespace weir::engine
