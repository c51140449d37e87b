#include "features/express.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "apps/engine/engine.hpp"
#include "apps/engine/testing/host_snapshot.hpp"
#include "apps/engine/testing/memory_shell.hpp"
#include "apps/engine/testing/sendings.hpp"
#include "model/json.hpp"
#include "net/builder.hpp"
#include "net/geneve.hpp"
#include "net/notation.hpp"
#include "net/parse.hpp"

// Two engines get the same packets at the same times; one sends decided flows by the express way,
// the other takes every packet through the stages. Nobody may be able to tell them apart.
namespace weir::engine {
namespace {

using Frame = MemoryShell::Frame;

constexpr const char* hosts_and_segments = R"(
{kind: host, name: h1, id: 1, tunnel_address: 10.0.0.1, underlay: {type: memory}}
---
{kind: host, name: h2, id: 2, tunnel_address: 10.0.0.2, underlay: {type: memory}}
---
{kind: segment, name: web, vni: 5001}
---
{kind: segment, name: app, vni: 5002, mtu: 600}
---
{kind: router, name: r1, interfaces: [
  {segment: web, addresses: [10.1.0.1/24, "fd00:1::1/64"]},
  {segment: app, addresses: [10.2.0.1/24, "fd00:2::1/64"]}]}
---
{kind: firewall-rule, name: web, id: 1, priority: 1, protocol: tcp, ports: [80], action: allow}
---
{kind: firewall-rule, name: names, id: 2, priority: 2, protocol: udp, ports: [53], action: allow}
---
{kind: firewall-settings, name: default, default_action: drop}
)";

struct Guest {
    const char* name;
    const char* host;
    const char* segment;
    std::uint8_t number;
    std::uint32_t port() const { return number; }
    net::Mac mac() const { return {{2, 0, 0, 0, 0, number}}; }
    std::string ip(bool ip6) const {
        const char net = segment[0] == 'w' ? '1' : '2';
        return (ip6 ? std::string("fd00:") + net + "::" : std::string("10.") + net + ".0.") +
               std::to_string(number);
    }
    bool local() const { return host[1] == '1'; }
    std::uint32_t vni() const { return segment[0] == 'w' ? 5001 : 5002; }
};
constexpr Guest guests[] = {{"g1", "h1", "web", 11},
                            {"g2", "h1", "web", 12},
                            {"g3", "h1", "app", 13},
                            {"g4", "h2", "web", 14},
                            {"g5", "h2", "app", 15}};

constexpr int limited_revision = 100;  // guests may begin few flows

// What rules may ask for besides protocol and port, one at a time: their answers are remembered by
// what they ask for (features/known_rules.hpp).
const char* asking_rule(int revision) {
    switch (revision) {
        case 2:
            return "source_ports: [1216-1223, 1232-1239, 1248-1255, 1264-1271, 1280-1287, "
                   "1296-1303, 1312-1319, 1328-1335, 1344-1351], action: drop}\n";
        case 3:
            return "source_addresses: [10.1.0.14/32, \"fd00:1::11/128\"], direction: in, "
                   "action: drop}\n";
        case 4:
            return "destination_addresses: [10.1.0.12/32, \"fd00:2::/64\"], action: drop}\n";
        case 5:
            return "ip_version: ip6, direction: in, action: drop}\n";
        case 6:
            return "source_addresses: [10.1.0.0/28], not_sources: true, source_ports: "
                   "[1000-1400], logged: true, action: reject}\n";
        default:
            return nullptr;
    }
}

std::string intent(int revision) {
    std::string text = hosts_and_segments;
    for (const Guest& g : guests)
        text += std::string("---\n{kind: port, name: ") + g.name + ", host: " + g.host +
                ", segment: " + g.segment + ", mac: \"" + g.mac().text() + "\", addresses: [" +
                g.ip(false) + ", \"" + g.ip(true) + "\"], device: {type: memory}, labels: {is: " +
                g.name + "}}\n";
    // Two guests of one connection need not have the same idle times.
    text += std::string("---\n{kind: group, name: hasty, labels: {is: ") + guests[0].name +
            "}}\n---\n{kind: flow-timeouts, name: hasty, applied_to: [hasty], tcp_new_s: 3, "
            "tcp_closing_s: 2, tcp_closed_s: 1}\n";
    if (revision % 2)
        text +=
            "---\n{kind: firewall-rule, name: no-names, id: 3, priority: 1, protocol: udp, "
            "ports: [53], action: drop}\n"
            "---\n{kind: flow-timeouts, name: short, udp_s: 2, tcp_established_s: 4, "
            "tcp_new_s: 5, tcp_closing_s: 4, tcp_closed_s: 2}\n";
    if (const char* rule = asking_rule(revision))
        text += std::string(
                    "---\n{kind: firewall-rule, name: asks, id: 4, priority: 0, "
                    "protocol: tcp, ") +
                rule;
    if (revision == limited_revision)
        text += "---\n{kind: flow-limits, name: few, new_flows_per_second: 100, burst: 10}\n";
    return text;
}

class Twin {
public:
    explicit Twin(bool by_express) {
        engine_ = Engine::create(shell.vtable, "h1", 1).value();
        engine_->use_express(by_express);
        publish(0);
        attach(0, "underlay");
        for (const Guest& g : guests)
            if (g.local()) attach(g.port(), g.name);
        give({{0, net::parse_notation("arp who-has 10.0.0.1 tell 10.0.0.2 smac=02:5b:00:00:00:02")
                      .value()}},
             1);
        shell.sent.clear();
    }
    void publish(int revision) {
        ASSERT_TRUE(engine_
                        ->publish(host_snapshot(intent(revision), "h1"),
                                  static_cast<std::uint64_t>(revision) + 1)
                        .ok());
    }
    void give(const std::vector<MemoryShell::Sent>& frames, std::uint64_t now_ns) {
        std::vector<net::Packet*> packets;
        for (const auto& [port, frame] : frames) {
            packets.push_back(shell.pool.make(0, frame.data(), frame.size()));
            packets.back()->hand.port = port;
        }
        engine_->run(0, packets.data(), static_cast<std::uint32_t>(packets.size()), now_ns);
    }
    void tick(std::uint64_t now_ns) { engine_->tick(0, now_ns); }
    // All but those that tell the two ways apart; they are left in `express`, `fused`, `first` and
    // `renewed`. Unless `all`, without those that count a flow's packets until its first burst is
    // over: whoever decides sooner counts fewer.
    std::vector<std::string> counters(std::uint64_t now_ns, bool all) {
        std::vector<std::string> out;
        const model::Value answer = ask("counters", now_ns);
        for (const model::Value& row : answer["rows"].items()) {
            const std::string metric(row["metric"].as_text());
            if (metric == "weir_express_packets_total") express = row["value"].as_uint();
            else if (metric == "weir_express_fused_packets_total") fused = row["value"].as_uint();
            else if (metric == "weir_express_flows_total") first = row["value"].as_uint();
            else if (metric == "weir_express_plane_packets_total") continue;
            else if (metric == "weir_flows_renewed_total") renewed = row["value"].as_uint();
            else if (all || !counts_first_burst(metric, row)) out.push_back(model::dump_json(row));
        }
        return out;
    }
    std::uint64_t express = 0, fused = 0, first = 0, renewed = 0;

