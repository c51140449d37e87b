#include "apps/engine/engine.hpp"

#include <algorithm>
#include <array>
#include <new>

#include "dataplane/digest.hpp"
#include "dataplane/enter.hpp"
#include "dataplane/epoch_history.hpp"
#include "features/feature.hpp"
#include "model/canonical.hpp"
#include "net/bytes.hpp"
#include "net/hash.hpp"
#include "net/parse.hpp"

namespace weir::engine {

namespace {

using dataplane::AttachedPort;
using dataplane::Context;
using dataplane::PortRole;

// Compiles every stage's tables, taking over what did not change.
Result<Plane::Tables> compile_tables(const dataplane::CompileInput& input,
                                     const Plane::Tables* before) {
    Plane::Tables tables;
    Status failed;
    Plane::Parts::for_each([&]<class S>() {
        if (!failed) return;
        constexpr std::size_t i = Plane::Parts::template index_of<S>();
        auto made = S::compile(input, before ? std::get<i>(*before) : nullptr);
        if (made) {
            std::get<i>(tables) = std::move(made).value();
        } else {
            failed = made.error();
        }
    });
    if (!failed) return failed.error();
    return tables;
}

AttachedPort no_attached_port() {
    AttachedPort none;
    none.info.index = net::no_port;
    return none;
}

// What changed for a port since `before`, as far as stages can tell which flows it concerns.
struct PortChange {
    bool told = true;
    std::vector<dataplane::FlowMatch> flows;

