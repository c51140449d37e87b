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

// Old to new, with nothing of the port in any engine's hands. On error the old one has it back.
Status Shell::transfer(HostPort& port, LoadedEngine& from, LoadedEngine& to) {
    TextSink saved, error;
    if (!from.api().save(from.handle(), port.index, true, false, saved.sink(), error.sink()))
        return engine_error(error.text());
    // Restored first: the moment the port is attached, packets of ports already moved reach it.
    if (!to.api().restore(to.handle(), port.index, true, saved.text().data(), saved.text().size(),
                          error.sink()))
        return engine_error(error.text());
    Status attached = ports_->attach(port, to);
    if (!attached) ports_->detach(port, to);
    return attached;
}

Status Shell::move_port(HostPort& port, LoadedEngine& to) {
    LoadedEngine& from = *port.engine;
    ports_->show(port, true);  // frozen: not polled, and what arrives for it waits
    port.state = PortState::frozen;
    const std::uint64_t ticket = from.api().quiesce(from.handle(), port.index);
    Status moved = wait_settled(*workers_, from, ticket);
    if (moved) moved = transfer(port, from, to);
    if (moved) {
        ports_->detach(port, from);
        port.engine = &to;
    } else if (const Status back = ports_->attach(port, from); !back) {
        log::error("engine.lost_port", {{"port", port.spec.name}, {"why", back.error().text()}});
    }
    if (port.device) port.state = PortState::running;
    ports_->show(port);
    return moved;
}

Status Shell::swap_engine(const std::string& library) {
    if (engines_.size() != 1)
        return Error{Errc::conflict, "engine", {}, "exactly one must be loaded before a swap"};
    LoadedEngine& from = *engines_.front();
    const auto added = add_engine(library);
    if (!added) return added.error();
    LoadedEngine& to = **added;
    if (have_config_) {
        if (Status published = publish_to(to, applied_); !published) {
            drop_engine(&to);
            return published;
        }
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