    static bool counts_first_burst(const std::string& metric, const model::Value& row) {
        return metric == "weir_insertion_packets_total" || metric == "weir_insertion_bytes_total" ||
               metric == "weir_insertion_ct_hits_total" ||
               (metric == "weir_insertion_results_total" &&
                row["labels"]["result"].as_text() == "no_service");
    }

    // A line for each flow, without what follows from the order in which flows were made.
    std::vector<std::string> flows(std::uint64_t now_ns) {
        std::vector<std::string> out;
        const model::Value answer = ask("flows", now_ns);
        for (const model::Value& row : answer["rows"].items()) {
            std::string line;
            for (const auto& [key, value] : row.members())
                if (key != "id" && key != "slot" && key != "insertion")
                    line += key + "=" + model::dump_json(value) + " ";
            out.push_back(std::move(line));
        }
        std::ranges::sort(out);
        return out;
    }

    MemoryShell shell;

private:
    model::Value ask(const char* what, std::uint64_t now_ns) {
        model::Value request = model::Value::object();
        request.set("what", what);
        request.set("limit", 10000);
        return engine_->worker_query(0, request, now_ns);
    }
    void attach(std::uint32_t index, const char* name) {
        const weir_port_info info = MemoryShell::port(index, name);
        ASSERT_TRUE(engine_->attach(info).ok());
    }
    std::unique_ptr<Engine> engine_;
};

// One conversation as its two ends have it.
struct Talk {
    const Guest* from = nullptr;
    const Guest* to = nullptr;
    bool ip6 = false, tcp = false;
    std::uint16_t port = 0;
    int steps = 0;                      // packets so far
    int born = 0, burst = 0, only = 0;  // bursts: it began, was in last, had one packet in
    bool ends = false;                  // somebody has sent a FIN or RST
    bool back = false;                  // who sent in the last one
    std::uint32_t sequence[2] = {1000, 9000};
};

class Traffic {
public:
    explicit Traffic(std::uint64_t seed) : random_(seed) {}

