#include "apps/host/port_set.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/log.hpp"

namespace weir::host {
namespace {

using dataplane::DeviceState;

constexpr std::uint64_t settle_timeout_ns = 5'000'000'000;

weir_port_info info_of(const HostPort& port) {
    weir_port_info info{};
    info.index = port.index;
    info.incarnation = port.incarnation;
    info.polling_worker = port.polling_worker;
    info.mtu = port.device ? port.device->mtu() : port.spec.device.mtu;
    std::memcpy(info.name, port.spec.name.data(), port.spec.name.size());
    info.place = port.place;
    info.from_host = port.from_host;
    return info;
}

// Everybody's packets come by it. One worker hears all of them: contexts and sessions are its own.
bool is_shared(const HostPort& port) {
    return port.spec.is_service || port.spec.name == "underlay";
}

}  // namespace

std::string_view port_state_name(PortState state) {
    constexpr std::array<std::string_view, 6> names = {
        "waiting_for_device", "opened", "running", "refused", "frozen", "device_gone"};
    return names[static_cast<std::size_t>(state)];
}

dataplane::PortStats HostPort::stats() const {
    dataplane::PortStats sum = before;
    if (device) sum += device->stats();
    return sum;
}

Status wait_settled(WorkerGroup& workers, LoadedEngine& engine, std::uint64_t ticket) {
    const auto done = [&] { return engine.api().settled(engine.handle(), ticket); };
    if (workers.wait_until(done, settle_timeout_ns)) return {};
    return Error{Errc::internal,
                 "engine " + engine.build_id(),
                 {},
                 "a worker did not take over the change within 5 s"};
}

HostPort* PortSet::find(const std::string& name) {
    const auto at = ports_.find(name);
    return at == ports_.end() ? nullptr : &at->second;
}

Result<HostPort*> PortSet::add(const PortSpec& spec) {
    const Result<PortTable::Place> place = table_.take(spec.name);
    if (!place) return place.error();
    HostPort& port = ports_[spec.name];
    port.spec = spec;
    port.index = place->index;
    port.incarnation = place->incarnation;
    port.polling_worker = place->index % workers_.size();
    open(port);
    return &port;
}

void PortSet::open(HostPort& port) {
    dataplane::DeviceSpec spec = port.spec.device;
    spec.workers = workers_.size();
    spec.polling_worker = port.polling_worker;
    if (is_shared(port)) spec.queues = 1;
    Result<std::unique_ptr<dataplane::Device>> device = open_device_(spec);
    if (!device) {
        if (port.reason != device.error().text())
            log::warn("port.waiting", {{"port", port.spec.name}, {"why", device.error().text()}});
        port.reason = device.error().text();
        if (port.state != PortState::gone) port.state = PortState::waiting;
        return;
    }
    port.device = std::move(*device);
    port.link = port.device->state();
    port.queues = port.device->queues();
    port.reason.clear();
    port.state = PortState::opened;
    log::info("port.opened", {{"port", port.spec.name},
                              {"index", port.index},
                              {"device", port.spec.device.text()},
                              {"worker", port.polling_worker}});
}

void PortSet::close(HostPort& port, bool frozen) {
    if (!port.device) return;
    const auto device = std::move(port.device);  // first from the workers, then from the world
    show(port, frozen);
    port.before += device->stats();
    port.link = DeviceState::gone;
}

void PortSet::remove(const std::string& name, bool keep_place) {
    HostPort* port = find(name);
    if (!port) return;
    unrealise(*port, keep_place);
    close(*port);
    workers_.on_all([&](Worker& worker) { worker.discard_parked(port->index); });
    log::info("port.closed", {{"port", name}, {"index", port->index}});
    if (!keep_place) table_.free(name);
    ports_.erase(name);
}

// A ticket, or why not.
Result<std::uint64_t> PortSet::ask_attach(HostPort& port, LoadedEngine& engine) {
    const weir_port_info info = info_of(port);
    TextSink error;
    const std::uint64_t ticket = engine.api().attach(engine.handle(), &info, error.sink());
    if (ticket == 0) return engine_error(error.text());
    return ticket;
}

Status PortSet::introduce_all(LoadedEngine& engine) {
    for (const auto& [name, port] : ports_) {
        if (!port.engine || port.engine == &engine) continue;
        const weir_port_info info = info_of(port);
        TextSink error;
        if (engine.api().introduce(engine.handle(), &info, error.sink()) == 0)
            return engine_error(error.text());
    }
    return {};
}

Status PortSet::introduce(HostPort& port, LoadedEngine& engine) {
    const weir_port_info info = info_of(port);
    TextSink error;
    const std::uint64_t ticket = engine.api().introduce(engine.handle(), &info, error.sink());
    return ticket ? wait_settled(workers_, engine, ticket) : Status(engine_error(error.text()));
}

void PortSet::leave(HostPort& port) {
    const std::string name = port.spec.name;
    close(port);
    show(port);  // thawed, without a device
    port.engine = nullptr;
    remove(name, false);
}

Status PortSet::attach(HostPort& port, LoadedEngine& engine) {
    const Result<std::uint64_t> ticket = ask_attach(port, engine);
    return ticket ? wait_settled(workers_, engine, *ticket) : Status(ticket.error());
}

void PortSet::detach(HostPort& port, LoadedEngine& engine) {
    const std::uint64_t ticket = engine.api().detach(engine.handle(), port.index);
    if (const Status settled = wait_settled(workers_, engine, ticket); !settled)
        log::error("port.detach", {{"port", port.spec.name}, {"why", settled.error().text()}});
}

Status PortSet::realise_all(LoadedEngine& engine) {
    Status first;
    std::vector<HostPort*> fresh;
    std::uint64_t last_ticket = 0;
    for (auto& [name, port] : ports_) {
        if (port.engine || port.place == weir_port_arriving) continue;
        const Result<std::uint64_t> ticket = ask_attach(port, engine);
        if (ticket) {
            last_ticket = *ticket;
            fresh.push_back(&port);
            continue;
        }
        port.state = PortState::refused;
        port.reason = ticket.error().text();
        log::error("port.refused", {{"port", name}, {"why", port.reason}});
        if (first) first = ticket.error();
    }
    if (fresh.empty()) return first;
    if (Status settled = wait_settled(workers_, engine, last_ticket); !settled) return settled;
    for (HostPort* port : fresh) {
        port->engine = &engine;
        if (port->device) port->state = PortState::running;
        show(*port);
    }
    return first;
}

void PortSet::unrealise(HostPort& port, bool keep_flows) {
    if (!port.engine) return;
    LoadedEngine& engine = *std::exchange(port.engine, nullptr);
    show(port);
    if (keep_flows) {
        engine.api().quiesce(engine.handle(), port.index);
    } else {
        detach(port, engine);
    }
    if (port.device) port.state = PortState::opened;
}

void PortSet::show(const HostPort& port, bool frozen) {
    PortView view;
    view.device = port.device.get();
    if (port.engine) view.engine = {&port.engine->api(), port.engine->handle()};
    view.polled = port.device && port.engine;
    view.frozen = frozen;
    view.shared = is_shared(port);
    workers_.on_all([&](Worker& worker) {
        PortView own = view;
        own.sender = sender_of(port, worker.index());
        worker.set_port(port.index, own);
    });
}

// Whoever has no queue sends by way of one that has.
std::uint32_t PortSet::sender_of(const HostPort& port, std::uint32_t worker) const {
    const std::uint32_t queue = dataplane::queue_of(worker, port.polling_worker, workers_.size());
    return (port.polling_worker + queue % port.queues) % workers_.size();
}

bool PortSet::all_up() const {
    return std::all_of(ports_.begin(), ports_.end(),
                       [](const auto& one) { return one.second.link == DeviceState::up; });
}

// The other end may use fewer queues than there are, and other ones later.
void PortSet::follow_queues(HostPort& port, bool frozen) {
    const std::uint32_t queues = port.device->queues();
    if (queues == port.queues) return;
    port.queues = queues;
    log::info("port.queues", {{"port", port.spec.name}, {"queues", queues}});
    show(port, frozen);
}

bool PortSet::refresh() {
    bool changed = false;
    for (auto& [name, port] : ports_) {
        const bool frozen = port.state == PortState::frozen;
        if (port.device) {
            const DeviceState link = port.device->state();
            follow_queues(port, frozen);
            if (link == port.link) continue;
            changed = true;
            port.link = link;
            log::info("port.link", {{"port", name}, {"link", device_state_name(link)}});
            if (link != DeviceState::gone) continue;
            close(port, frozen);
            if (!frozen) port.state = PortState::gone;
            port.reason = "its device " + port.spec.device.text() + " vanished";
        } else {
            open(port);
            if (!port.device) continue;
            changed = true;
            if (frozen) port.state = PortState::frozen;
            if (port.engine && !frozen) port.state = PortState::running;
            show(port, frozen);
        }
    }
    return changed;
}

}  // namespace weir::host
