#include "bench/chain_walk.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/engine/engine.hpp"
#include "apps/engine/testing/host_snapshot.hpp"
#include "apps/engine/testing/memory_shell.hpp"
#include "base/check.hpp"
#include "net/builder.hpp"
#include "net/notation.hpp"

namespace weir::bench {
namespace {

using Frame = engine::MemoryShell::Frame;
using Sent = engine::MemoryShell::Sent;

constexpr std::uint32_t burst = 32, flows = 256, most_hops = 8;
constexpr std::uint32_t underlay = 0, guest = 1, other_guest = 2, first_node = 3;
constexpr std::uint16_t service = 80;
constexpr std::uint64_t step_ns = 10'000;  // of a burst: 3.2 million packets a second

constexpr const char* network = R"(
{kind: host, name: h1, id: 1, tunnel_address: 10.0.0.1, underlay: {type: memory}}
---
{kind: host, name: h2, id: 2, tunnel_address: 10.0.0.2, underlay: {type: memory}}
---
{kind: segment, name: web, vni: 5001}
---
{kind: port, name: g1, host: h1, segment: web, mac: "02:00:00:00:00:01", addresses: [10.1.0.1],
 device: {type: memory}}
---
{kind: port, name: g2, host: h1, segment: web, mac: "02:00:00:00:00:02", addresses: [10.1.0.2],
 device: {type: memory}}
---
{kind: firewall-rule, name: all, id: 1, protocol: any, action: allow}
---
{kind: service-rule, name: inspect, id: 100, protocol: tcp, ports: [80], applied_to_ports: [g1],
 chain: chain}
)";

std::string vnic_names(std::uint32_t hop, bool l2) {
    const std::string name = "n" + std::to_string(hop);
    return l2 ? name + "-left, " + name + "-right" : name;
}

// Service, profile, ports and node of a hop.
std::string documents_of(const ChainPath& path, std::uint32_t hop) {
    const std::string n = std::to_string(hop);
    const std::string host = path.part == ChainPath::Part::whole ? "h1" : "h2";
    std::string text =
        "---\n{kind: service, name: s" + n + ", transports: [" + (path.l2 ? "l2_bridge" : "nsh") +
        "]}\n---\n{kind: service-profile, name: p" + n + ", service: s" + n +
        "}\n---\n{kind: service-node, name: n" + n + ", id: " + n + ", service: s" + n +
        ", host: " + host + ", mode: " + (path.l2 ? "l2, contexts: vlan" : "aware") +
        ", service_segment: plane, vnics: [" + vnic_names(hop, path.l2) + "]}\n";
    for (std::uint32_t side = 0; side < (path.l2 ? 2u : 1u); ++side)
        text += "---\n{kind: port, name: n" + n + (path.l2 ? side ? "-right" : "-left" : "") +
                ", host: " + host + ", service_segment: plane, mac: \"02:00:00:00:9" +
                std::to_string(side) + ":0" + n + "\", device: {type: memory}}\n";
    return text;
}

std::string intent(const ChainPath& path) {
    std::string text = network, profiles;
    text += std::string(
                "---\n{kind: service-segment, name: plane, svni: 9001, hosts: [h1, h2], "
                "underlay_trusted: true") +
            (path.nsh ? ", encap: nsh}\n" : "}\n");
    for (std::uint32_t hop = 1; hop <= path.hops; ++hop) {
        text += documents_of(path, hop);
        profiles += (hop > 1 ? ", p" : "p") + std::to_string(hop);
    }
    return text +
           "---\n{kind: service-chain, name: chain, sci: 1, service_segment: plane, "
           "forward: [" +
           profiles + "], failure_policy: block}\n";
}

// One host: frames in, frames out; what its nodes get comes back as a bump in the wire gives it
// back, at once.
class Host {
public:
    Host(const ChainPath& path, const char* name, bool has_guests) : l2_(path.l2) {
        shell_.vtable.host = this;
        shell_.vtable.transmit = [](void* self, std::uint32_t, std::uint32_t port,
                                    net::Packet** packets, std::uint32_t count) {
            auto& host = *static_cast<Host*>(self);
            for (std::uint32_t i = 0; i < count; ++i) host.sent_.emplace_back(port, packets[i]);
        };
        shell_.vtable.allocate = [](void* self, std::uint32_t worker, net::Packet** out,
                                    std::uint32_t count) {
            return static_cast<Host*>(self)->shell_.pool.allocate(worker, out, count);
        };
        shell_.vtable.release = [](void* self, std::uint32_t, net::Packet** packets,
                                   std::uint32_t count) {
            auto& host = *static_cast<Host*>(self);
            for (std::uint32_t i = 0; i < count; ++i)
                host.sent_.emplace_back(net::no_port, packets[i]);
        };
        shell_.vtable.pool = [](void* self, const char* pool, std::size_t bytes,
                                std::uint32_t layout, std::uint32_t* adoption) {
            return static_cast<Host*>(self)->own_pool_(&static_cast<Host*>(self)->shell_, pool,
                                                       bytes, layout, adoption);
        };
        sent_.reserve(8 * burst);
        shell_.vtable.flows_per_worker = 4096;
        engine_ = engine::Engine::create(shell_.vtable, name, 1).value();
        WEIR_CHECK(engine_->publish(engine::host_snapshot(intent(path), name), 1).ok(),
                   "the engine takes the snapshot");
        attach(underlay, "underlay");
        if (has_guests) {
            attach(guest, "g1");
            attach(other_guest, "g2");
        }
        const bool has_nodes = has_guests == (path.part == ChainPath::Part::whole);
        for (std::uint32_t hop = 1; has_nodes && hop <= path.hops; ++hop) attach_node(hop);
        const bool first = std::string_view(name) == "h1";
        give(underlay, {net::parse_notation(first ? "arp who-has 10.0.0.1 tell 10.0.0.2 "
                                                    "smac=02:5b:00:00:00:02"
                                                  : "arp who-has 10.0.0.2 tell 10.0.0.1 "
                                                    "smac=02:5b:00:00:00:01")
                            .value()});
    }