    template <class Table>
    void add(const Table& now, const Table& was, std::uint32_t port) {
        const std::uint32_t from = was.port_epoch(port);
        if (now.port_epoch(port) == from) return;
        const std::vector<dataplane::FlowMatch>* changed = nullptr;
        if constexpr (requires { now.port_changes(port, from); })
            changed = now.port_changes(port, from);
        told &= changed != nullptr;
        if (changed) flows.insert(flows.end(), changed->begin(), changed->end());
    }
};

void give_history(dataplane::PortEntry& port, const dataplane::PortEntry& was,
                  const PortChange& change) {
    if (port.place_epoch != was.place_epoch || !change.told) return;
    port.history = port.epoch == was.epoch
                       ? was.history
                       : dataplane::EpochHistory::after(was.history.get(), was.epoch, change.flows);
}

// The epoch of a port is the digest of all that was compiled for it, by every stage.
void mix_epochs(dataplane::Topology& topology, const Plane::Tables& tables, const Program* before) {
    for (dataplane::PortEntry& port : topology.ports) {
        if (port.role == PortRole::none) continue;
        const dataplane::PortEntry* was = before ? before->topology.at(port.index) : nullptr;
        PortChange change;
        dataplane::Digest digest;
        port.place_epoch = port.epoch;
        digest.add(port.epoch);
        Plane::Parts::for_each([&]<class S>() {
            constexpr std::size_t i = Plane::Parts::template index_of<S>();
            const auto& table = *std::get<i>(tables);
            if constexpr (requires { table.port_epoch(port.index); }) {
                digest.add(table.port_epoch(port.index));
                if (was) change.add(table, *std::get<i>(before->tables), port.index);
            }
        });
        port.epoch = digest.value32();
        if (was) give_history(port, *was, change);
    }
}

}  // namespace

Engine::Engine(const weir_host_vtable& host, std::string_view host_name, std::uint32_t instance)
    : host_(host),
      host_name_(host_name),
      instance_(instance),
      registry_(features::registry_of(features::all())),
      ports_(limits::max_ports, no_attached_port()) {}

Engine::~Engine() {
    for (const auto& worker : workers_)
        if (worker->flows) worker->flows.close();
}

Result<std::unique_ptr<Engine>> Engine::create(const weir_host_vtable& host,
                                               std::string_view host_name, std::uint32_t instance) {
    if (host.workers == 0 || host.workers > limits::max_workers)
        return invalid("workers", "1 to " + std::to_string(limits::max_workers));
    const std::uint32_t most = flow::max_records_of(host.workers);
    if (host.flows_per_worker == 0 || host.flows_per_worker > most)
        return invalid("flows_per_worker", "1 to " + std::to_string(most) + " with " +
                                               std::to_string(host.workers) + " workers");
    std::unique_ptr<Engine> engine(new Engine(host, host_name, instance));
    if (auto status = engine->open_workers(); !status) return status.error();
    engine->open_moved();
    if (auto ticket = engine->rebuild({}, engine->ports_); !ticket) return ticket.error();
    return engine;
}

void* Engine::open_pool(std::string_view name, std::size_t bytes, std::uint32_t layout,
                        bool& fresh) {
    std::uint32_t adoption = weir_pool_created;
    void* memory = host_.pool(host_.host, std::string(name).c_str(), bytes, layout, &adoption);
    fresh = adoption == weir_pool_created;
    return memory;
}

Result<flow::Table> Engine::open_flows(std::uint32_t worker) {
    flow::TableLimits limits;
    limits.records = host_.flows_per_worker;
    limits.workers = host_.workers;
    const std::size_t bytes = flow::Table::bytes_needed(limits);
    std::uint32_t adoption = weir_pool_created;
    void* memory = host_.pool(host_.host, ("flows-" + std::to_string(worker)).c_str(), bytes,
                              flow::pool_layout_version, &adoption);
    if (!memory)
        return Error{Errc::unavailable, "flow table", "", "no memory for the flow records"};
    const std::span<std::byte> span(static_cast<std::byte*>(memory), bytes);
    if (adoption == weir_pool_shared) return flow::Table::attach(span);
    flow::AdoptReport report;
    auto table = flow::Table::open(
        span, limits, worker, &report,
        adoption == weir_pool_created ? flow::Contents::zero : flow::Contents::unknown);
    lost_records_ |= report.created;
    // The engines that had these records ended with their process.
    if (table)
        table->for_each_scope(
            [&](std::uint32_t scope, const flow::Scope&) { table->set_owner(scope, 0); });
    return table;
}

void Engine::own(std::uint32_t scope, std::uint32_t engine) {
    for (const auto& worker : workers_) worker->flows.set_owner(scope, engine);
}

Status Engine::open_workers() {
    bool fresh = false;
    void* memory = open_pool("health", sizeof(dataplane::HealthBoard),
                             dataplane::HealthBoard::layout_version, fresh);
    if (!memory) return Error{Errc::unavailable, "health board", "", "no memory"};
    auto* health = fresh ? new (memory) dataplane::HealthBoard
                         : std::launder(static_cast<dataplane::HealthBoard*>(memory));
    homes_ = static_cast<flow::AliasHomes*>(open_pool(flow::AliasHomes::pool_name,
                                                      sizeof(flow::AliasHomes),
                                                      flow::AliasHomes::layout_version, fresh));
    for (std::uint32_t i = 0; i < host_.workers; ++i) {
        auto worker = std::make_unique<Worker>(host_, i);
        auto flows = open_flows(i);
        if (!flows) return flows.error();
        worker->flows = std::move(flows).value();
        worker->emit.use(worker->flows);
        worker->emit.engine = instance_;
        worker->emit.stages = &stages_;
        worker->emit.health = health;
        worker->pipeline.open(
            {i, host_.workers, &worker->flows, health,
             [this](std::string_view name, std::size_t bytes, std::uint32_t layout,
                    bool& is_fresh) { return open_pool(name, bytes, layout, is_fresh); }});
        workers_.push_back(std::move(worker));
    }
    return {};
}

// Stubs of an engine before this one.
void Engine::open_moved() {
    const std::size_t damaged =
        moved_.open([this](std::string_view name, std::size_t bytes, std::uint32_t layout) {
            bool fresh = false;
            return open_pool(name, bytes, layout, fresh);
        });
    if (damaged == 0) return;
    const std::string event =
        R"({"event":"port.stubs_damaged","count":)" + std::to_string(damaged) + "}";
    host_.event(host_.host, event.data(), event.size());
}

Result<std::uint64_t> Engine::rebuild(const model::Snapshot& snapshot,
                                      const std::vector<AttachedPort>& ports,
                                      std::uint32_t closed_scope) {
    auto topology = dataplane::compile_topology(snapshot, host_name_, ports, moved_.all());
    if (!topology) return topology.error();
    auto program = std::make_unique<Program>();
    program->topology = std::move(topology).value();
    const Program* before = programs_.empty() ? nullptr : programs_.back().get();
    auto tables = compile_tables({snapshot, program->topology, host_.workers},
                                 before ? &before->tables : nullptr);
    if (!tables) return tables.error();
    program->tables = std::move(tables).value();
    mix_epochs(program->topology, program->tables, before);
    program->revision = snapshot.revision;
    program->closed_scope = closed_scope;
    program->ticket = next_ticket_++;
    const std::uint64_t ticket = program->ticket;
    current_.store(program.get(), std::memory_order_release);
    programs_.push_back(std::move(program));
    drop_old_programs();
    return ticket;
}

Result<std::uint64_t> Engine::publish(std::string_view bytes, std::uint64_t revision) {
    auto snapshot = model::decode_canonical(registry_, bytes, model::UnknownKinds::skip);
    if (!snapshot) return snapshot.error();
    snapshot->revision = revision;
    auto ticket = rebuild(*snapshot, ports_);
    if (ticket) snapshot_ = std::move(snapshot).value();
    return ticket;
}

bool Engine::settled(std::uint64_t ticket) {
    drop_old_programs();
    return std::all_of(workers_.begin(), workers_.end(), [&](const auto& worker) {
        return worker->seen_ticket.load(std::memory_order_acquire) >= ticket;
    });
}

// A program goes when every worker has started a burst under a later one.
void Engine::drop_old_programs() {
    std::uint64_t seen = ~std::uint64_t{0};
    for (const auto& worker : workers_)
        seen = std::min(seen, worker->seen_ticket.load(std::memory_order_acquire));
    while (programs_.size() > 1 && programs_.front()->ticket < seen)
        programs_.erase(programs_.begin());
}

AttachedPort* Engine::port_of(std::uint32_t index) {
    return index < ports_.size() && ports_[index].info.index != net::no_port ? &ports_[index]
                                                                             : nullptr;
}

// One index for a port's scope in the shards of all workers.
Result<std::uint32_t> Engine::open_scope(const char* name) {
    std::uint32_t wanted = flow::no_index;
    for (const auto& worker : workers_) {
        auto scope = worker->flows.open_scope(name, wanted);
        if (!scope) return scope.error();
        wanted = *scope;
    }
    return wanted;
}

Result<std::uint64_t> Engine::take_port(const weir_port_info& info, bool attached) {
    if (info.index >= ports_.size()) return invalid("index", "beyond the limit of ports");
    auto scope = open_scope(info.name);
    if (!scope) return scope.error();
    auto ports = ports_;
    for (AttachedPort& port : ports)  // the name may have had another index before
        if (std::string_view(port.info.name) == info.name) port = no_attached_port();
    ports[info.index] = {info, *scope, attached};
    const MovedPorts::Known before = moved_.all();
    if (attached) moved_.erase(info.name);  // it may have been away
    auto ticket = rebuild(snapshot_, ports);
    if (!ticket) {
        moved_.put_back(before);
        return ticket;
    }
    ports_ = std::move(ports);
    if (attached) end_pass(info.index);
    return ticket;
}

Result<std::uint64_t> Engine::introduce(const weir_port_info& info) {
    return take_port(info, false);
}

Result<std::uint64_t> Engine::attach(const weir_port_info& info) {
    auto scope = open_scope(info.name);
    if (!scope) return scope.error();
    const std::uint32_t owner = workers_.front()->flows.owner(*scope);
    if (owner != 0 && owner != instance_)
        return Error{Errc::conflict, std::string("port ") + info.name, "flows",
                     "belong to engine " + std::to_string(owner) + "; save and restore first"};
    auto ticket = take_port(info, true);
    if (ticket) own(*scope, instance_);
    return ticket;
}

std::uint64_t Engine::detach(std::uint32_t port) {
    AttachedPort* entry = port_of(port);
    if (!entry) return 0;
    const std::uint32_t scope = entry->scope;
    const AttachedPort attached = std::exchange(*entry, no_attached_port());
    const MovedPorts::Known before = moved_.all();
    moved_.erase_if([&](const dataplane::MovedPort& one) {
        return one.index == port && one.to_host == net::no_port;  // frozen, and not to move
    });
    const auto ticket = rebuild(snapshot_, ports_, scope);
    if (!ticket) {
        *entry = attached;
        moved_.put_back(before);
        return 0;
    }
    end_pass(port);
    return *ticket;
}

std::uint64_t Engine::quiesce(std::uint32_t port) {
    AttachedPort* entry = port_of(port);
    if (!entry) return 0;
    const bool was_attached = std::exchange(entry->attached, false);
    const auto ticket = rebuild(snapshot_, ports_);
    if (!ticket) entry->attached = was_attached;
    return ticket ? *ticket : 0;
}

namespace {

// What save() hands to restore() in place: record layout and scope, big-endian.
constexpr std::size_t ticket_bytes = 8;

}  // namespace

// Everything a port owns lives in the vault that both engines of a host see: flow records under the
// port's scope, contexts and learned neighbours in pools. In place only the scope changes hands.
Status Engine::save(std::uint32_t port, bool in_place, bool delta, weir_sink out) {
    const AttachedPort* entry = port_of(port);
    if (!entry) return Error{Errc::not_found, "port", "index", "no such port"};
    if (!in_place) return begin_pass(*entry, delta);
    std::array<std::uint8_t, ticket_bytes> bytes;
    net::store32(bytes.data(), flow::record_layout_version);
    net::store32(bytes.data() + 4, entry->scope);
    if (!out.write(out.context, reinterpret_cast<const char*>(bytes.data()), bytes.size()))
        return Error{Errc::io, "port", "", "what was saved could not be written"};
    return {};
}

Status Engine::restore(std::uint32_t port, bool in_place, std::string_view bytes) {
    const AttachedPort* entry = port_of(port);
    if (!entry) return Error{Errc::not_found, "port", "index", "no such port"};
    if (!in_place) return check_blob(*entry, bytes);
    if (bytes.size() != ticket_bytes) return invalid("saved", "must be 8 bytes");
    const auto* saved = reinterpret_cast<const std::uint8_t*>(bytes.data());
    if (net::load32(saved) != flow::record_layout_version)
        return invalid("saved.layout", "another layout of flow records");
    if (net::load32(saved + 4) != entry->scope)
        return invalid("saved.scope", "is not the scope of this port");
    own(entry->scope, instance_);
    return {};
}

const Program& Engine::start_burst(Worker& worker, std::uint64_t now_ns) {
    const Program* program = current_.load(std::memory_order_acquire);
    if (program->ticket != worker.seen_ticket.load(std::memory_order_relaxed) &&
        program->closed_scope != flow::no_index) [[unlikely]]
        worker.flows.close_scope(program->closed_scope);
    worker.seen_ticket.store(program->ticket, std::memory_order_release);
    worker.emit.now_ns = now_ns;
    worker.emit.ticket = program->ticket;
    worker.emit.ports = &program->topology;
    return *program;
}

// What waited for a port while it moved away: packets that have their services behind them cannot
// be told apart there, those go the way of all that is late.
bool Engine::send_on(Worker& worker, const Program& program, net::Packet& p) {
    for (const dataplane::MovedPort& moved : program.topology.moved) {
        if (moved.index != p.hand.port || moved.to_host == net::no_port ||
            worker.emit.now_ns >= moved.until_ns || (p.hand.call_points_done & 2) != 0)
            continue;
        p.vni = p.hand.vni = moved.vni;
        p.tunnel_peer = moved.to_host;
        worker.emit.start(p, Context::source, stages_.encap);
        return true;
    }
    return false;
}

void Engine::receive(Worker& worker, const Program& program, net::Packet& p) {
    p.clear_scratch();
    dataplane::Emit& emit = worker.emit;
    const dataplane::PortEntry* port = program.topology.at(p.hand.port);
    if (!port && p.hand.entry == net::Entry::deliver && send_on(worker, program, p)) return;
    if (p.hand.entry == net::Entry::deliver) {
        p.source_port = p.hand.source_port;
        if (port && net::parse(p) == net::ParseError::none) {
            if (p.hand.fragment_known) {
                p.tuple.src_port = p.hand.fragment_src_port;
                p.tuple.dst_port = p.hand.fragment_dst_port;
            }
            p.hash = net::symmetric_hash(p.tuple);
            dataplane::enter_destination(p, *port, emit);
            return;
        }
    }
    const PortRole role = port ? port->role : PortRole::none;
    if (role == PortRole::underlay) {
        emit.start(p, Context::underlay, stages_.all[static_cast<std::size_t>(Context::underlay)]);
    } else if (role == PortRole::service) {
        emit.start(p, Context::service, stages_.service_from_node);
    } else {
        emit.start(p, Context::source, stages_.all[static_cast<std::size_t>(Context::source)]);
    }
}

std::uint32_t Engine::run(std::uint32_t index, net::Packet** packets, std::uint32_t count,
                          std::uint64_t now_ns) {
    Worker& worker = *workers_[index];
    const Program& program = start_burst(worker, now_ns);
    const std::uint64_t given_up = worker.flows.given_up();
    for (std::uint32_t at = 0; at < count; at += limits::max_burst) {
        const std::uint32_t n =
            std::min<std::uint32_t>(count - at, static_cast<std::uint32_t>(limits::max_burst));
        const std::uint32_t left =
            express_ ? worker.express.run({packets + at, n}, program.tables) : n;
        for (std::uint32_t i = 0; i < left; ++i) receive(worker, program, *packets[at + i]);
        worker.pipeline.drain(program.tables);
    }
    return static_cast<std::uint32_t>(worker.flows.given_up() - given_up);
}

void Engine::tick(std::uint32_t index, std::uint64_t now_ns) {
    Worker& worker = *workers_[index];
    const Program& program = start_burst(worker, now_ns);
    worker.pipeline.tick(program.tables);
}

void Engine::leave(std::uint32_t index) {
    workers_[index]->pipeline.leave();
}

}  // namespace weir::engine
