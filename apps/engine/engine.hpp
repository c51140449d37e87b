#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apps/engine/moved_ports.hpp"
#include "dataplane/abi.hpp"
#include "dataplane/port_blob.hpp"
#include "dataplane/topology.hpp"
#include "features/all.hpp"
#include "features/express.hpp"
#include "flow/save_slices.hpp"
#include "flow/alias_homes.hpp"
#include "flow/table.hpp"
#include "model/registry.hpp"
#include "model/snapshot.hpp"
#include "model/value.hpp"

namespace weir::engine {

using features::Plane;

// Everything workers need for a burst, compiled from one snapshot and the ports as they are open.
// Never changed once published.
struct Program {
    std::uint64_t ticket = 0;
    std::uint64_t revision = 0;
    dataplane::Topology topology;
    Plane::Tables tables;
    std::uint32_t closed_scope = flow::no_index;  // whose flows each worker forgets now
};

// One worker's part of a pass over a port that moves to another host.
struct PortPass {
    PortPass(std::uint32_t of, flow::Table& table, std::uint32_t of_scope)
        : port(of), scope(of_scope), flows(table, of_scope) {}
    std::uint32_t port, scope;
    flow::SliceSaver flows;
    std::size_t stage = 0;   // whose turn it is once the flows are done
    std::uint32_t step = 0;  // of that stage
};

// One worker's half: packets, flows, the state of its stages. Only its own thread comes here.
struct alignas(128) Worker {  // as its Express wants it
    Worker(const weir_host_vtable& host, std::uint32_t index)
        : emit(host, index), pipeline(emit), express(emit, pipeline) {}
    dataplane::Emit emit;
    Plane::Worker pipeline;
    features::Express express;
    flow::Table flows;
    std::unique_ptr<PortPass> pass;  // made by the control thread between the worker's slices
    alignas(64) std::atomic<std::uint64_t> seen_ticket{0};
};

// The engine behind the C ABI (dataplane/abi.hpp). One control thread, many workers.
class Engine {
public:
    static Result<std::unique_ptr<Engine>> create(const weir_host_vtable& host,
                                                  std::string_view host_name,
                                                  std::uint32_t instance);
    ~Engine();

    Result<std::uint64_t> publish(std::string_view bytes, std::uint64_t revision);
    bool settled(std::uint64_t ticket);
    Result<std::uint64_t> introduce(const weir_port_info& info);
    Result<std::uint64_t> attach(const weir_port_info& info);
    std::uint64_t detach(std::uint32_t port);
    std::uint64_t quiesce(std::uint32_t port);
    Status save(std::uint32_t port, bool in_place, bool delta, weir_sink out);
    Status restore(std::uint32_t port, bool in_place, std::string_view bytes);
    // True: there is more.
    Result<bool> save_slice(std::uint32_t worker, std::uint32_t port, std::uint64_t now_ns,
                            std::vector<std::uint8_t>& out);
    Status restore_slice(std::uint32_t worker, std::uint32_t port, std::string_view bytes,
                         std::uint64_t now_ns, std::vector<std::uint8_t>& handles);
    Result<std::uint64_t> forward(const weir_port_move& move, std::string_view handles);
    model::Value query(const model::Value& request);

    std::uint32_t run(std::uint32_t worker, net::Packet** packets, std::uint32_t count,
             std::uint64_t now_ns);
    void tick(std::uint32_t worker, std::uint64_t now_ns);
    void leave(std::uint32_t worker);
    // Off: every packet meets the stages, also of decided flows. Nothing but the time it takes
    // differs; tests and benchmarks hold the two against each other.
    void use_express(bool on) { express_ = on; }
    model::Value worker_query(std::uint32_t worker, const model::Value& request,
                              std::uint64_t now_ns);

private:
    Engine(const weir_host_vtable& host, std::string_view host_name, std::uint32_t instance);
    Status open_workers();
    void open_moved();
    Result<flow::Table> open_flows(std::uint32_t worker);
    void own(std::uint32_t scope, std::uint32_t engine);
    void* open_pool(std::string_view name, std::size_t bytes, std::uint32_t layout, bool& fresh);
    Result<std::uint64_t> rebuild(const model::Snapshot& snapshot,
                                  const std::vector<dataplane::AttachedPort>& ports,
                                  std::uint32_t closed_scope = flow::no_index);
    Status begin_pass(const dataplane::AttachedPort& port, bool delta);
    void end_pass(std::uint32_t port);
    Status check_blob(const dataplane::AttachedPort& port, std::string_view bytes) const;
    bool save_stages(Worker& worker, const Program& program, const dataplane::PortEntry& port,
                     std::vector<dataplane::BlobSection>& sections);
    Status restore_flows(Worker& worker, const dataplane::PortEntry& port,
                         std::span<const std::uint8_t> bytes, std::vector<std::uint8_t>& handles);
    Result<std::uint32_t> open_scope(const char* name);
    Result<std::uint64_t> take_port(const weir_port_info& info, bool attached);
    dataplane::AttachedPort* port_of(std::uint32_t index);
    void drop_old_programs();
    const Program& start_burst(Worker& worker, std::uint64_t now_ns);
    model::Value counters(Worker& worker, const Program& program, const model::Value& request);
    model::Value start_trace(Worker& worker, const Program& program, const model::Value& request);
    model::Value save_node(Worker& worker, const Program& program, const model::Value& request,
                           std::uint64_t now_ns);
    model::Value restore_node(Worker& worker, const Program& program, const model::Value& request,
                              std::uint64_t now_ns);
    model::Value adopt_lost(Worker& worker, std::uint64_t now_ns);
    model::Value program_answer(const Program& program) const;
    model::Value files_answer(const Program& program) const;
    model::Value stage_query(Worker& worker, const Program& program,
                             const model::Value& request);
    bool send_on(Worker& worker, const Program& program, net::Packet& p);
    void receive(Worker& worker, const Program& program, net::Packet& p);

    const weir_host_vtable host_;
    const std::string host_name_;
    const std::uint32_t instance_;
    const dataplane::StageMap stages_ = features::stage_map();
    model::Registry registry_;
    model::Snapshot snapshot_;
    std::vector<dataplane::AttachedPort> ports_;  // by index
    MovedPorts moved_;
    flow::AliasHomes* homes_ = nullptr;
    std::vector<std::unique_ptr<Worker>> workers_;
    std::vector<std::unique_ptr<const Program>> programs_;  // the last one is current
    std::atomic<const Program*> current_{nullptr};
    std::uint64_t next_ticket_ = 1;
    bool express_ = true;
    bool lost_records_ = false;  // some worker found none to adopt
};

}  // namespace weir::engine
