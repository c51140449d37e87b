#pragma once
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "dataplane/stage.hpp"
#include "features/chain/anchor/insert.hpp"
#include "features/chain/anchor/return.hpp"
#include "features/chain/feature.hpp"
#include "features/chain/hop/arrive.hpp"
#include "features/chain/hop/resolve.hpp"
#include "features/chain/planned.hpp"
#include "features/chain/testing/test_intent.hpp"
#include "flow/table.hpp"
#include "net/builder.hpp"
#include "net/hash.hpp"
#include "net/parse.hpp"

// One host of the test topology with the stages of this feature, without engine or shell: packets
// on the heap, stages called one at a time.
namespace weir::chain::test {

using dataplane::Packet;

class TestHost {
public:
    explicit TestHost(const model::Snapshot& intent, std::string name = "h1",
                      std::uint32_t workers = 1, std::uint32_t worker = 0)
        : name_(std::move(name)), vtable_(make_vtable(this, workers)), emit(vtable_, worker) {
        flow::TableLimits limits;
        limits.records = 16384;
        const std::size_t bytes = flow::Table::bytes_needed(limits);
        memory_.reset(static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64)));
        flows = flow::Table::create({memory_.get(), bytes}, limits, worker).value();
        map_.all = {7, 7, 0, 7};
        map_.insertion = {2, 2};
        map_.behind_insertion = {4, 4};
        map_.service_from_anchor = 0x10;
        map_.service_from_tunnel = 0x20;
        emit.use(flows);
        emit.stages = &map_;
        emit.health = health.get();
        emit.now_ns = 1'000'000'000;
        apply(intent);
    }

    // What the controller and the host make of a changed intent. Paths that were `kept` for packets
    // on their way stay beside those of the plan (CP-2).
    void apply(const model::Snapshot& intent, const model::Snapshot& kept = {}) {
        model::Snapshot snapshot;
        for (const auto& row : intent.all<model::Host>()) snapshot.put(row.second);
        for (const auto& row : intent.all<model::Segment>()) snapshot.put(row.second);
        for (const auto& row : intent.all<model::ServiceSegment>()) snapshot.put(row.second);
        for (const auto& row : intent.all<model::Port>()) snapshot.put(row.second);
        plan(intent, name_, snapshot);
        for (const auto& [path, resource] : kept.all<ServicePath>())
            if (!snapshot.find<ServicePath>(path)) snapshot.put(resource);
        for (const std::string& chain : untold_chains) snapshot.erase<ServiceChain>(chain);
        std::vector<dataplane::AttachedPort> open;
        for (const auto& [name, port] : intent.all<model::Port>())
            if (port.host.name == name_) open.push_back(attach(name));
        topology_ = std::make_unique<dataplane::Topology>(
            dataplane::compile_topology(snapshot, name_, open).value());
        emit.ports = topology_.get();
        const dataplane::CompileInput input{snapshot, *topology_, emit.workers};
        inserts = Insert::compile(input, inserts).value();
        resolves = Resolve::compile(input, resolves).value();
        arrives = Arrive::compile(input, arrives).value();
        returns = Return::compile(input, returns).value();
        for (dataplane::PortEntry& port : topology_->ports)
            port.epoch = inserts->port_epoch(port.index);
    }

    std::uint32_t port(const std::string& name) const {
        const dataplane::PortEntry* entry = topology_->find(name);
        WEIR_CHECK(entry, "a port of the test");
        return entry->index;
    }
    const dataplane::PortEntry& entry(const std::string& name) const {
        return *topology_->find(name);
    }
    const Chain& chain(std::uint32_t sci) const { return *inserts->plane->chain(sci); }
    void set_node(std::uint32_t id, bool up) {
        using State = dataplane::HealthBoard::State;
        health->set(id, up ? State::up : State::down, emit.now_ns);
    }

    Packet& packet(const std::vector<std::uint8_t>& frame) {
        Packet& p = buffers_.emplace_back(frame).packet();
        p.hand = {};
        return p;
    }

    // A packet as Track leaves it in a guest context of the port.
    Packet& tracked(const std::string& port_name, CallPoint point, const net::FrameBuilder& frame) {
        Packet& p = packet(frame.build());
        const dataplane::PortEntry& at = entry(port_name);
        WEIR_CHECK(net::parse(p) == net::ParseError::none, "a readable frame");
        p.hash = net::symmetric_hash(p.tuple);
        p.hand.port = at.index;
        p.vni = p.hand.vni = at.vni;
        const bool ingress = point == CallPoint::ingress;
        p.context = static_cast<std::uint8_t>(ingress ? dataplane::Context::destination
                                                      : dataplane::Context::source);
        p.source_port = ingress ? net::no_port : at.index;
        p.destination_port = ingress ? at.index : net::no_port;
        auto hit = flows.find(at.scope, at.vni, p.tuple, p.hash);
        if (!hit) {
            hit = {flows.insert({at.scope, at.vni, p.tuple}, p.hash, emit.now_ns), 0};
            WEIR_CHECK(hit.pair, "room for a flow");
            hit.pair->initiator_outside = ingress;
        }
        p.flow = hit.pair;
        p.direction = hit.direction;
        p.program = dataplane::own_program(p);
        p.program->act_before = map_.insertion[0];
        return p;
    }

    void insert(Packet& p) { run<Insert>(p, *inserts, insert_state, insert_exits); }
    void resolve(Packet& p) { run<Resolve>(p, *resolves, resolve_state, resolve_exits); }
    void arrive(Packet& p) { run<Arrive>(p, *arrives, arrive_state, arrive_exits); }
    void give_back(Packet& p) { run<Return>(p, *returns, return_state, return_exits); }

    // The packet a stage put into a context; null: none.
    Packet* entered(dataplane::Context context) { return emit.queue(context).pop(); }
    Packet* in_service() { return entered(dataplane::Context::service); }

    // Inserts a packet that is expected to be redirected, and resolves its first leg.
    Packet& first_leg(Packet& p) {
        insert(p);
        Packet* out = in_service();
        WEIR_CHECK(out == &p, "the packet is redirected");
        resolve(p);
        return p;
    }

    // Ends the burst: what stages sent or forgot takes effect.
    void end_burst() { emit.flush(); }

    std::vector<std::string> untold_chains;  // that rules name and the host does not know
    std::vector<Packet*> to_workers, to_engines, released;
    std::uint32_t last_worker = 0;

