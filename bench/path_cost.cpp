// What one packet costs the engine, in instructions: of an established connection, or the first of
// a new one while as many old ones age out. A fixed number of bursts through Engine::run and
// Engine::tick, to be counted by callgrind (tools/check_path_cost).
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apps/engine/engine.hpp"
#include "apps/engine/testing/host_snapshot.hpp"
#include "apps/engine/testing/memory_shell.hpp"
#include "base/check.hpp"
#include "bench/chain_walk.hpp"
#include "net/builder.hpp"
#include "net/geneve.hpp"
#include "net/notation.hpp"

namespace {

using namespace weir;
using Frame = engine::MemoryShell::Frame;

constexpr std::uint32_t burst = 32, connections = 256;
// New connections: their idle time is 60 s, so that some three thousand of them live at a time.
constexpr std::uint64_t first_step_ns = 625'000'000;
constexpr std::uint32_t first_warm_up = 128;         // bursts
constexpr std::uint64_t whole_step_ns = 52'000'000;  // ended ones live for 5 s
constexpr std::uint32_t underlay = 0, g1 = 1, g2 = 2, g3 = 3, n1 = 4;

constexpr const char* intent = R"(
{kind: host, name: h1, id: 1, tunnel_address: 10.0.0.1, underlay: {type: memory}}
---
{kind: host, name: h2, id: 2, tunnel_address: 10.0.0.2, underlay: {type: memory}}
---
{kind: segment, name: web, vni: 5001}
---
{kind: segment, name: app, vni: 5002}
---
{kind: router, name: r1, interfaces: [{segment: web, addresses: [10.1.0.254/24, "fd00:1::fe/64"]},
  {segment: app, addresses: [10.2.0.254/24, "fd00:2::fe/64"]}]}
---
{kind: port, name: g1, host: h1, segment: web, mac: "02:00:00:00:00:01",
 addresses: [10.1.0.1, "fd00:1::1"], device: {type: memory}}
---
{kind: port, name: g2, host: h1, segment: web, mac: "02:00:00:00:00:02",
 addresses: [10.1.0.2, "fd00:1::2"], device: {type: memory}}
---
{kind: port, name: g3, host: h1, segment: app, mac: "02:00:00:00:00:03",
 addresses: [10.2.0.3, "fd00:2::3"], device: {type: memory}}
---
{kind: port, name: g4, host: h2, segment: web, mac: "02:00:00:00:00:04",
 addresses: [10.1.0.4, "fd00:1::4"], device: {type: memory}}
---
{kind: firewall-rule, name: all, id: 1, protocol: any, action: allow}
---
{kind: service-segment, name: plane, svni: 9001, hosts: [h1, h2], underlay_trusted: true}
---
{kind: service, name: inspection, transports: [nsh]}
---
{kind: service-profile, name: inspect, service: inspection}
---
{kind: port, name: n1, host: h1, service_segment: plane, mac: "02:00:00:00:90:01",
 device: {type: memory}}
---
{kind: service-node, name: n1, id: 1, service: inspection, host: h1, mode: aware,
 service_segment: plane, vnics: [n1]}
---
{kind: service-chain, name: chain, sci: 1, service_segment: plane, forward: [inspect],
 failure_policy: block}
---
{kind: service-rule, name: inspect, id: 100, protocol: udp, ports: [8080], chain: chain}
)";

// What is measured: who sends to whom.
struct Path {
    std::string_view name;
    std::uint32_t from, to;  // ports; `underlay`: g4 of the other host
    std::uint32_t out;       // where its packets leave
    std::uint16_t service = 80;
    std::uint8_t first = 0;  // not 0: every packet opens a connection of this protocol
    bool whole = false;      // every connection has its eight packets, and that is counted
};
constexpr Path paths[] = {{"plain", g1, g2, g2},
                          {"routed", g1, g3, g3},
                          {"geneve_out", g1, underlay, underlay},
                          {"geneve_in", underlay, g1, g1},
                          {"chained", g1, g2, n1, 8080},
                          {"first_udp", g1, g2, g2, 80, net::proto_udp},
                          {"first_tcp", g1, g2, g2, 80, net::proto_tcp},
                          {"short_tcp", g1, g2, g2, 80, net::proto_tcp, true}};

struct End {
    std::uint32_t port;
    std::uint8_t number;
    net::Mac mac() const { return {{2, 0, 0, 0, 0, number}}; }
    std::string ip(bool ip6) const {
        const std::string net(1, number == 3 ? '2' : '1'), host = std::to_string(number);
        return ip6 ? "fd00:" + net + "::" + host : "10." + net + ".0." + host;
    }
};
End end_of(std::uint32_t port) {
    return {port, static_cast<std::uint8_t>(port == underlay ? 4 : port)};
}

