// How one engine takes over from another: port by port, while the other ports keep working.
#include <string>
#include <utility>
#include <vector>

#include "apps/host/shell.hpp"
#include "base/log.hpp"
#include "model/json.hpp"
#include "model/value.hpp"

namespace weir::host {
namespace {

std::string progress(const LoadedEngine& from, const LoadedEngine& to, const std::string& port,
                     std::size_t moved, std::size_t of) {
    model::Value event = model::Value::object();
    event.set("event", "engine.port_moved");
    event.set("port", port);
    event.set("from", from.build_id());
    event.set("to", to.build_id());
    event.set("moved", static_cast<std::uint64_t>(moved));
    event.set("of", static_cast<std::uint64_t>(of));
    return model::dump_json(event);
}

}  // namespace

// With nothing of the port in any engine's hands. Restored first: the moment the port is attached,
// packets of ports already moved reach it.
Status Shell::transfer(HostPort& port, LoadedEngine& to, const std::string& saved) {
    TextSink error;
    if (!to.api().restore(to.handle(), port.index, true, saved.data(), saved.size(), error.sink()))
        return engine_error(error.text());
    return ports_->attach(port, to);
}

// What failed on the way to `to` goes on where it was.
Status Shell::take_back(HostPort& port, LoadedEngine& to, const std::string& saved) {
    to.api().quiesce(to.handle(), port.index);
    return saved.empty() ? ports_->attach(port, *port.engine) : transfer(port, *port.engine, saved);
}

Status Shell::move_port(HostPort& port, LoadedEngine& to) {
    LoadedEngine& from = *port.engine;
    ports_->show(port, true);  // frozen: not polled, and what arrives for it waits
    port.state = PortState::frozen;
    const std::uint64_t ticket = from.api().quiesce(from.handle(), port.index);
    Status moved = wait_settled(*workers_, from, ticket);
    TextSink saved, error;
    if (moved &&
        !from.api().save(from.handle(), port.index, true, false, saved.sink(), error.sink()))
        moved = engine_error(error.text());
    if (moved) moved = transfer(port, to, saved.text());
    if (moved) {
        port.engine = &to;
    } else if (const Status back = take_back(port, to, saved.text()); !back) {
        log::error("engine.lost_port", {{"port", port.spec.name}, {"why", back.error().text()}});
    }
    if (port.device) port.state = PortState::running;
    ports_->show(port);
    return moved;
}

// Ports are made known first: compiling for them is cheap as long as there is no snapshot.
Status Shell::prepare(LoadedEngine& engine) {
    if (const Status known = ports_->introduce_all(engine); !known) return known;
    return have_config_ ? publish_to(engine, applied_) : Status();
}

Status Shell::swap_engine(const std::string& library) {
    if (engines_.size() != 1)
        return Error{Errc::conflict, "engine", {}, "exactly one must be loaded before a swap"};
    if (moves_.any())
        return Error{Errc::conflict, "engine", {},
                     "a port is on its way to or from this host: try again when it is there"};
    LoadedEngine& from = *engines_.front();
    const auto added = add_engine(library);
    if (!added) return added.error();
    LoadedEngine& to = **added;
    if (const Status ready = prepare(to); !ready) {
        drop_engine(&to);
        return ready;
    }

    std::vector<HostPort*> moved;
    Status status;
    for (auto& [name, port] : ports_->all()) {
        if (port.engine != &from) continue;
        status = move_port(port, to);
        if (!status) break;
        moved.push_back(&port);
        event(progress(from, to, name, moved.size(), ports_->all().size()));
    }
    for (HostPort* port : moved) {
        if (status) break;
        if (const Status back = move_port(*port, from); !back)
            log::error("engine.swap_back",
                       {{"port", port->spec.name}, {"why", back.error().text()}});
    }
    const LoadedEngine* leaving = status ? &from : &to;
    for (const auto& [name, port] : ports_->all())
        if (port.engine == leaving) return status;  // could not be moved back: both stay
    drop_engine(leaving);
    log::info("engine.swapped", {{"ok", status.ok()}, {"build", engines_.front()->build_id()}});
    return status;
}

}  // namespace weir::host
