// A port that moves to another host: what it owns is written and read by the workers, step by step.
#include <algorithm>

#include "apps/engine/engine.hpp"
#include "dataplane/port_state.hpp"
#include "flow/save.hpp"
#include "net/bytes.hpp"
#include "net/rss.hpp"

namespace weir::engine {

namespace {

using dataplane::BlobSection;
using dataplane::PortEntry;

constexpr std::string_view flow_section = "flow.records";
constexpr std::size_t handle_bytes = 8;

std::span<const std::uint8_t> octets(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

Error no_such_port() {
    return {Errc::not_found, "port", "index", "no such port"};
}

void append32(std::vector<std::uint8_t>& out, std::uint32_t value) {
    out.resize(out.size() + 4);
    net::store32(out.data() + out.size() - 4, value);
}

}  // namespace

// Workers are between slices: a pass of another port is over with this.
Status Engine::begin_pass(const dataplane::AttachedPort& port, bool delta) {
    for (const auto& worker : workers_) {
        auto& pass = worker->pass;
        const bool is_known = pass && pass->port == port.info.index && pass->scope == port.scope;
        if (!is_known && delta)
            return invalid("delta", "there was no pass over port " + std::string(port.info.name));
        if (!delta) pass = std::make_unique<PortPass>(port.info.index, worker->flows, port.scope);
        pass->flows.begin(delta);
        pass->stage = 0;
        pass->step = 0;
    }
    return {};
}

// What was remembered of it may be much.
void Engine::end_pass(std::uint32_t port) {
    for (const auto& worker : workers_)
        if (worker->pass && worker->pass->port == port) worker->pass.reset();
}

// One step of the stage whose turn it is. True: there is more.
bool Engine::save_stages(Worker& worker, const Program& program, const PortEntry& port,
                         std::vector<BlobSection>& sections) {
    PortPass& pass = *worker.pass;
    const std::size_t turn = pass.stage;
    std::size_t i = 0;
    bool done = true;
    Plane::Parts::for_each([&]<class S>() {
        if (i++ != turn) return;
        if constexpr (requires(dataplane::PortSave & save) {
                          S::save(save, worker.pipeline.table<S>(program.tables),
                                  worker.pipeline.state<S>(), worker.emit);
                      }) {
            dataplane::PortSave save(port, pass.step, S::name, sections);
            done = S::save(save, worker.pipeline.table<S>(program.tables),
                           worker.pipeline.state<S>(), worker.emit);
        }
    });
    ++pass.step;
    if (done) {
        ++pass.stage;
        pass.step = 0;
    }
    return pass.stage < i;
}

Result<bool> Engine::save_slice(std::uint32_t index, std::uint32_t port, std::uint64_t now_ns,
                                std::vector<std::uint8_t>& out) {
    Worker& worker = *workers_[index];
    const Program& program = start_burst(worker, now_ns);
    const PortEntry* entry = program.topology.at(port);
    if (!entry) return no_such_port();
    if (!worker.pass || worker.pass->port != port) return invalid("pass", "has not begun");
    dataplane::PortBlob blob{entry->name, entry->vni, 0, {}};
    flow::SliceSaver& flows = worker.pass->flows;
    bool more = true;
    if (!flows.done()) {
        const std::uint32_t before = flows.written();
        std::vector<std::uint8_t> records;
        const Result<bool> next = flows.next(now_ns, records);
        if (!next) return next.error();
        blob.count = flows.written() - before;
        if (!records.empty())
            blob.sections.push_back({std::string(flow_section), std::move(records)});
    } else {
        more = save_stages(worker, program, *entry, blob.sections);
    }
    if (!blob.sections.empty()) out = dataplane::encode(blob);
    if (out.size() > dataplane::max_port_blob_bytes)
        return Error{Errc::limit, "port " + entry->name, "blob", "a step is longer than 1 MiB"};
    return more;
}

Status Engine::check_blob(const dataplane::AttachedPort& port, std::string_view bytes) const {
    const auto blob = dataplane::decode_port_blob(octets(bytes));
    if (!blob) return blob.error();
    if (blob->port != port.info.name)
        return invalid("port blob: port", "\"" + blob->port + "\" is not " + port.info.name);
    const PortEntry* entry = programs_.back()->topology.at(port.info.index);
    if (!entry || entry->vni != blob->vni)
        return invalid("port blob: tenant", "the port is on no segment or on another one here");
    std::uint32_t count = 0;
    for (const BlobSection& section : blob->sections) {
        if (section.name != flow_section) continue;
        const auto about = flow::examine(section.bytes);
        if (!about) return about.error();
        count += about->records;
    }
    if (count != blob->count) return invalid("port blob: count", "is not that of its records");
    return {};
}

// Records whose owner is this worker, under their decisions; paths are looked at again.
Status Engine::restore_flows(Worker& worker, const PortEntry& port,
                             std::span<const std::uint8_t> bytes,
                             std::vector<std::uint8_t>& handles) {
    flow::Table* tables[1] = {&worker.flows};
    const std::uint32_t mine = worker.flows.worker();
    flow::Shards shards{
        tables, [&](const net::Tuple& tuple) {
            return net::flow_owner(tuple, host_.workers) == mine ? 0 : flow::Shards::elsewhere;
        }};
    flow::LoadOptions options;
    options.now_ns = worker.emit.now_ns;
    options.other_clock = true;
    options.timeouts = port.timeouts;
    options.loaded = [&](flow::Table& table, flow::FlowPair& pair, std::uint32_t handle) {
        append32(handles, handle);
        append32(handles, table.make_handle(pair));
        if (flow::InsertionDecision d = table.insertion(pair); d.spi != 0) {
            d.failed_paths_generation = worker.emit.health->generation.load() - 1;
            table.set_insertion(pair, d);
        }
        table.for_each_alias(pair, [&](const flow::Alias& alias) {
            if (homes_ && net::flow_owner(alias.tuple, host_.workers) != mine)
                homes_->set(flow::AliasHomes::key_of(port.scope, port.vni, alias.hash), mine);
        });
    };
    const auto report = flow::load(bytes, port.scope, shards, options);
    return report ? Status() : report.error();
}

Status Engine::restore_slice(std::uint32_t index, std::uint32_t port, std::string_view bytes,
                             std::uint64_t now_ns, std::vector<std::uint8_t>& handles) {
    Worker& worker = *workers_[index];
    const Program& program = start_burst(worker, now_ns);
    const PortEntry* entry = program.topology.at(port);
    if (!entry) return no_such_port();
    const auto blob = dataplane::decode_port_blob(octets(bytes));
    if (!blob) return blob.error();
    Status status;
    for (const BlobSection& section : blob->sections) {
        if (!status) break;
        if (section.name == flow_section)
            status = restore_flows(worker, *entry, section.bytes, handles);
        const std::size_t dot = section.name.find('.');
        if (dot == std::string::npos) continue;
        Plane::Parts::for_each([&]<class S>() {
            if (!status || S::name != std::string_view(section.name).substr(0, dot)) return;
            const dataplane::PortRestore part{
                *entry, std::string_view(section.name).substr(dot + 1), section.bytes};
            if constexpr (requires {
                              S::restore(part, worker.pipeline.table<S>(program.tables),
                                         worker.pipeline.state<S>(), worker.emit);
                          })
                status = S::restore(part, worker.pipeline.table<S>(program.tables),
                                    worker.pipeline.state<S>(), worker.emit);
        });
    }
    return status;
}

Result<std::uint64_t> Engine::forward(const weir_port_move& move, std::string_view handles) {
    if (move.until_ns == 0) {
        moved_.erase_if([&](const dataplane::MovedPort& one) {
            return one.index == move.port && one.to_anchor == move.to_anchor;
        });
        return rebuild(snapshot_, ports_);
    }
    const dataplane::AttachedPort* attached = port_of(move.port);
    const PortEntry* port = attached ? programs_.back()->topology.at(move.port) : nullptr;
    if (!port) return no_such_port();
    if (handles.size() % handle_bytes != 0) return invalid("handles", "must be pairs of 4 bytes");
    auto map = std::make_shared<dataplane::HandleMap>();
    map->reserve(handles.size() / handle_bytes);
    for (auto bytes = octets(handles); !bytes.empty(); bytes = bytes.subspan(handle_bytes))
        map->emplace_back(net::load32(bytes.data()), net::load32(bytes.data() + 4));
    std::ranges::stable_sort(*map, {}, &std::pair<std::uint32_t, std::uint32_t>::first);
    // Of a handle that was told twice the later word counts.
    const auto kept = std::unique(map->rbegin(), map->rend(),
                                  [](const auto& a, const auto& b) { return a.first == b.first; });
    map->erase(map->begin(), kept.base());
    const std::string name = port->name;
    const MovedPorts::Known before = moved_.all();
    moved_.add({name, port->index, port->anchor_id(), port->vni, port->mac, move.to_host,
                move.to_anchor, move.until_ns, std::move(map)});
    const bool stays = move.to_host == net::no_port;  // nobody knows yet: it is only frozen
    const std::uint64_t ticket = stays ? quiesce(move.port) : detach(move.port);
    if (ticket != 0) return ticket;
    moved_.put_back(before);
    return Error{Errc::internal, "port " + name, "", "could not be given up"};
}

}  // namespace weir::engine
