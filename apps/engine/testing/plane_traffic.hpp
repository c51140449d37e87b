#pragma once
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "apps/engine/testing/far_host.hpp"
#include "apps/engine/testing/memory_shell.hpp"
#include "model/core_resources.hpp"
#include "net/builder.hpp"
#include "net/hash.hpp"
#include "net/nsh.hpp"
#include "net/parse.hpp"

// A host with guests, service nodes and chains, and what guests and nodes send there: nodes do all
// they may and some things they may not.
namespace weir::engine::plane {

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
{kind: service-profile, name: tap, service: s3, action: copy}
)";

// Chain number n is that of port 8000 + n.
constexpr const char* chains[] = {"p1",         "p2",     "p3",     "p1, p2",
                                  "p2, p3, p1", "p1, p4", "p3, p2", "p1, tap"};

// What changes: a chain's nodes and policy, a rule, how nodes fare, where one of them is, how many
// flows guests may begin.
// Unless `all`, nothing that has several flows of a burst begin anew: they may do so in any order.
// `nsh`: the metadata's form between hosts.
inline std::string intent(int revision, bool all, bool nsh) {
    std::string text = network;
    text += "---\n{kind: service-segment, name: plane, svni: 9001, hosts: [h1, h2], " +
            std::string(nsh ? "encap: nsh, " : "") + "underlay_trusted: true}\n";
    for (std::size_t i = 0; i < std::size(chains); ++i) {
        const std::string n = std::to_string(i + 1);
        const bool other = all && revision % 3 == 1 && i == 3;
        constexpr const char* policies[] = {"block", "allow", "reset"};
        const char* policy = policies[(static_cast<std::size_t>(revision) + i) % 3];
        text += "---\n{kind: service-chain, name: c" + n + ", sci: " + n +
                ", service_segment: plane, forward: [" + (other ? "p2, p1" : chains[i]) +
                "], failure_policy: " + policy +
                (i % 2 ? ", hold_packets: 3, hold_ms: 200" : "") + "}\n";
        if (revision % 4 == 3 && i == 2) continue;
        for (const char* protocol : {"udp", "tcp"})
            text += "---\n{kind: service-rule, name: " + std::string(protocol) + n +
                    ", id: " + std::to_string(100 + 2 * i + (protocol[0] == 't')) +
                    ", protocol: " + protocol + ", ports: [" + std::to_string(8001 + i) +
                    "], applied_to_ports: [" +
                    (i == 2       ? "g2"
                     : i % 4 == 1 ? "g1, g2"
                     : i % 4 == 0 ? "g1, g2, g3"
                                  : "g1, g3") +
                    "], chain: c" + n + "}\n";
    }
    if (revision % 3 == 2 && all)
        text += "---\n{kind: flow-limits, name: few, new_flows_per_second: 1, burst: 1}\n";
    if (revision % 6 == 4 && all)
        text += "---\n{kind: service-node-move, name: n3, node_id: 3, svni: 9001, number: " +
                std::to_string(revision) +
                ", from: h1, to: h2, from_id: 1, to_id: 2, phase: frozen}\n";
    return text + "---\n{kind: service-node-status, name: n4, node_id: 4, state: " +
           (revision % 5 == 3 ? "down" : "up") +
           ", generation: " + std::to_string(revision + 1) + "}\n";
}

struct Guest {
    std::uint32_t port;
    const char* ip;
    bool web;
    net::Mac mac() const { return {{2, 0, 0, 0, 0, static_cast<std::uint8_t>(port)}}; }
};
constexpr Guest guests[] = {
    {1, "10.1.0.11", true}, {2, "10.1.0.12", true}, {3, "10.2.0.13", false}};

inline bool is_node(std::uint32_t port) {
    return port >= n1 && port <= n3;
}
inline bool is_aware(std::uint32_t port) {
    return port == n1 || port == n3;
}

// Where the guest's frame begins in what goes to a node or comes from one.
inline std::size_t guest_at(const Sent& sent) {
    if (!is_node(sent.port)) return 0;
    return is_aware(sent.port) ? inner_of_aware : 4;
}