class Bench {
public:
    Bench(const Path& path, bool ip6) : path_(path), ip6_(ip6) {
        shell_.vtable.host = this;
        shell_.vtable.transmit = [](void* self, std::uint32_t, std::uint32_t port,
                                    net::Packet** packets, std::uint32_t count) {
            auto& bench = *static_cast<Bench*>(self);
            if (port == bench.path_.out) bench.sent_ += count;
            for (std::uint32_t i = 0; i < count; ++i) bench.gone_.push_back(packets[i]);
        };
        shell_.vtable.allocate = [](void* self, std::uint32_t worker, net::Packet** out,
                                    std::uint32_t count) {
            return static_cast<Bench*>(self)->shell_.pool.allocate(worker, out, count);
        };
        shell_.vtable.release = [](void* self, std::uint32_t, net::Packet** packets,
                                   std::uint32_t count) {
            auto& bench = *static_cast<Bench*>(self);
            for (std::uint32_t i = 0; i < count; ++i) bench.gone_.push_back(packets[i]);
        };
        shell_.vtable.pool = [](void* self, const char* name, std::size_t bytes,
                                std::uint32_t layout, std::uint32_t* adoption) {
            return static_cast<Bench*>(self)->own_pool_(&static_cast<Bench*>(self)->shell_, name,
                                                        bytes, layout, adoption);
        };
        gone_.reserve(4 * burst);
        shell_.vtable.flows_per_worker = 1u << 15;
        engine_ = engine::Engine::create(shell_.vtable, "h1", 1).value();
        WEIR_CHECK(engine_->publish(engine::host_snapshot(intent, "h1"), 1).ok(),
                   "the engine takes the snapshot");
        constexpr const char* names[] = {"underlay", "g1", "g2", "g3", "n1"};
        for (std::uint32_t i = 0; i < std::size(names); ++i)
            WEIR_CHECK(engine_->attach(engine::MemoryShell::port(i, names[i])).ok(), "a port");
        run({net::parse_notation("arp who-has 10.0.0.1 tell 10.0.0.2 smac=02:5b:00:00:00:02")
                 .value()},
            underlay);
    }

    void measure(std::uint32_t bursts) {
        if (path_.whole) return measure_whole(bursts);
        if (path_.first != 0) return measure_first(bursts);
        std::vector<Frame> data;
        for (std::uint32_t i = 0; i < connections; ++i) {
            const auto port = static_cast<std::uint16_t>(4000 + i);
            run({frame(false, port, net::tcp_syn, 1000, 0)}, path_.from);
            run({frame(true, port, net::tcp_syn | net::tcp_ack, 5000, 1001)}, path_.to);
            run({frame(false, port, net::tcp_ack, 1001, 5001)}, path_.from);
            data.push_back(frame(false, port, net::tcp_ack, 1001, 5001));
        }
        const std::uint64_t before = sent_;
        for (std::uint32_t i = 0; i < bursts; ++i) {
            std::vector<Frame> frames;
            for (std::uint32_t k = 0; k < burst; ++k)
                frames.push_back(data[(i * burst + k) % connections]);
            run(frames, path_.from);
        }
        WEIR_CHECK(sent_ - before == std::uint64_t{bursts} * burst, "every packet gets there");
    }

private:
    // Every packet belongs to a flow of its own; the oldest ones age out meanwhile.
    void measure_first(std::uint32_t bursts) {
        std::uint16_t port = 1024;
        const std::uint64_t before = sent_;
        for (std::uint32_t i = 0; i < first_warm_up + bursts; ++i) {
            std::vector<Frame> frames;
            for (std::uint32_t k = 0; k < burst; ++k)
                frames.push_back(frame(false, port++, net::tcp_syn, 1000, 0));
            now_ns_ += first_step_ns;
            run(frames, path_.from);
            engine_->tick(0, now_ns_);
        }
        WEIR_CHECK(sent_ - before == std::uint64_t{first_warm_up + bursts} * burst,
                   "every packet gets there");
    }

