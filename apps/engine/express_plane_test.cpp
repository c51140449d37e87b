#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "apps/engine/engine.hpp"
#include "apps/engine/testing/host_snapshot.hpp"
#include "apps/engine/testing/memory_shell.hpp"
#include "apps/engine/testing/plane_traffic.hpp"
#include "apps/engine/testing/sendings.hpp"
#include "features/chain/node/node_memory.hpp"
#include "model/json.hpp"
#include "net/hash.hpp"
#include "net/notation.hpp"

// Service chains by the express way and by the stages: two engines get the same packets at the same
// times, from guests and back from nodes, while resources change, a port moves away and comes back,
// a node is frozen. Nobody may be able to tell the engines apart.
namespace weir::engine {
namespace {

using namespace plane;

constexpr std::uint32_t handed_on = 1000;

class Twin {
public:
    Twin(bool by_express, bool all, bool nsh) : all_(all), nsh_(nsh) {
        std::uint32_t adoption = 0;
        // As if sent to a port that does not exist.
        shell.vtable.hand_to_engine = [](void* host, std::uint32_t worker, net::Packet** packets,
                                         std::uint32_t count) {
            auto& of = *static_cast<MemoryShell*>(host);
            for (std::uint32_t i = 0; i < count; ++i)
                of.sent.push_back({handed_on + packets[i]->hand.port,
                                   {packets[i]->data, packets[i]->data + packets[i]->length}});
            of.pool.release(worker, packets, count);
        };
        memory_ = static_cast<chain::NodeMemory*>(shell.vtable.pool(
            &shell, std::string(chain::NodeMemory::pool_name).c_str(), sizeof(chain::NodeMemory),
            chain::NodeMemory::layout_version, &adoption));
        memory_->seed.store(42);  // cookies are to be equal
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
                        ->publish(host_snapshot(intent(revision, all_, nsh_), "h1"),
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
    // g2 stands still, goes to the other host, is back.
    void freeze_port(std::uint64_t now_ns) { move_port(net::no_port, 0, now_ns); }
    void give_port_up(std::uint64_t now_ns) { move_port(2, 77, now_ns); }
    void take_port_back() {
        weir_port_info info = MemoryShell::port(2, "g2");
        info.incarnation = ++incarnation_;
        ASSERT_TRUE(engine_->attach(info).ok());
    }
    // What is remembered of packets inside nodes that know nothing of metadata.
    std::vector<std::string> contexts() const {
        std::vector<std::string> out;
        for (std::size_t i = 0; i < memory_->slabs.size(); ++i) {
            if (memory_->slots[i].node_id == 0) continue;
            for (const chain::Context& c : memory_->slabs[i].contexts) {
                if (!c.live) continue;
                std::string line = std::to_string(&c - memory_->slabs[i].contexts.data());
                for (const std::uint64_t n :
                     {std::uint64_t{c.smd.spi}, std::uint64_t{c.smd.si}, std::uint64_t{c.smd.ttl},
                      std::uint64_t{c.smd.reverse}, std::uint64_t{c.smd.flow_handle},
                      std::uint64_t{c.smd.anchor_port}, std::uint64_t{c.tuple.src_port},
                      std::uint64_t{c.tuple.dst_port}, std::uint64_t{c.tuple.proto}, c.used_ns,
                      std::uint64_t{c.inside}, static_cast<std::uint64_t>(c.age)})
                    line += ' ' + std::to_string(n);
                out.push_back(std::move(line));
            }
        }
        return out;
    }
    // All but those that tell the two ways apart. Unless `all`, without those that depend on which
    // of several packets of a burst was timed, and without those of a flow's first burst.
    std::vector<std::string> counters(std::uint64_t now_ns, bool all) {
        std::vector<std::string> out;
        totals_.clear();
        drops = 0;
        const model::Value answer = ask("counters", now_ns);
        for (const model::Value& row : answer["rows"].items()) {
            const std::string metric(row["metric"].as_text());
            totals_[metric] += row["value"].as_uint();
            for (const auto& [key, value] : row["labels"].members())
                totals_[metric + " " + value.as_text()] += row["value"].as_uint();
            if (metric == "weir_express_plane_packets_total") express = row["value"].as_uint();
            if (metric == "weir_drops_total") drops += row["value"].as_uint() != 0;
            if (metric.starts_with("weir_express_") || metric == "weir_flows_renewed_total" ||
                (metric.starts_with("weir_tunnel_") &&  // among which BFD's are
                 metric != "weir_tunnel_received_packets_total"))
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
    // As counters() were asked last; with `label`, of rows that have it.
    std::uint64_t total(const std::string& metric, const std::string& label = {}) const {
        const auto at = totals_.find(label.empty() ? metric : metric + " " + label);
        return at == totals_.end() ? 0 : at->second;
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
    void move_port(std::uint32_t host, std::uint32_t anchor, std::uint64_t now_ns) {
        const weir_port_move move{2, host, anchor, now_ns + 30'000'000'000};
        const auto ticket = engine_->forward(move, {});
        ASSERT_TRUE(ticket.ok()) << ticket.error().text();
    }
    model::Value ask(const char* what, std::uint64_t now_ns) {
        model::Value request = model::Value::object();
        request.set("what", what);
        request.set("limit", 10000);
        return engine_->worker_query(0, request, now_ns);
    }
    std::unique_ptr<Engine> engine_;
    chain::NodeMemory* memory_ = nullptr;
    std::map<std::string, std::uint64_t> totals_;
    std::uint32_t incarnation_ = 1;
    const bool all_, nsh_;  // see intent()
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
Sendings by_flow(const std::vector<Sent>& sent, bool all) {
    Sendings out;
    for (const Sent& one : sent) {
        // BFD between hosts, whose numbers and times are drawn at random.
        if (one.port == 0 && one.frame.size() > 43 && (one.frame[43] & 0x80) != 0) continue;
        if (one.port == 0 && one.frame[12] == 8 && one.frame[13] == 6) continue;  // … and asks
        // What does not tell its flow, such as later fragments, is in no order with anything.
        const auto tuple = tuple_of(one);
        const std::string text = text_of(one, all);
        const std::string name = tuple ? std::to_string(net::symmetric_hash(*tuple)) : text;
        out[std::to_string(one.port) + " " + name].push_back(text);
    }
    return out;
}

// What happens to g2 in every 4000 packets.
enum class PortIs { here, frozen, away };
PortIs port_in(int burst) {
    const int at = burst % 4000;
    return at < 2500 || at >= 3000 ? PortIs::here : at < 2650 ? PortIs::frozen : PortIs::away;
}

class ExpressPlane : public testing::TestWithParam<std::tuple<std::uint64_t, bool, bool>> {};

TEST_P(ExpressPlane, DoesWhatTheStagesDo) {
    const auto [seed, alone, nsh] = GetParam();
    Twin quick(true, alone, nsh), slow(false, alone, nsh);
    Traffic traffic(seed, alone, nsh);
    std::uint64_t now = 1'000'000'000;
    std::size_t to_nodes = 0, to_guests = 0;
    const int bursts = alone ? 12'000 : 6'000;
    for (int burst = 0; burst < bursts; ++burst) {
        const bool later = traffic.below(2000) == 0 || traffic.has_flooded();
        now += later ? 40'000'000'000 : traffic.below(500'000);
        if (later || burst % 500 == 499) traffic.paused();
        const PortIs is = alone ? port_in(burst) : PortIs::here;
        const PortIs was = alone && burst != 0 ? port_in(burst - 1) : PortIs::here;
        const PortIs soon = alone ? port_in(burst + 100) : PortIs::here;
        if (is != was && is == PortIs::here) traffic.end_talks(2);
        std::vector<Sent> in = traffic.burst(soon == PortIs::frozen && is == PortIs::here);
        // Nobody receives from a port that is not here.
        if (is != PortIs::here) std::erase_if(in, [](const Sent& one) { return one.port == 2; });
        for (Twin* twin : {&quick, &slow}) {
            if (burst % 500 == 499) twin->publish(burst / 500);
            if (later || burst % 500 == 0) twin->hear_of_the_other_host(now);
            if (is != was && is == PortIs::frozen) twin->freeze_port(now);
            if (is != was && is == PortIs::away) twin->give_port_up(now);
            if (is != was && is == PortIs::here) twin->take_port_back();
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
        ASSERT_EQ(difference(quick.contexts(), slow.contexts()), "") << "burst " << burst;
        ASSERT_EQ(difference(quick.counters(now, alone), slow.counters(now, alone)), "")
            << "burst " << burst;
    }
    RecordProperty("to_nodes", static_cast<int>(to_nodes));
    RecordProperty("by_express", static_cast<int>(quick.express));
    EXPECT_GT(to_nodes, 2'000u) << "traffic must get to nodes for this to mean anything";
    EXPECT_GT(to_guests, 2'000u) << "and come back to its guests";
    EXPECT_GT(2 * quick.express, to_nodes) << "and much of it by the way that is tested";
    EXPECT_GT(slow.drops, 10u) << "and things go wrong in several ways";
    using Total = std::pair<const char*, const char*>;
    std::vector<Total> happened = {{"weir_service_chain_held_packets_total", ""},
                                   {"weir_insertion_results_total", "redirected"},
                                   {"weir_service_arrivals_total", "node"},
                                   {"weir_service_arrivals_total", "anchor"},
                                   {"weir_drops_total", "COPY_RETURN"}};
    if (!alone) happened.emplace_back("weir_drops_total", "RATE_LIMIT");
    if (alone)
        happened.insert(happened.end(), {{"weir_stub_packets_total", "kept"},
                                         {"weir_stub_packets_total", "forwarded"},
                                         {"weir_orders_applied_total", "flow_allow"},
                                         {"weir_orders_applied_total", "flow_drop"},
                                         {"weir_orders_applied_total", "node_skip"},
                                         {"weir_flows_refused_total", "over-rate"},
                                         {"weir_drops_total", "QUEUE_FULL"}});
    for (const auto& [metric, label] : happened)
        EXPECT_GT(slow.total(metric, label), 0u) << metric << ' ' << label;
    EXPECT_EQ(slow.express, 0u);
    EXPECT_EQ(quick.shell.pool.in_use(), slow.shell.pool.in_use());
}
INSTANTIATE_TEST_SUITE_P(Seeds, ExpressPlane,
                         testing::Combine(testing::Range<std::uint64_t>(1, 4), testing::Bool(),
                                          testing::Bool()));

}  // namespace
}  // namespace weir::engine