inline std::optional<net::Tuple> tuple_of(const Sent& sent) {
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
    // `alone`: a packet at a time, and orders of nodes. `nsh`: as of intent().
    Traffic(std::uint64_t seed, bool alone, bool nsh)
        : random_(seed), alone_(alone), far_(seed, nsh, alone) {}
    std::uint64_t below(std::uint64_t n) { return random_() % n; }

    // What one port receives: a guest's packets, what the other host sends or, unless they keep
    // all, what a node gives back of what it got.
    std::vector<Sent> burst(bool nodes_keep_all) {
        ways_.clear();
        only_one_ = false;
        std::vector<Sent> out;
        if (floods_ != 0 && !nodes_keep_all) return flood();
        const std::size_t most = alone_ ? 1 : 1 + below(32);
        if (!nodes_keep_all && !far_.is_empty() && below(3) == 0) {
            const auto goes = [&](const net::Tuple& tuple) { return goes_this_way(tuple); };
            for (Frame& frame : far_.give(most, goes)) out.push_back({0, std::move(frame)});
            return out;
        }
        if (nodes_keep_all || below(3) == 0 || inside_.empty()) {
            const Guest& from = guests[below(std::size(guests))];
            for (std::size_t i = 0; i < most && !only_one_; ++i) say(from, out);
            return out;
        }
        const std::uint32_t port = inside_[below(inside_.size())].port;
        if (!alone_ && ++from_nodes_ % 800 == 300) floods_ = flood_bursts;
        std::vector<Sent> kept;
        for (Sent& one : inside_) {
            if (one.port != port || out.size() >= most || !goes_this_way(one) ||
                !may_join(one, out)) {
                kept.push_back(std::move(one));
            } else if (below(50) != 0) {
                give_back(std::move(one), out);
            }
        }
        inside_ = std::move(kept);
        if (floods_ != 0) flooding_ = out;
        return out;
    }
    // A node has just ended to send more than it may: time should pass.
    bool has_flooded() { return std::exchange(has_flooded_, false); }
    // Time has passed or resources change: records and contexts are perhaps gone.
    void paused() {
        known_.clear();
        ++pauses_;
    }
    // Guests with connections to the one at this port begin anew.
    void end_talks(std::uint32_t port) {
        for (Talk& talk : talks_)
            if (talk.from && (talk.from->port == port || talk.to->port == port)) talk = {};
    }
    // Remembers what nodes got.
    void took(const std::vector<Sent>& sent) {
        for (const Sent& one : sent) {
            if (one.port == 0) far_.took_from_tunnel(one.frame);
            else if (is_node(one.port) && inside_.size() < 400) took_at_node(one);
        }
    }

private:
    struct Talk {
        const Guest *from = nullptr, *to = nullptr;
        bool tcp = false;
        std::uint16_t port = 0, service = 0;
        int steps = 0;
        int spoken[2] = {-1, -1};  // after how many pauses last
        std::uint32_t sequence[2] = {1000, 9000};
    };

    void took_at_node(const Sent& sent) {
        if (is_aware(sent.port) && sent.frame.size() >= inner_of_aware && below(10) == 0)
            far_.saw_at_node(std::span(sent.frame).subspan(nsh_at));
        inside_.push_back({back_from(sent), sent.frame});
    }

    // One frame over and over, until the node is beyond its rate for certain.
    std::vector<Sent> flood() {
        has_flooded_ = --floods_ == 0;
        if (flooding_.empty()) return {};
        return std::vector<Sent>(32, flooding_.front());
    }

    // The port that a node gives it back on.
    static std::uint32_t back_from(const Sent& sent) {
        if (sent.port == n2_left) return n2_right;
        return sent.port == n2_right ? n2_left : sent.port;
    }

    // In one burst a conversation goes one way only.
    bool goes_this_way(const Sent& sent) {
        const auto tuple = tuple_of(sent);
        return !tuple || goes_this_way(*tuple);
    }
    bool goes_this_way(const net::Tuple& tuple) {
        const bool forward = tuple.dst_port > 8000 && tuple.dst_port < 9000;
        const std::uint16_t name = forward ? tuple.src_port : tuple.dst_port;
        return ways_.emplace(name, forward).first->second == forward;
    }

    // What a node gives back of a flow for the first time is alone in its burst: contexts of the
    // next node are to have equal numbers.
    bool may_join(const Sent& sent, const std::vector<Sent>& out) {
        if (only_one_) return false;
        const auto tuple = tuple_of(sent);
        const auto flow = std::make_pair(
            sent.port, tuple ? net::symmetric_hash(*tuple) ^ tuple->src_port : 0);
        if (known_.contains(flow)) return true;
        if (!out.empty()) return false;
        known_.insert(flow);
        return only_one_ = true;
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
        const bool first = std::exchange(talk.spoken[back], pauses_) != pauses_;
        if (first && !out.empty()) return;
        if (talk.from != &from && !back) return;
        if (talk.steps == 0 && back) return;
        if (talk.tcp && ((talk.steps == 1 && !back) || (talk.steps == 2 && back))) return;
        Sent sent{from.port, write(talk, back)};
        if (!goes_this_way(sent)) return;
        // In a burst where it goes is looked at once for all packets of a flow, or for each.
        if (talk.steps > 4 && below(60) == 0) spoil(sent.frame, alone_ ? 0 : 6);
        ++talk.steps;
        out.push_back(std::move(sent));
        if (first || talk.steps <= 4) only_one_ = true;
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
            if (alone_ && below(60) == 0) order(frame);
        }
        if (below(25) == 0) disturb(sent);
        if (below(40) == 0) out.push_back(sent);  // twice
        out.push_back(std::move(sent));
    }

    // Appends what the node wants of the flow: to be left out, or that it go on without services or
    // not at all.
    void order(Frame& frame) {
        constexpr std::uint8_t wanted[] = {1, 2, 4};  // CtrlOp
        const Frame header = {0xff, 0xf6, net::nsh_control, 8, wanted[below(std::size(wanted))],
                              3,    0,    0,                0, 0,
                              0,    0};
        frame.insert(frame.begin() + inner_of_aware, header.begin(), header.end());
        frame[nsh_at + 1] = static_cast<std::uint8_t>((frame[nsh_at + 1] & 0xc0) |
                                                      (net::nsh_md2_bytes + header.size()) / 4);
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

    void spoil(Frame& frame, std::size_t from = 0) {
        for (std::uint64_t i = below(3) + 1; i > 0; --i)
            frame[from + below(frame.size() - from)] = static_cast<std::uint8_t>(random_());
    }

    static constexpr int flood_bursts = 150;
    std::mt19937_64 random_;
    const bool alone_;
    FarHost far_;
    int from_nodes_ = 0;  // bursts
    int floods_ = 0;      // bursts to come
    bool has_flooded_ = false;
    std::vector<Sent> flooding_;
    std::array<Talk, 80> talks_{};
    std::uint32_t ports_ = 0;
    std::vector<Sent> inside_;  // of nodes, with the port that it comes back on
    std::map<std::uint16_t, bool> ways_;
    std::set<std::pair<std::uint32_t, std::uint32_t>> known_;  // node's port, flow
    int pauses_ = 0;
    bool only_one_ = false;  // no other packet is in this burst
};

}  // namespace weir::engine::plane
