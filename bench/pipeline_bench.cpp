// What a packet costs from its guest's port to the way out, through the production engine.
#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apps/engine/abi.hpp"
#include "apps/engine/testing/host_snapshot.hpp"
#include "base/check.hpp"
#include "base/limits.hpp"
#include "dataplane/heap_pool.hpp"
#include "net/builder.hpp"
#include "net/notation.hpp"

namespace weir {
namespace {

using Frame = std::vector<std::uint8_t>;
constexpr std::uint32_t burst = 32, known_flows = 1000, packet_count = 1024;
constexpr std::size_t huge_page = 2 << 20;
constexpr std::uint32_t port_of_underlay = 0, port_of_g1 = 1, port_of_g2 = 2;
constexpr const char* guests = R"(
{kind: host, name: h1, id: 1, tunnel_address: 10.0.0.1, underlay: {type: memory}}
---
{kind: host, name: h2, id: 2, tunnel_address: 10.0.0.2, underlay: {type: memory}}
---
{kind: segment, name: web, vni: 5001}
---
{kind: port, name: g1, host: h1, segment: web, mac: "02:00:00:00:00:11", addresses: [10.1.0.1],
 device: {type: memory}}
---
{kind: port, name: g2, host: h1, segment: web, mac: "02:00:00:00:00:12", addresses: [10.1.0.2],
 device: {type: memory}}
---
{kind: port, name: g3, host: h2, segment: web, mac: "02:00:00:00:00:13", addresses: [10.1.0.3],
 device: {type: memory}}
)";

// The last of `rules` rules allows what the benchmarks send; none of those before it matches.
std::string intent(std::int64_t rules) {
    std::string text = guests;
    for (std::int64_t i = 1; i <= rules; ++i) {
        const std::string number = std::to_string(i), port = std::to_string(10000 + i);
        text += "---\n{kind: firewall-rule, name: r" + number + ", id: " + number +
                ", priority: " + number + ", protocol: udp, ports: [" +
                (i == rules ? "80], action: allow}\n" : port + "], action: drop}\n");
    }
    return text;
}

// UDP to anywhere, forgotten after two seconds.
std::string any_udp() {
    return std::string(guests) +
           "---\n{kind: firewall-rule, name: all, protocol: udp, action: allow}\n"
           "---\n{kind: flow-timeouts, name: all, udp_s: 2}\n";
}

// A shell without devices: what is sent counts and comes back into the pool of packets.
class Shell {
public:
    explicit Shell(const std::string& resources,
                   std::uint32_t records = limits::default_flows_per_worker)
        : api_(engine::engine_api("bench", "0")) {
        vtable_ = {weir_abi_version,
                   1,
                   this,
                   transmit,
                   allocate,
                   release,
                   drop_to_worker,
                   release,
                   pool,
                   [](void*, const char*, std::size_t) {},
                   records};
        engine_ = api_.create(&vtable_, "h1", 1, {});
        WEIR_CHECK(engine_ != nullptr, "the engine starts");
        const std::string snapshot = engine::host_snapshot(resources, "h1");
        WEIR_CHECK(api_.publish(engine_, snapshot.data(), snapshot.size(), 1, {}) != 0,
                   "the engine takes the snapshot");
        for (const char* name : {"underlay", "g1", "g2"}) attach(name);
        learn_underlay_neighbour();
    }
    ~Shell() {
        api_.destroy(engine_);
        for (const auto& [name, memory] : pools_) std::free(memory);
    }
    Shell(const Shell&) = delete;

    // The frames enter at g1, a burst at a time.
    void run(const std::vector<Frame>& frames, std::size_t first, std::uint64_t now_ns) {
        net::Packet* packets[burst];
        for (std::uint32_t i = 0; i < burst; ++i) {
            const Frame& frame = frames[(first + i) % frames.size()];
            packets[i] = packets_.make(0, frame.data(), frame.size());
            packets[i]->hand.port = port_of_g1;
        }
        api_.run(engine_, 0, packets, burst, now_ns);
    }
    void age(std::uint64_t now_ns) { api_.tick(engine_, 0, now_ns); }
    std::uint64_t sent(std::uint32_t port) const { return sent_[port]; }

private:
    static Shell& of(void* host) { return *static_cast<Shell*>(host); }
    static void transmit(void* host, std::uint32_t worker, std::uint32_t port,
                         net::Packet** packets, std::uint32_t n) {
        of(host).sent_[port] += n;
        release(host, worker, packets, n);
    }
    static std::uint32_t allocate(void* host, std::uint32_t, net::Packet** out, std::uint32_t n) {
        return of(host).packets_.allocate(0, out, n);
    }
    static void release(void* host, std::uint32_t, net::Packet** packets, std::uint32_t n) {
        of(host).packets_.release(0, packets, n);
    }
    static void drop_to_worker(void* host, std::uint32_t from, std::uint32_t, net::Packet** packets,
                               std::uint32_t n) {
        release(host, from, packets, n);
    }
    static void* pool(void* host, const char* name, std::size_t bytes, std::uint32_t,
                      std::uint32_t* adoption) {
        void*& memory = of(host).pools_[name];
        *adoption = memory ? weir_pool_shared : weir_pool_created;
        if (memory) return memory;
        const std::size_t whole = (bytes + huge_page - 1) / huge_page * huge_page;
        memory = std::aligned_alloc(huge_page, whole);
        madvise(memory, whole, MADV_HUGEPAGE);
        return std::memset(memory, 0, whole);
    }

