#pragma once
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "dataplane/pipeline.hpp"
#include "features/chain/liveness/liveness.hpp"
#include "features/chain/node/from_node.hpp"
#include "features/chain/node/to_node.hpp"
#include "features/chain/planned.hpp"
#include "features/chain/testing/test_intent.hpp"
#include "net/builder.hpp"
#include "net/ethernet.hpp"
#include "net/hash.hpp"
#include "net/nsh.hpp"
#include "net/parse.hpp"

// A host with service nodes and no shell: heap packets, pools that outlive engines, virtual time,
// and the stages that deal with nodes called by hand.
namespace weir::chain::test {

using Frame = std::vector<std::uint8_t>;
using dataplane::Packet;

constexpr std::uint64_t ms = 1'000'000, second = 1000 * ms;

// What became of a packet that a stage was given: the name of an exit, or one of these.
inline const std::string goes_on = "goes on", taken = "taken";

struct Sent {
    std::uint32_t port = 0;
    Frame frame;
};

// The machine: what a shell would be. Packets that are not given back show in `in_use`.
class Machine {
public:
    explicit Machine(std::uint32_t workers = 1) {
        vtable.abi_version = weir_abi_version;
        vtable.workers = workers;
        vtable.host = this;
        vtable.transmit = [](void* host, std::uint32_t, std::uint32_t port, Packet** packets,
                             std::uint32_t count) {
            for (std::uint32_t i = 0; i < count; ++i) {
                self(host).sent.push_back(
                    {port, {packets[i]->data, packets[i]->data + packets[i]->length}});
                self(host).free(*packets[i]);
            }
        };
        vtable.allocate = [](void* host, std::uint32_t, Packet** out, std::uint32_t count) {
            std::uint32_t n = 0;
            while (n < count && self(host).in_use < self(host).most_packets)
                out[n++] = self(host).make();
            return n;
        };
        vtable.release = [](void* host, std::uint32_t, Packet** packets, std::uint32_t count) {
            for (std::uint32_t i = 0; i < count; ++i) self(host).free(*packets[i]);
        };
        vtable.hand_to_worker = [](void* host, std::uint32_t, std::uint32_t to, Packet** packets,
                                   std::uint32_t count) {
            for (std::uint32_t i = 0; i < count; ++i) self(host).handed[to].push_back(packets[i]);
        };
        vtable.hand_to_engine = [](void*, std::uint32_t, Packet**, std::uint32_t) { std::abort(); };
        vtable.pool = [](void*, const char*, std::size_t, std::uint32_t, std::uint32_t*) -> void* {
            std::abort();  // stages get pools from OpenInput
        };
        vtable.event = [](void* host, const char* json, std::size_t bytes) {
            self(host).events.emplace_back(json, bytes);
        };
    }
    ~Machine() {
        for (Packet* p : made) std::free(p);  // what still waits in a queue
        for (auto& [name, memory] : pools) std::free(memory);
    }
    Machine(const Machine&) = delete;

    Packet* make() {
        auto* bytes = static_cast<std::uint8_t*>(std::aligned_alloc(64, net::packet_bytes + room));
        auto* p = new (bytes) Packet;
        p->data = bytes + net::packet_bytes + limits::packet_headroom_bytes;
        p->headroom = limits::packet_headroom_bytes;
        p->tailroom = room - p->headroom;
        ++in_use;
        made.insert(p);
        return p;
    }
    void free(Packet& p) {
        made.erase(&p);
        std::free(&p);
        --in_use;
    }
    void* pool(std::string_view name, std::size_t bytes, bool& fresh) {
        if (no_memory) return nullptr;
        void*& memory = pools[std::string(name)];
        fresh = memory == nullptr;
        // Zeroed by the kernel: most of a pool is never touched.
        if (fresh) memory = std::calloc(bytes + 64, 1);
        return static_cast<std::byte*>(memory) +
               (64 - reinterpret_cast<std::uintptr_t>(memory) % 64);
    }