    // A burst of connections from handshake to last ACK; those that ended age out meanwhile.
    void measure_whole(std::uint32_t bursts) {
        struct Step {
            bool back;
            std::uint8_t flags;
            std::uint32_t sequence, acknowledgement;
        };
        constexpr std::uint8_t ack = net::tcp_ack, fin = net::tcp_fin | net::tcp_ack;
        constexpr Step steps[] = {
            {false, net::tcp_syn, 1000, 0}, {true, net::tcp_syn | net::tcp_ack, 5000, 1001},
            {false, ack, 1001, 5001},       {false, ack, 1001, 5001},
            {true, ack, 5001, 1001},        {false, fin, 1001, 5001},
            {true, fin, 5001, 1002},        {false, ack, 1002, 5002}};
        std::uint16_t port = 1024;
        std::uint64_t passed = 0;
        for (std::uint32_t i = 0; i < first_warm_up + bursts; ++i) {
            now_ns_ += whole_step_ns;
            for (const Step& step : steps) {
                std::vector<Frame> frames;
                for (std::uint32_t k = 0; k < burst; ++k)
                    frames.push_back(frame(step.back, static_cast<std::uint16_t>(port + k),
                                           step.flags, step.sequence, step.acknowledgement));
                run(frames, step.back ? path_.to : path_.from);
                passed += step.back ? 0 : burst;
            }
            port = static_cast<std::uint16_t>(port + burst);
            engine_->tick(0, now_ns_);
        }
        WEIR_CHECK(sent_ == passed, "every packet gets there");
    }

    Frame frame(bool back, std::uint16_t port, std::uint8_t flags, std::uint32_t sequence,
                std::uint32_t acknowledgement) {
        const End from = end_of(back ? path_.to : path_.from);
        const End to = end_of(back ? path_.from : path_.to);
        const bool routed = (from.number == 3) != (to.number == 3);
        static const net::Mac router = net::Mac::parse("02:00:5a:00:00:01").value();
        net::FrameBuilder builder;
        builder.eth(routed ? router : to.mac(), from.mac()).ip(from.ip(ip6_), to.ip(ip6_));
        const std::uint16_t src = back ? path_.service : port, dst = back ? port : path_.service;
        // What goes to a node does not come back here, so no connection would be set up.
        if (path_.out == n1 || path_.first == net::proto_udp) builder.udp(src, dst);
        else builder.tcp(src, dst, flags, sequence, acknowledgement);
        Frame plain = builder.build();
        plain.resize(std::max<std::size_t>(plain.size(), 60));
        return from.port == underlay ? in_tunnel(plain) : plain;
    }
    Frame in_tunnel(const Frame& inner) {
        net::Packet* p = shell_.pool.make(0, inner.data(), inner.size());
        net::push_geneve(*p, 5001, nullptr, nullptr, nullptr, false);
        net::push_outer(*p,
                        {net::Ip::parse("10.0.0.2").value(), net::Ip::parse("10.0.0.1").value(),
                         net::Mac{{2, 0x5b, 0, 0, 0, 2}}, net::Mac{{2, 0x5b, 0, 0, 0, 1}}},
                        50000, 64);
        Frame out(p->data, p->data + p->length);
        shell_.pool.release(0, &p, 1);
        return out;
    }
    void run(const std::vector<Frame>& frames, std::uint32_t port) {
        net::Packet* packets[burst];
        std::uint32_t n = 0;
        for (const Frame& one : frames) {
            packets[n] = shell_.pool.make(0, one.data(), one.size());
            packets[n++]->hand.port = port;
        }
        engine_->run(0, packets, n, now_ns_ += 1000);
        shell_.pool.release(0, gone_.data(), static_cast<std::uint32_t>(gone_.size()));
        gone_.clear();
    }

    const Path& path_;
    const bool ip6_;
    engine::MemoryShell shell_;
    decltype(weir_host_vtable::pool) own_pool_ = shell_.vtable.pool;
    std::vector<net::Packet*> gone_;
    std::uint64_t sent_ = 0, now_ns_ = 1'000'000'000;
    std::unique_ptr<engine::Engine> engine_;
};

}  // namespace

int main(int argc, char** argv) {
    const std::string_view name = argc > 1 ? argv[1] : "";
    const bool ip6 = name.ends_with("_v6");
    const std::string_view plain = ip6 ? name.substr(0, name.size() - 3) : name;
    for (const Path& path : paths) {
        if (path.name != plain || argc != 3) continue;
        Bench(path, ip6).measure(static_cast<std::uint32_t>(std::atoi(argv[2])));
        return 0;
    }
    for (const bench::ChainPath& path : bench::chain_paths) {
        if (path.name != name || argc != 3) continue;
        bench::measure_chain(path, static_cast<std::uint32_t>(std::atoi(argv[2])));
        return 0;
    }
    std::fprintf(stderr, "path_cost PATH[_v6] BURSTS, PATH one of");
    for (const Path& path : paths) std::fprintf(stderr, " %s", std::string(path.name).c_str());
    std::fprintf(stderr, ", or (without _v6)");
    for (const bench::ChainPath& path : bench::chain_paths)
        std::fprintf(stderr, " %s", std::string(path.name).c_str());
    std::fputc('\n', stderr);
    return 2;
}
