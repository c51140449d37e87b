#include "apps/host/port_move.hpp"

#include <algorithm>
#include <utility>

#include "apps/host/shell.hpp"
#include "base/log.hpp"
#include "dataplane/port_blob.hpp"
#include "model/json.hpp"
#include "model/value.hpp"

namespace weir::host {
namespace {

constexpr std::uint64_t no_end = ~std::uint64_t{0};  // of a freeze; of a stub: it is over

Error about(const std::string& port, Errc code, std::string why) {
    return {code, "port/" + port, {}, std::move(why)};
}

Status of_ticket(Shell& shell, LoadedEngine& engine, std::uint64_t ticket, const TextSink& error) {
    if (ticket == 0) return engine_error(error.text());
    return wait_settled(shell.workers(), engine, ticket);
}

}  // namespace

void PortMoves::tell(const char* what, const std::string& port, const std::string& why) {
    model::Value event = model::Value::object();
    event.set("event", what);
    event.set("port", port);
    if (!why.empty()) event.set("why", why);
    shell_.event(model::dump_json(event));
}

void PortMoves::remember(StubTable table) {
    stubs_ = table.all();
    table_ = table;
    for (const Stub& stub : stubs_)
        log::info("port.is_away", {{"port", stub.name}, {"to_host", stub.move.to_host}});
}

void PortMoves::forget_stub(const std::string& name) {
    table_->forget(name);
    std::erase_if(stubs_, [&](const Stub& one) { return one.name == name; });
}

Result<HostPort*> PortMoves::arriving_port(const std::string& name) {
    const auto arrival = arrivals_.find(name);
    HostPort* port = shell_.ports().find(name);
    if (arrival == arrivals_.end() || !port)
        return about(name, Errc::not_found, "is not on its way to this host");
    arrival->second.until_ns = monotonic_ns() + patience_ns;
    return port;
}

Result<std::uint32_t> PortMoves::prepare(const std::string& name, std::uint32_t from_host) {
    if (shell_.engines().size() != 1)
        return about(name, Errc::unavailable, "an engine is being replaced on this host");
    if (shell_.ports().find(name))
        return about(name, Errc::conflict, "is on this host already, or on its way");
    const PortSpec* spec = shell_.applied().find_elsewhere(name);
    if (!spec)
        return about(name, Errc::not_found,
                     "has no device in what this host was told of the network");
    const Result<HostPort*> added = shell_.ports().add(*spec);
    if (!added) return added.error();
    HostPort& port = **added;
    port.place = weir_port_arriving;
    port.from_host = from_host;
    LoadedEngine& engine = *shell_.engines().front();
    if (const Status known = shell_.ports().introduce(port, engine); !known) {
        shell_.ports().remove(name, false);
        return known.error();
    }
    arrivals_[name].until_ns = monotonic_ns() + patience_ns;
    log::info("port.arriving", {{"port", name}});
    return (port.incarnation & 0xff) << 24 | port.index;
}

Result<std::string> PortMoves::load(const std::string& name, const std::string& blob) {
    const Result<HostPort*> found = arriving_port(name);
    if (!found) return found.error();
    const HostPort& port = **found;
    LoadedEngine& engine = *shell_.engines().front();
    TextSink refused;
    if (!engine.api().restore(engine.handle(), port.index, false, blob.data(), blob.size(),
                              refused.sink()))
        return engine_error(refused.text());
    std::string handles;
    for (std::uint32_t i = 0; i < shell_.workers().size(); ++i) {
        TextSink answer, error;
        bool taken = false;
        shell_.workers().on(i, [&](Worker& worker) {
            taken = engine.api().restore_slice(engine.handle(), i, port.index, blob.data(),
                                               blob.size(), worker.now_ns(), answer.sink(),
                                               error.sink());
        });
        if (!taken) return engine_error(error.text());
        handles += answer.text();
    }
    return handles;
}

Status PortMoves::activate(const std::string& name) {
    const Result<HostPort*> found = arriving_port(name);
    if (!found) return found.error();
    HostPort& port = **found;
    port.place = weir_port_arrived;
    LoadedEngine& engine = *shell_.engines().front();
    if (const Status attached = shell_.ports().attach(port, engine); !attached) {
        port.place = weir_port_arriving;
        return attached;
    }
    forget_stub(name);  // it is back: the engine knows by now
    port.engine = &engine;
    shell_.ports().refresh();  // a guest's device may just have appeared
    if (port.device) port.state = PortState::running;
    shell_.ports().show(port);
    arrivals_[name].here = true;
    log::info("port.arrived", {{"port", name}});
    return {};
}

Status PortMoves::abandon(const std::string& name) {
    const Result<HostPort*> found = arriving_port(name);
    if (!found) return found.error();
    LoadedEngine& engine = *shell_.engines().front();
    if (!(*found)->engine) shell_.ports().detach(**found, engine);
    shell_.ports().remove(name, false);
    arrivals_.erase(name);
    log::info("port.abandoned", {{"port", name}});
    return {};
}

std::string PortMoves::arrival_state(const std::string& name) const {
    const auto arrival = arrivals_.find(name);
    if (arrival == arrivals_.end()) return {};
    return arrival->second.here ? "here" : "arriving";
}

void PortMoves::confirm(const std::string& name) {
    const auto arrival = arrivals_.find(name);
    if (arrival == arrivals_.end()) return;
    if (HostPort* port = shell_.ports().find(name); port && !arrival->second.here)
        port->place = weir_port_configured;  // taken over by other means
    arrivals_.erase(arrival);
}

bool PortMoves::has_left(const std::string& name) const {
    return std::ranges::any_of(
        stubs_, [&](const Stub& stub) { return stub.news && stub.name == name; });
}

void PortMoves::believe(const HostConfig& config) {
    const auto is_here = [&](const std::string& name) {
        return std::ranges::any_of(config.ports,
                                   [&](const PortSpec& spec) { return spec.name == name; });
    };
    for (Stub& stub : stubs_) {
        if (is_here(stub.name) || !stub.news) continue;
        stub.news = false;
        table_->keep(stub);
    }
    for (auto& [name, arrival] : arrivals_) {
        const bool was_doubted = std::exchange(
            arrival.doubted, arrival.here && !is_here(name) && !config.find_elsewhere(name));
        if (arrival.doubted && !was_doubted) arrival.until_ns = monotonic_ns() + patience_ns;
    }
}

Result<HostPort*> PortMoves::leaving_port(const std::string& name) {
    HostPort* port = shell_.ports().find(name);
    if (!port || arrivals_.contains(name))
        return about(name, Errc::not_found, "is not on this host");
    if (!port->engine || shell_.engines().size() != 1)
        return about(name, Errc::unavailable,
                     "is not realised: " + std::string(port_state_name(port->state)));
    if (const auto leaving = leaving_.find(name); leaving != leaving_.end())
        renew(leaving->second);
    return port;
}

void PortMoves::renew(Leaving& leaving) {
    leaving.until_ns = monotonic_ns() + (leaving.frozen ? freeze_patience_ns : patience_ns);
}

Result<bool> PortMoves::save_slice(HostPort& port, std::uint32_t index,
                                   std::vector<std::string>& blobs) {
    TextSink out, error;
    std::uint32_t said = weir_slice_refused;
    shell_.workers().on(index, [&](Worker& worker) {
        said = port.engine->api().save_slice(port.engine->handle(), index, port.index,
                                             worker.now_ns(), out.sink(), error.sink());
    });
    if (said == weir_slice_refused) return engine_error(error.text());
    if (!out.text().empty()) blobs.push_back(out.take());
    return said == weir_slice_more;
}

Result<PortMoves::Saved> PortMoves::save(const std::string& name, bool begin, bool delta,
                                         std::size_t max_bytes) {
    const Result<HostPort*> found = leaving_port(name);
    if (!found) return found.error();
    HostPort& port = **found;
    if (begin) {
        TextSink out, error;
        if (!port.engine->api().save(port.engine->handle(), port.index, false, delta, out.sink(),
                                     error.sink()))
            return engine_error(error.text());
        if (!delta) leaving_[name].handles.clear();  // of a move that came to nothing
        leaving_[name].worker = 0;
        leaving_[name].passing = true;
    }
    const auto found_move = leaving_.find(name);
    if (found_move == leaving_.end() || !found_move->second.passing)
        return about(name, Errc::invalid, "no pass has begun");
    Leaving& leaving = found_move->second;
    renew(leaving);
    Saved saved;
    std::size_t bytes = 0;
    while (leaving.worker < shell_.workers().size() && bytes < max_bytes) {
        const std::size_t before = saved.blobs.size();
        const Result<bool> more = save_slice(port, leaving.worker, saved.blobs);
        if (!more) return more.error();
        if (saved.blobs.size() > before) bytes += saved.blobs.back().size();
        if (!*more) ++leaving.worker;
    }
    saved.done = leaving.worker == shell_.workers().size();
    leaving.passing = !saved.done;
    return saved;
}

// What was under way between workers when the port froze comes to rest: each of these lets every
// worker go round once.
void PortMoves::drain() {
    constexpr int rounds = 4;
    for (int i = 0; i < rounds; ++i) shell_.workers().on_all([](Worker&) {});
}

Status PortMoves::freeze(const std::string& name) {
    const Result<HostPort*> found = leaving_port(name);
    if (!found) return found.error();
    HostPort& port = **found;
    shell_.ports().show(port, true);
    port.state = PortState::frozen;
    drain();
    LoadedEngine& engine = *port.engine;
    // Where to is not known yet: what comes back from services waits for that, or for thaw().
    const weir_port_move move{port.index, net::no_port, 0, no_end};
    TextSink error;
    const std::uint64_t ticket =
        engine.api().forward(engine.handle(), &move, nullptr, 0, error.sink());
    leaving_[name].frozen = true;
    renew(leaving_[name]);
    const Status frozen = of_ticket(shell_, engine, ticket, error);
    if (!frozen)
        if (const Status back = thaw(name); !back) return back;
    return frozen;
}

Status PortMoves::hold(const std::string& name) {
    const Result<HostPort*> found = leaving_port(name);
    if (!found) return found.error();
    const auto leaving = leaving_.find(name);
    if (leaving == leaving_.end() || !leaving->second.frozen)
        return about(name, Errc::conflict, "is not frozen any more");
    return {};
}

Status PortMoves::thaw(const std::string& name) {
    const auto leaving = leaving_.find(name);
    const bool frozen = leaving != leaving_.end() && leaving->second.frozen;
    leaving_.erase(name);  // even if there is no such port any more
    const Result<HostPort*> found = leaving_port(name);
    if (!found) return found.error();
    HostPort& port = **found;
    if (!frozen) return {};
    const Status attached = shell_.ports().attach(port, *port.engine);
    if (!attached) log::error("port.thaw", {{"port", name}, {"why", attached.error().text()}});
    port.state = port.device ? PortState::running : PortState::gone;
    shell_.ports().show(port);
    return attached;
}

Status PortMoves::learn_handles(const std::string& name, const std::string& handles) {
    const Result<HostPort*> found = leaving_port(name);
    if (!found) return found.error();
    if (handles.size() % 8 != 0) return about(name, Errc::invalid, "handles come in pairs");
    const auto leaving = leaving_.find(name);
    if (leaving == leaving_.end()) return about(name, Errc::invalid, "no pass has begun");
    leaving->second.handles += handles;
    return {};
}

Status PortMoves::forward(const std::string& name, std::uint32_t to_host, std::uint32_t to_anchor,
                          std::uint64_t stub_ns) {
    const Result<HostPort*> found = leaving_port(name);
    if (!found) return found.error();
    HostPort& port = **found;
    if (const auto leaving = leaving_.find(name);
        leaving == leaving_.end() || !leaving->second.frozen)
        return about(name, Errc::invalid, "is not frozen, so it cannot be elsewhere");
    LoadedEngine& engine = *port.engine;
    const weir_port_move move{port.index, to_host, to_anchor, monotonic_ns() + stub_ns};
    const std::string& handles = leaving_[name].handles;
    const Stub stub{name, move, true};
    table_->keep(stub);  // first: a host that dies now must not take the port back
    TextSink error;
    const std::uint64_t ticket = engine.api().forward(engine.handle(), &move, handles.data(),
                                                      handles.size(), error.sink());
    if (Status told = of_ticket(shell_, engine, ticket, error); !told) {
        table_->forget(name);
        return told;
    }
    leaving_.erase(name);
    std::erase_if(stubs_, [&](const Stub& one) { return one.name == name; });
    stubs_.push_back(stub);
    shell_.ports().leave(port);
    log::info("port.moved", {{"port", name}, {"to_host", to_host}});
    return {};
}

void PortMoves::look_around(std::uint64_t now_ns) {
    std::vector<std::string> late, waiting;
    for (const auto& [name, arrival] : arrivals_)
        if ((!arrival.here || arrival.doubted) && now_ns > arrival.until_ns) late.push_back(name);
    for (const auto& [name, leaving] : leaving_)
        if (now_ns > leaving.until_ns) waiting.push_back(name);
    for (const std::string& name : late) {
        if (const Status gone = abandon(name); !gone) arrivals_.erase(name);
        tell("port.move_abandoned", name, "the controller does not lead it any more");
    }
    for (const std::string& name : waiting) {
        if (const Status back = thaw(name); !back)
            log::warn("port.thaw", {{"port", name}, {"why", back.error().text()}});
        tell("port.move_undone", name, "the controller went silent");
    }
    std::erase_if(stubs_, [&](Stub& stub) {
        if (stub.move.until_ns != no_end && now_ns >= stub.move.until_ns) end_stub(stub);
        if (stub.move.until_ns != no_end || stub.news) return false;
        table_->forget(stub.name);
        return true;
    });
}

// Nothing is sent on any more; that the port left stays known until a snapshot says so too.
void PortMoves::end_stub(Stub& stub) {
    stub.move.until_ns = 0;
    for (const auto& engine : shell_.engines()) {
        TextSink error;
        engine->api().forward(engine->handle(), &stub.move, nullptr, 0, error.sink());
    }
    stub.move.until_ns = no_end;
    table_->keep(stub);
}

}  // namespace weir::host