    weir_host_vtable vtable{};
    std::vector<Sent> sent;
    std::set<Packet*> made;                               // and not freed
    std::map<std::uint32_t, std::deque<Packet*>> handed;  // by worker
    std::vector<std::string> events;
    std::map<std::string, void*> pools;
    std::unique_ptr<dataplane::HealthBoard> board = std::make_unique<dataplane::HealthBoard>();
    dataplane::HealthBoard& health = *board;
    std::uint32_t in_use = 0, most_packets = 100'000;
    bool no_memory = false;

private:
    static constexpr std::uint32_t room = 12'288;
    static Machine& self(void* host) { return *static_cast<Machine*>(host); }
};

// One engine on it: the three stages on every worker.
class Engine {
public:
    struct Worker {
        Worker(Machine& machine, std::uint32_t index) : emit(machine.vtable, index) {}
        dataplane::Emit emit;
        ToNode::State to;
        FromNode::State from;
        Liveness::State live;
    };

    Engine(Machine& host, const model::Snapshot& snapshot, const dataplane::Topology& ports)
        : machine(host), topology(ports) {
        for (std::uint32_t i = 0; i < machine.vtable.workers; ++i) {
            workers.push_back(std::make_unique<Worker>(machine, i));
            Worker& w = *workers.back();
            w.emit.ports = &topology;
            w.emit.stages = &stages;
            w.emit.health = &machine.health;
            dataplane::OpenInput input;
            input.worker = i;
            input.workers = machine.vtable.workers;
            input.pool = [this](std::string_view name, std::size_t bytes, std::uint32_t,
                                bool& fresh) { return machine.pool(name, bytes, fresh); };
            w.to.open(input);
            w.from.open(input);
            w.live.open(input);
        }
        stages.service_from_anchor = 1;
        publish(snapshot);
    }

    void publish(const model::Snapshot& snapshot) {
        const dataplane::CompileInput input{snapshot, topology, machine.vtable.workers};
        to_tables = ToNode::compile(input, to_tables).value();
        from_tables = FromNode::compile(input, from_tables).value();
        live_tables = Liveness::compile(input, live_tables).value();
    }

    template <class S, class Tables>
    std::string run(Worker& worker, const Tables& tables, typename S::State& state,
                    dataplane::Exits<typename S::Exit>& exits, Packet& p) {
        worker.emit.now_ns = now_ns;
        dataplane::Burst burst;
        burst.push(p);
        p.slot = 0;
        p.exit = net::no_exit;
        worker.emit.taken = 0;
        S::run(burst, tables, state, exits, worker.emit);
        const bool took = worker.emit.taken & 1;
        std::string fate = took ? taken : goes_on;
        if (!took && p.exit != net::no_exit) fate = S::exit_names[p.exit];
        worker.emit.flush();
        return fate;
    }
    std::string to_node(Packet& p, std::uint32_t w = 0) {
        return run<ToNode>(*workers[w], *to_tables, workers[w]->to, to_exits, p);
    }
    std::string from_node(Packet& p, std::uint32_t w = 0) {
        return run<FromNode>(*workers[w], *from_tables, workers[w]->from, from_exits, p);
    }
    std::string hear(Packet& p, std::uint32_t w = 0) {
        return run<Liveness>(*workers[w], *live_tables, workers[w]->live, live_exits, p);
    }
    void tick() {
        for (auto& w : workers) {
            w->emit.now_ns = now_ns;
            ToNode::tick(*to_tables, w->to, to_exits, w->emit);
            Liveness::tick(*live_tables, w->live, live_exits, w->emit);
            FromNode::tick(*from_tables, w->from, from_exits, w->emit);
            w->emit.flush();
        }
    }
    // Packets that entered the service context again.
    Packet* entered(std::uint32_t w = 0) {
        return workers[w]->emit.queue(dataplane::Context::service).pop();
    }