    void attach(const char* name) {
        weir_port_info info{};
        info.index = ports_++;
        info.mtu = 9000;
        std::strncpy(info.name, name, sizeof info.name - 1);
        WEIR_CHECK(api_.attach(engine_, &info, {}) != 0, "the engine takes the port");
    }
    // h2 asks for h1's MAC and tells its own by that.
    void learn_underlay_neighbour() {
        const auto request =
            net::parse_notation("arp who-has 10.0.0.1 tell 10.0.0.2 smac=02:5b:00:00:00:02");
        WEIR_CHECK(request.ok(), "the notation of a request");
        net::Packet* p = packets_.make(0, request->data(), request->size());
        p->hand.port = port_of_underlay;
        api_.run(engine_, 0, &p, 1, 1);
    }

    const weir_engine_api api_;
    weir_host_vtable vtable_{};
    weir_engine* engine_ = nullptr;
    dataplane::HeapPool packets_{packet_count};
    std::map<std::string, void*> pools_;
    std::array<std::uint64_t, 3> sent_{};
    std::uint32_t ports_ = 0;
};

std::vector<Frame> flows(const char* to, std::uint32_t count) {
    std::vector<Frame> frames;
    const net::Mac src{{2, 0, 0, 0, 0, 0x11}},
        dst{{2, 0, 0, 0, 0,
             static_cast<std::uint8_t>(std::string(to) == "10.1.0.2" ? 0x12 : 0x13)}};
    for (std::uint32_t i = 0; i < count; ++i)
        frames.push_back(net::FrameBuilder()
                             .eth(dst, src)
                             .ip("10.1.0.1", to)
                             .udp(static_cast<std::uint16_t>(1024 + i), 80)
                             .payload(18)
                             .build());
    return frames;
}

void established(benchmark::State& state, const char* to, std::uint32_t out) {
    Shell shell(intent(state.range(0)));
    const std::vector<Frame> frames = flows(to, known_flows);
    std::uint64_t now = 1'000'000'000;
    for (std::size_t at = 0; at < known_flows; at += burst) shell.run(frames, at, ++now);
    const std::uint64_t before = shell.sent(out);
    std::size_t at = 0;
    for (auto _ : state) {
        shell.run(frames, at, now += 1000);
        at = (at + burst) % known_flows;
    }
    if (shell.sent(out) != before + burst * static_cast<std::uint64_t>(state.iterations()))
        state.SkipWithError("packets were lost");
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * burst);
}

void established_local(benchmark::State& state) {
    established(state, "10.1.0.2", port_of_g2);
}
void established_tunnel(benchmark::State& state) {
    established(state, "10.1.0.3", port_of_underlay);
}

// 60000 ports in turn, two minutes after they were used last: every record is new.
void new_flow(benchmark::State& state) {
    Shell shell(intent(state.range(0)));
    const std::vector<Frame> frames = flows("10.1.0.2", 60000);
    std::uint64_t now = 1'000'000'000;
    std::size_t at = 0;
    for (auto _ : state) {
        shell.run(frames, at, now += 100'000'000);
        at = (at + burst) % frames.size();
        state.PauseTiming();
        shell.age(now);
        state.ResumeTiming();
    }
    if (shell.sent(port_of_g2) != burst * static_cast<std::uint64_t>(state.iterations()))
        state.SkipWithError("packets were lost");
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * burst);
}

// A new flow in every packet and an old one that ages out, with so many alive; two records each.
void new_flow_among(benchmark::State& state) {
    const auto live = static_cast<std::uint32_t>(state.range(0));
    Shell shell(any_udp(), 2 * (live + live / 4));
    std::vector<Frame> frames = flows("10.1.0.2", burst);
    const std::uint64_t step = 2'000'000'000ull * burst / live;
    std::uint64_t now = 1'000'000'000, next_tick = now;
    std::uint32_t number = 0;
    const auto one = [&] {
        for (Frame& frame : frames) {
            // The golden section: neighbours in time are no neighbours in memory.
            const std::uint32_t ports = ++number * 0x9e3779b1u;
            std::memcpy(frame.data() + 34, &ports, sizeof ports);
        }
        shell.run(frames, 0, now += step);
        if (now < next_tick) return;
        shell.age(now);
        next_tick = now + 1'000'000;
    };
    for (std::uint32_t i = 0; i < 2 * live; i += burst) one();
    const std::uint64_t before = shell.sent(port_of_g2);
    for (auto _ : state) one();
    if (shell.sent(port_of_g2) != before + burst * static_cast<std::uint64_t>(state.iterations()))
        state.SkipWithError("packets were lost");
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * burst);
}
BENCHMARK(new_flow_among)->Arg(10'000)->Arg(2'200'000);

BENCHMARK(established_local)->Arg(1)->Arg(100)->Arg(1000);
BENCHMARK(established_tunnel)->Arg(1)->Arg(100)->Arg(1000);
BENCHMARK(new_flow)->Arg(1)->Arg(100)->Arg(1000);

}  // namespace
}  // namespace weir