private:
    struct Free {
        void operator()(std::byte* memory) const { std::free(memory); }
    };

    template <class S>
    void run(Packet& p, const typename S::Tables& tables, typename S::State& state,
             dataplane::Exits<typename S::Exit>& exits) {
        p.exit = net::no_exit;
        p.slot = 0;
        dataplane::Burst burst;
        burst.push(p);
        S::run(burst, tables, state, exits, emit);
        p.slot = net::no_slot;
    }

    dataplane::AttachedPort attach(const std::string& name) {
        auto [at, fresh] = indices_.emplace(name, static_cast<std::uint32_t>(indices_.size() + 1));
        dataplane::AttachedPort port;
        port.info.index = at->second;
        port.info.incarnation = 1;
        port.info.mtu = 1500;
        std::strncpy(port.info.name, name.c_str(), sizeof port.info.name - 1);
        port.scope = fresh ? flows.open_scope(name).value() : flows.find_scope(name);
        port.attached = true;
        return port;
    }

    static weir_host_vtable make_vtable(TestHost* self, std::uint32_t workers) {
        weir_host_vtable v{};
        v.abi_version = weir_abi_version;
        v.workers = workers;
        v.host = self;
        v.transmit = [](void*, std::uint32_t, std::uint32_t, Packet**, std::uint32_t) {};
        v.allocate = [](void* host, std::uint32_t, Packet** out, std::uint32_t count) {
            for (std::uint32_t i = 0; i < count; ++i)
                out[i] = &of(host)
                              .buffers_.emplace_back(std::vector<std::uint8_t>{}, 256u, 9000u)
                              .packet();
            return count;
        };
        v.release = [](void* host, std::uint32_t, Packet** p, std::uint32_t count) {
            of(host).released.insert(of(host).released.end(), p, p + count);
        };
        v.hand_to_worker = [](void* host, std::uint32_t, std::uint32_t to, Packet** p,
                              std::uint32_t count) {
            of(host).last_worker = to;
            of(host).to_workers.insert(of(host).to_workers.end(), p, p + count);
        };
        v.hand_to_engine = [](void* host, std::uint32_t, Packet** p, std::uint32_t count) {
            of(host).to_engines.insert(of(host).to_engines.end(), p, p + count);
        };
        v.event = [](void* host, const char* text, std::size_t bytes) {
            of(host).events.emplace_back(text, bytes);
        };
        return v;
    }
    static TestHost& of(void* host) { return *static_cast<TestHost*>(host); }

    const std::string name_;
    const weir_host_vtable vtable_;
    dataplane::StageMap map_;
    std::unique_ptr<dataplane::Topology> topology_;
    std::unique_ptr<std::byte, Free> memory_;
    std::map<std::string, std::uint32_t> indices_;
    std::deque<net::PacketBuffer> buffers_;

public:
    std::vector<std::string> events;
    flow::Table flows;
    std::unique_ptr<dataplane::HealthBoard> health = std::make_unique<dataplane::HealthBoard>();
    dataplane::Emit emit;
    std::shared_ptr<const Insert::Tables> inserts;
    std::shared_ptr<const Resolve::Tables> resolves;
    std::shared_ptr<const Arrive::Tables> arrives;
    std::shared_ptr<const Return::Tables> returns;
    Insert::State insert_state;
    Resolve::State resolve_state;
    Arrive::State arrive_state;
    Return::State return_state;
    dataplane::Exits<Insert::Exit> insert_exits;
    dataplane::Exits<Resolve::Exit> resolve_exits;
    dataplane::Exits<Arrive::Exit> arrive_exits;
    dataplane::Exits<Return::Exit> return_exits;
};

template <class Exit>
std::uint64_t count(const dataplane::Exits<Exit>& exits, Exit why) {
    return exits.count[static_cast<std::size_t>(why)];
}

inline std::vector<std::uint8_t> bytes_of(const Packet& p) {
    return {p.data, p.data + p.length};
}

// g1 → g2 of the topology.
inline net::FrameBuilder tcp(std::uint16_t src_port, std::uint16_t dst_port,
                             std::uint8_t flags = net::tcp_syn) {
    return net::FrameBuilder()
        .eth(mac(12), mac(11))
        .ip("192.168.10.11", "192.168.10.12")
        .tcp(src_port, dst_port, flags);
}
inline net::FrameBuilder tcp_reply(std::uint16_t src_port, std::uint16_t dst_port,
                                   std::uint8_t flags = net::tcp_syn | net::tcp_ack) {
    return net::FrameBuilder()
        .eth(mac(11), mac(12))
        .ip("192.168.10.12", "192.168.10.11")
        .tcp(dst_port, src_port, flags);
}

}  // namespace weir::chain::test