    Machine& machine;
    dataplane::Topology topology;
    dataplane::StageMap stages;
    std::vector<std::unique_ptr<Worker>> workers;
    std::shared_ptr<const ToNode::Tables> to_tables;
    std::shared_ptr<const FromNode::Tables> from_tables;
    std::shared_ptr<const Liveness::Tables> live_tables;
    dataplane::Exits<ToNode::Exit> to_exits;
    dataplane::Exits<FromNode::Exit> from_exits;
    dataplane::Exits<Liveness::Exit> live_exits;
    std::uint64_t now_ns = 10'000 * second;
};

// Host h3 of the intent "two_services" with its ports open: n1 (aware) on port 1, n6 (L2) with its
// left on 2 and its right on 3, a guest port 4.
inline constexpr std::uint32_t aware_port = 1, left_port = 2, right_port = 3, guest_port = 4;
inline constexpr std::uint32_t aware_node = 1, l2_node = 6;

inline model::Snapshot node_intent() {
    model::Snapshot intent = two_services();
    edit<Service>(intent, "fw", [](Service& s) { s.liveness_support = true; });
    return intent;
}

// A node of that intent on its way to h4.
inline ServiceNodeMove move_of(const char* name, std::uint32_t id, MovePhase phase) {
    ServiceNodeMove move;
    move.name = name;
    move.node_id = id;
    move.svni = 9001;
    move.number = 7;
    move.from = "h3";
    move.to = "h4";
    move.from_id = 3;
    move.to_id = 4;
    move.phase = phase;
    return move;
}

inline dataplane::Topology node_ports(const model::Snapshot& intent) {
    dataplane::Topology out;
    out.host_name = "h3";
    out.host_id = 3;
    out.ports.resize(5);
    const auto open = [&](std::uint32_t index, const char* name, std::uint32_t mtu) {
        dataplane::PortEntry& port = out.ports[index];
        port.role = dataplane::PortRole::service;
        port.name = name;
        port.index = index;
        port.vni = 9001;
        port.mtu = mtu;
        port.mac = intent.find<model::Port>(name)->mac;
    };
    open(aware_port, "n1", 1700);
    open(left_port, "n6-left", 1500);
    open(right_port, "n6-right", 1500);
    out.ports[guest_port] = out.ports[aware_port];
    out.ports[guest_port].role = dataplane::PortRole::guest;
    out.ports[guest_port].name = "g9";
    for (std::uint32_t id : {1u, 2u, 4u}) out.peers[id] = {id, "h" + std::to_string(id), {}};
    return out;
}

inline constexpr net::Mac guest_mac{{0x02, 0, 0, 0, 0, 11}}, peer_mac{{0x02, 0, 0, 0, 0, 12}};

// A packet of flow `number` on the service plane, its turn at SI 2 of 2.
inline net::Smd smd_of(std::uint32_t number, bool reverse = false) {
    net::Smd smd;
    smd.spi = 11;
    smd.sci = 1;
    smd.si = smd.initial_si = 2;
    smd.tenant_vni = 5001;
    smd.anchor_host = 1;
    smd.anchor_port = 0x01000004;
    smd.flow_handle = 0x07000000 | number;
    smd.ttl = 62;
    smd.path_epoch = 9;
    smd.reverse = reverse;
    smd.original_dst = reverse ? guest_mac : peer_mac;
    smd.original_src = reverse ? peer_mac : guest_mac;
    return smd;
}

// Whether what came back is a packet of the first `flows` flows, one service further.
inline bool was_given(const net::Smd& smd, std::uint32_t flows) {
    net::Smd given = smd_of(smd.flow_handle & 0xff, smd.reverse);
    given.flow_tag = smd.flow_tag;  // a node may set it
    given.reserved = smd.reserved;
    given.unassigned = smd.unassigned;
    given.si = smd.si;
    return (smd.flow_handle & 0x00ffffff) < flows && smd.si == 1 && given == smd;
}

// As the guest sent it.
inline Frame guest_frame(std::uint32_t number, bool reverse = false) {
    net::FrameBuilder f;
    const auto port = static_cast<std::uint16_t>(10'000 + number % 50'000);
    if (reverse)
        f.eth(guest_mac, peer_mac).ip("192.168.10.12", "192.168.10.11").tcp(80, port, 0x10);
    else f.eth(peer_mac, guest_mac).ip("192.168.10.11", "192.168.10.12").tcp(port, 80, 0x10);
    return f.payload(20 + number % 30).build();
}

struct World {
    explicit World(std::uint32_t workers = 1, model::Snapshot snapshot = node_intent())
        : machine(workers),
          intent(std::move(snapshot)),
          engine(machine, intent, node_ports(intent)) {}