    // `alone`: no two packets of a burst belong to one conversation. Else this holds for frames
    // that something is wrong with, because nobody can say whose they are, and for those that end a
    // connection, because it matters what was there before.
    std::vector<MemoryShell::Sent> burst(bool alone) {
        std::vector<MemoryShell::Sent> out;
        std::set<std::size_t> taken;
        ++bursts_;
        for (std::uint64_t n = below(48) + 1; n > 0; --n) {
            const std::size_t talk = below(talks_.size());
            const bool only = alone || below(6) == 0;
            if (!taken.insert(talk).second && (only || talks_[talk].only == bursts_)) continue;
            if (only) talks_[talk].only = bursts_;
            out.push_back(next(talks_[talk]));
            if (only && below(alone ? 12 : 2) == 0) spoil(out.back().frame);
        }
        return out;
    }
    std::uint64_t below(std::uint64_t n) { return random_() % n; }

private:
    MemoryShell::Sent next(Talk& talk) {
        if (!talk.from || below(200) == 0) start(talk);
        // Nobody answers what has not reached him, and the order of packets of different sides in
        // one burst is nobody's promise: what a record makes of both depends on it while its flow
        // is opened or closed, and always where one side comes through a tunnel.
        if (talk.born == bursts_) talk.steps = 0;
        bool back = talk.tcp ? (talk.steps == 1 || (talk.steps > 2 && below(2)))
                             : talk.steps > 0 && below(2);
        const bool both_here = talk.from->local() && talk.to->local();
        const bool steady = talk.tcp && talk.steps > 60 && !talk.ends;
        if (talk.burst == bursts_ && !(steady && both_here)) back = talk.back;
        talk.burst = bursts_;
        talk.back = back;
        MemoryShell::Sent out = write(talk, back);
        ++talk.steps;
        return out;
    }

    void start(Talk& talk) {
        talk = {};
        talk.born = bursts_;
        talk.from = &guests[below(std::size(guests))];
        do talk.to = &guests[below(std::size(guests))];
        while (talk.to == talk.from || (!talk.from->local() && !talk.to->local()));
        talk.ip6 = below(2);
        talk.tcp = below(3) != 0;
        talk.port = static_cast<std::uint16_t>(1024 + ports_++ % 60000);  // no two alike at once
    }

    MemoryShell::Sent write(Talk& talk, bool back) {
        const Guest& src = back ? *talk.to : *talk.from;
        const Guest& dst = back ? *talk.from : *talk.to;
        const bool routed = src.vni() != dst.vni();
        const std::uint16_t served = talk.tcp ? 80 : 53;
        // Routed by the sender's host: what comes out of a tunnel is already in the receiver's
        // segment.
        const bool from_router = routed && !src.local();
        net::FrameBuilder frame;
        frame.eth(routed && src.local() ? router() : dst.mac(), from_router ? router() : src.mac())
            .ip(src.ip(talk.ip6), dst.ip(talk.ip6))
            .ttl(static_cast<std::uint8_t>(below(30) ? 64 : 1 + below(2)));
        const std::uint16_t sport = back ? served : talk.port, dport = back ? talk.port : served;
        const std::uint32_t bytes = static_cast<std::uint32_t>(below(20) ? below(64) : below(1400));
        if (talk.tcp) write_tcp(frame, talk, back, sport, dport, bytes);
        else frame.udp(sport, dport).payload(bytes);
        Frame out = frame.build();
        if (out.size() < 60) out.resize(60);
        if (src.local()) return {src.port(), out};
        return {0, in_tunnel(out, dst.vni())};
    }