    // What leaves for good, guests' and tunnel frames alike, in order.
    std::vector<Sent> give(std::uint32_t port, const std::vector<Frame>& frames) {
        std::vector<Sent> left;
        std::vector<Sent> here;
        for (const Frame& frame : frames) here.push_back({port, frame});
        while (!here.empty()) here = once(here, left);
        return left;
    }
    // Rules asked and paths chosen so far.
    std::uint64_t decisions() {
        model::Value ask = model::Value::object();
        ask.set("what", "counters");
        std::uint64_t sum = 0;
        const model::Value answer = engine_->worker_query(0, ask, now_ns_);
        for (const model::Value& row : answer["rows"].items()) {
            const std::string_view metric = row["metric"].as_text();
            if (metric == "weir_insertion_rule_lookups_total" ||
                metric == "weir_insertion_ct_misses_total" ||
                metric == "weir_service_path_new_flows_total" ||
                metric == "weir_service_path_switched_in_total")
                sum += row["value"].as_uint();
        }
        return sum;
    }

private:
    void attach(std::uint32_t index, const std::string& name) {
        WEIR_CHECK(engine_->attach(engine::MemoryShell::port(index, name.c_str())).ok(), "a port");
    }
    void attach_node(std::uint32_t hop) {
        const std::string name = "n" + std::to_string(hop);
        if (!l2_) return attach(first_node + 2 * hop, name);
        attach(first_node + 2 * hop, name + "-left");
        attach(first_node + 2 * hop + 1, name + "-right");
    }
    // One burst; what nodes got and give back.
    std::vector<Sent> once(const std::vector<Sent>& frames, std::vector<Sent>& left) {
        std::vector<net::Packet*> packets;
        for (const auto& [port, frame] : frames) {
            packets.push_back(shell_.pool.make(0, frame.data(), frame.size()));
            packets.back()->hand.port = port;
        }
        engine_->run(0, packets.data(), static_cast<std::uint32_t>(packets.size()),
                     now_ns_ += step_ns);
        std::vector<Sent> back;
        for (auto& [port, packet] : sent_) {
            Frame frame(packet->data, packet->data + packet->length);
            if (port != net::no_port && port >= first_node) back.push_back(reflect(port, frame));
            else if (port != net::no_port) left.push_back({port, std::move(frame)});
            shell_.pool.release(0, &packet, 1);
        }
        sent_.clear();
        return back;
    }
    Sent reflect(std::uint32_t port, Frame& frame) const {
        if (l2_) return {((port - first_node) ^ 1) + first_node, std::move(frame)};
        std::swap_ranges(frame.begin(), frame.begin() + 6, frame.begin() + 6);
        return {port, std::move(frame)};
    }