    Packet& packet(const Frame& frame) {
        Packet* p = machine.make();
        p->hand = {};
        std::copy(frame.begin(), frame.end(), p->append(static_cast<std::uint32_t>(frame.size())));
        return *p;
    }
    // On the service plane at this host, with the MACs of the plane.
    Packet& service_packet(const Frame& frame, const net::Smd& smd, std::uint32_t port) {
        Packet& p = packet(frame);
        if (p.length >= 14) net::set_macs(p, node_mac(aware_node), {{0x02, 0x5a, 0, 0, 0, 1}});
        (void)net::parse(p);
        p.hash = net::symmetric_hash(p.tuple);
        p.smd = smd;
        p.vni = 9001;
        p.destination_port = port;
        return p;
    }
    // Delivers a packet of the flow to the node; gives back what the node sees.
    Frame deliver(std::uint32_t number, std::uint32_t port, bool reverse = false,
                  std::uint32_t w = 0) {
        return deliver(guest_frame(number, reverse), smd_of(number, reverse), port, w);
    }
    Frame deliver(const Frame& frame, const net::Smd& smd, std::uint32_t port,
                  std::uint32_t w = 0) {
        Packet& p = service_packet(frame, smd, port);
        fate = engine.to_node(p, w);
        if (fate != taken) {
            machine.free(p);
            return {};
        }
        if (machine.sent.empty()) return {};
        Sent last = machine.sent.back();
        machine.sent.pop_back();
        at_port = last.port;
        return last.frame;
    }
    // The node sends a frame; `returned` stays valid until the next call.
    std::string give_back(const Frame& frame, std::uint32_t port, std::uint32_t w = 0) {
        Packet& p = packet(frame);
        p.hand.port = port;
        return give_back(p, w);
    }
    std::string give_back(Packet& p, std::uint32_t w = 0) {
        forget();
        fate = engine.from_node(p, w);
        if (fate != taken) returned = &p;
        return fate;
    }
    void forget() {
        if (returned) machine.free(*returned);
        returned = nullptr;
    }
    Frame returned_frame() const { return {returned->data, returned->data + returned->length}; }
    ~World() { forget(); }

    Machine machine;
    model::Snapshot intent;
    Engine engine;
    std::string fate;
    std::uint32_t at_port = 0;
    Packet* returned = nullptr;
};

// What an honest aware node does: sends the frame back, from its own MAC.
inline Frame echoed(Frame frame) {
    std::swap_ranges(frame.begin(), frame.begin() + 6, frame.begin() + 6);
    return frame;
}

inline net::NshView nsh_of(const Frame& frame) {
    net::NshView view;
    if (net::decode_nsh(std::span(frame).subspan(14), view) != net::NshError::none) std::abort();
    return view;
}

// The frame with its NSH written anew after `change`.
inline Frame with_nsh(const Frame& frame, const std::function<void(net::Nsh&)>& change) {
    net::NshView view = nsh_of(frame);
    net::Nsh nsh = view.nsh;
    change(nsh);
    net::PacketBuffer buffer(view.inner);
    Packet& p = buffer.packet();
    net::push_nsh(p, nsh);
    net::push_ethernet(p, net::Mac::from(frame.data()), net::Mac::from(frame.data() + 6), 0x894f);
    return buffer.frame();
}

inline std::uint16_t vlan_of(const Frame& frame) {
    return static_cast<std::uint16_t>(net::load16(frame.data() + 14) & 0xfff);
}

// Sum of a counter over calls of counters().
class Collected : public dataplane::CounterSink {
public:
    void add(std::string_view metric, Labels labels, std::uint64_t value) override {
        std::string key(metric);
        for (const auto& [name, text] : labels)
            key += " " + std::string(name) + "=" + std::string(text);
        values[key] += value;
    }
    std::map<std::string, std::uint64_t> values;
};

}  // namespace weir::chain::test