    void write_tcp(net::FrameBuilder& frame, Talk& talk, bool back, std::uint16_t sport,
                   std::uint16_t dport, std::uint32_t bytes) {
        std::uint8_t flags = net::tcp_ack;
        if (talk.steps == 0) flags = net::tcp_syn;
        else if (talk.steps == 1) flags = net::tcp_syn | net::tcp_ack;
        else if (talk.only == bursts_ && below(20) == 0) flags |= net::tcp_fin;
        else if (talk.only == bursts_ && below(40) == 0) flags |= net::tcp_rst;
        talk.ends = talk.ends || (flags & (net::tcp_fin | net::tcp_rst)) != 0;
        std::uint32_t& own = talk.sequence[back];
        frame.tcp(sport, dport, flags, own, talk.sequence[!back]);
        const bool counts = flags & (net::tcp_syn | net::tcp_fin);
        if (flags & net::tcp_syn) bytes = 0;
        frame.payload(bytes);
        if (below(10) && talk.born != bursts_) own += bytes + counts;  // else it is sent again
    }

    Frame in_tunnel(const Frame& inner, std::uint32_t vni) {
        net::Packet* p = pool_.make(0, inner.data(), inner.size());
        net::GeneveHeader header;
        header.vni = vni;
        const net::Serviced serviced{1, 7, 2};
        if (below(50) == 0) header.serviced = &serviced;
        net::push_geneve(*p, header);
        net::push_outer(*p,
                        {net::Ip::parse(below(60) ? "10.0.0.2" : "10.0.0.9").value(),
                         net::Ip::parse("10.0.0.1").value(), net::Mac{{2, 0x5b, 0, 0, 0, 2}},
                         net::Mac{{2, 0x5b, 0, 0, 0, 1}}},
                        50000, 64);
        Frame out(p->data, p->data + p->length);
        pool_.release(0, &p, 1);
        return out;
    }

    static net::Mac router() { return model::Router{}.mac; }

    // Anything may be wrong with a frame.
    void spoil(Frame& frame) {
        switch (below(4)) {
            case 0:
                frame.resize(below(frame.size()) + 1);
                return;
            case 1:
                frame[6 + below(6)] ^= 1;
                return;
            default:
                for (std::uint64_t i = below(3) + 1; i > 0; --i)
                    frame[below(frame.size())] = static_cast<std::uint8_t>(random_());
        }
    }