    const bool l2_;
    engine::MemoryShell shell_;
    decltype(weir_host_vtable::pool) own_pool_ = shell_.vtable.pool;
    std::vector<std::pair<std::uint32_t, net::Packet*>> sent_;
    std::uint64_t now_ns_ = 1'000'000'000;
    std::unique_ptr<engine::Engine> engine_;
};

Frame segment(bool back, std::uint16_t port, std::uint8_t flags, std::uint32_t sequence,
              std::uint32_t acknowledgement) {
    const net::Mac macs[2] = {{{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}}};
    const char* ips[2] = {"10.1.0.1", "10.1.0.2"};
    net::FrameBuilder builder;
    builder.eth(macs[!back], macs[back]).ip(ips[back], ips[!back]);
    builder.tcp(back ? service : port, back ? port : service, flags, sequence, acknowledgement);
    Frame frame = builder.build();
    frame.resize(std::max<std::size_t>(frame.size(), 60));
    return frame;
}

// What of it left by that port.
std::vector<Frame> frames_at(std::uint32_t port, const std::vector<Sent>& sent) {
    std::vector<Frame> frames;
    for (const Sent& one : sent)
        if (one.port == port) frames.push_back(one.frame);
    return frames;
}

// The guests' host and the nodes' host, if that is another one.
class Walk {
public:
    explicit Walk(const ChainPath& path) : path_(path), anchor_(path, "h1", true) {
        if (path.part != ChainPath::Part::whole) nodes_ = std::make_unique<Host>(path, "h2", false);
    }

    void run(std::uint32_t bursts) {
        for (std::uint32_t i = 0; i < flows; ++i) open(static_cast<std::uint16_t>(4000 + i));
        const std::uint64_t before = anchor_.decisions();
        WEIR_CHECK(before >= 2 * flows, "every flow had rules asked and a path chosen");
        std::uint64_t sent = 0;
        for (std::uint32_t i = 0; i < bursts; ++i) {
            std::vector<Frame> frames;
            for (std::uint32_t k = 0; k < burst; ++k)
                frames.push_back(data_[(i * burst + k) % flows]);
            sent += measured_host().give(in_port(), frames).size();
        }
        WEIR_CHECK(sent == std::uint64_t{bursts} * burst, "every packet gets there");
        WEIR_CHECK(anchor_.decisions() == before, "no rule is asked and no path chosen");
    }

private:
    Host& measured_host() { return path_.part == ChainPath::Part::hop ? *nodes_ : anchor_; }
    std::uint32_t in_port() const {
        const bool from_guest =
            path_.part == ChainPath::Part::whole || path_.part == ChainPath::Part::out;
        return from_guest ? guest : underlay;
    }
    // Through the chain, whichever hosts that takes; each leg of the last packet is kept.
    void send(bool back, const Frame& frame) {
        std::vector<Sent> sent = anchor_.give(back ? other_guest : guest, {frame});
        if (nodes_ && !back) {
            out_ = frames_at(underlay, sent);
            back_ = frames_at(underlay, nodes_->give(underlay, out_));
            sent = anchor_.give(underlay, back_);
        }
        if (nodes_ && back)
            sent = anchor_.give(
                underlay, frames_at(underlay, nodes_->give(underlay, frames_at(underlay, sent))));
        WEIR_CHECK(sent.size() == 1 && sent[0].port == (back ? guest : other_guest),
                   "the packet of a new flow gets there");
    }
    void open(std::uint16_t port) {
        send(false, segment(false, port, net::tcp_syn, 1000, 0));
        send(true, segment(true, port, net::tcp_syn | net::tcp_ack, 5000, 1001));
        const Frame data = segment(false, port, net::tcp_ack, 1001, 5001);
        send(false, data);
        data_.push_back(path_.part == ChainPath::Part::hop    ? out_.at(0)
                        : path_.part == ChainPath::Part::back ? back_.at(0)
                                                              : data);
    }

    const ChainPath& path_;
    Host anchor_;
    std::unique_ptr<Host> nodes_;
    std::vector<Frame> data_, out_, back_;
};

}  // namespace

void measure_chain(const ChainPath& path, std::uint32_t bursts) {
    Walk(path).run(bursts);
}

}  // namespace weir::bench