    std::mt19937_64 random_;
    int bursts_ = 0;
    std::uint32_t ports_ = 0;
    std::array<Talk, 60> talks_{};
    dataplane::HeapPool pool_{16};
};

std::string bytes_of(const Frame& frame) {
    static const char digits[] = "0123456789abcdef";
    std::string out;
    for (const std::uint8_t byte : frame) {
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    return out;
}

// Frames of one flow keep their order; those of different flows need not, nor errors about them.
Sendings by_flow(const std::vector<MemoryShell::Sent>& sent) {
    Sendings out;
    for (const auto& [port, frame] : sent) {
        net::Headers headers;
        net::Tuple tuple;
        std::span<const std::uint8_t> guest(frame);
        if (port == 0 && frame.size() > 50) guest = guest.subspan(50);
        const bool flow = net::parse_inner(guest, headers, tuple) == net::ParseError::none;
        const std::string name = flow ? (headers.icmp_error ? " error " : " ") +
                                            std::to_string(net::symmetric_hash(tuple))
                                      : "";
        out[std::to_string(port) + name].push_back(net::describe(frame) + " " + bytes_of(frame));
    }
    return out;
}

class Express : public testing::TestWithParam<std::tuple<std::uint64_t, bool>> {};

TEST_P(Express, DoesWhatTheStagesDo) {
    const auto [seed, alone] = GetParam();
    Twin quick(true), slow(false);
    Traffic traffic(seed);
    std::uint64_t now = 1'000'000'000;
    std::size_t frames = 0;
    for (int burst = 0; burst < 4000; ++burst) {
        now += traffic.below(1000) == 0 ? 40'000'000'000 : traffic.below(2'000'000);
        const std::vector<MemoryShell::Sent> in = traffic.burst(alone);
        for (Twin* twin : {&quick, &slow}) {
            if (burst % 500 == 499) twin->publish(burst / 500);
            twin->shell.sent.clear();
            twin->give(in, now);
            if (burst % 4 == 0) twin->tick(now);
        }
        frames += slow.shell.sent.size();
        ASSERT_EQ(difference(by_flow(quick.shell.sent), by_flow(slow.shell.sent)), "")
            << "burst " << burst;
        if (burst % 100 != 0) continue;
        ASSERT_EQ(difference(quick.flows(now), slow.flows(now)), "") << "burst " << burst;
        ASSERT_EQ(difference(quick.counters(now, alone), slow.counters(now, alone)), "")
            << "burst " << burst;
    }
    EXPECT_GT(frames, 30'000u) << "traffic must get through for this to mean anything";
    EXPECT_GT(quick.express, 15'000u) << "and much of it by the way that is tested";
    EXPECT_GT(quick.first, 100u) << "and many flows made by it";
    EXPECT_GT(quick.renewed, 100u) << "and some led on under new rules";
    EXPECT_GT(slow.renewed, 100u);
    EXPECT_GT(quick.fused, 1'000u);
    EXPECT_EQ(slow.express + slow.fused, 0u);
    EXPECT_EQ(quick.shell.pool.in_use(), slow.shell.pool.in_use());
}
// SYNs of one guest beyond its rate, with and without a fault, end by the same exit either way; of
// datagrams, two of each flow, both pass or none.
TEST(ExpressLimits, RefusesWhatTheStagesRefuse) {
    Twin quick(true), slow(false);
    std::uint64_t now = 1'000'000'000;
    for (Twin* twin : {&quick, &slow}) twin->publish(limited_revision);
    const Guest &from = guests[0], &to = guests[1];
    for (std::uint16_t burst = 0; burst < 100; ++burst, now += 5'000'000) {
        std::vector<MemoryShell::Sent> in;
        for (std::uint16_t i = 0; i < 16; ++i) {
            net::FrameBuilder frame;
            const bool udp = burst % 4 == 2;
            const auto port = static_cast<std::uint16_t>(2000 + burst * 16 + (udp ? i / 2 : i));
            const std::uint8_t flags = i == 7 ? net::tcp_ack : net::tcp_syn;
            const bool other_family = (udp ? i / 2 : i) % 2 != 0;
            frame.eth(to.mac(), from.mac()).ip(from.ip(other_family), to.ip(other_family));
            if (udp) frame.udp(port, 53).payload(20);
            else frame.tcp(port, 80, flags, 1, 0);
            in.push_back({from.port(), frame.build()});
        }
        for (Twin* twin : {&quick, &slow}) {
            twin->shell.sent.clear();
            twin->give(in, now);
            twin->tick(now);
        }
        ASSERT_EQ(difference(by_flow(quick.shell.sent), by_flow(slow.shell.sent)), "") << burst;
        ASSERT_EQ(difference(quick.flows(now), slow.flows(now)), "") << burst;
        ASSERT_EQ(difference(quick.counters(now, false), slow.counters(now, false)), "") << burst;
    }
    EXPECT_GT(quick.flows(now).size(), 100u) << "the burst and half a second's share, twice each";
    EXPECT_LT(quick.flows(now).size(), 140u);
    EXPECT_EQ(quick.shell.pool.in_use(), slow.shell.pool.in_use());
}

INSTANTIATE_TEST_SUITE_P(Seeds, Express,
                         testing::Combine(testing::Range<std::uint64_t>(1, 5), testing::Bool()));

}  // namespace
}  // namespace weir::engine
