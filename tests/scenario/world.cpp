#include "tests/scenario/world.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "features/arrivals.hpp"
#include "features/feature.hpp"
#include "model/canonical.hpp"
#include "model/core_resources.hpp"
#include "model/json.hpp"
#include "model/validate.hpp"
#include "tests/scenario/node_model.hpp"

namespace weir::scenario {

// The ports a host opens for its plan.
std::vector<std::string> World::ports_of(const model::Snapshot& plan,
                                         const std::string& host) const {
    std::vector<std::string> out;
    if (!without_underlay.contains(host)) out.push_back("underlay");
    for (const auto& [name, on] : opened_)
        if (on == host) out.push_back(name);
    for (const auto& [name, port] : plan.all<model::Port>())
        if (port.host.name == host) out.push_back(name);
    return out;
}

World::World(std::uint32_t workers)
    : workers_(workers), registry_(features::registry_of(features::all())) {}

std::string World::put(const std::vector<model::Document>& documents) {
    model::Snapshot next = intent_;
    model::Errors errors;
    model::put_documents(registry_, documents, next, errors);
    if (errors.empty()) errors = model::validate(registry_, next);
    if (!errors.empty()) return errors.list().front().text();
    return change(std::move(next));
}

std::string World::erase(const std::string& kind, const std::string& name) {
    const model::Kind* found = registry_.kind(kind);
    model::Snapshot next = intent_;
    if (!found || !found->erase(next, name)) return kind + "/" + name + ": there is none";
    return change(std::move(next));
}

std::string World::change(model::Snapshot next) {
    features::remember(features::all(), {intent_, next, now_s()}, reported_);
    intent_ = std::move(next);
    return publish();
}

std::string World::publish() {
    intent_.revision = ++revision_;
    for (const auto& [name, host] : intent_.all<model::Host>()) {
        auto& fake = hosts_[name];
        if (!fake) fake = std::make_unique<FakeHost>(name, workers_, flows_per_worker);
        if (away.contains(name)) continue;
        std::set<std::string> arriving;
        for (const auto& [port, moving] : moving_)
            if (moving.to == name) arriving.insert(port);
        model::Snapshot plan =
            features::plan_for(features::all(), registry_,
                               features::as_if_arrived(intent_, arriving, name), reported_, name);
        features::as_they_are(intent_, arriving, plan);
        const std::string refused =
            fake->apply(model::encode_canonical(registry_, plan), revision_, ports_of(plan, name));
        if (!refused.empty()) return name + ": " + refused;
        fake->tick(now_ns_);
    }
    settle();
    return {};
}

std::string World::move_port(const std::string& port, const std::string& to,
                             const std::string& step, const std::set<std::string>& words) {
    constexpr std::uint64_t stub_ns = 30'000'000'000;
    const auto* resource = intent_.find<model::Port>(port);
    const auto* target = intent_.find<model::Host>(to);
    if (!resource || !target) return "no such port or host";
    const std::uint32_t from_id = intent_.find<model::Host>(resource->host.name)->id;
    FakeHost& source = host(resource->host.name);
    FakeHost& destination = host(to);
    Moving& moving = moving_[port];
    const auto pass = [&](bool delta) {
        if (!words.contains("bare"))
            moving.handles += destination.load(port, source.save_pass(port, delta));
    };
    if (step == "begin") {
        moving.to = to;
        if (std::string why = publish(); !why.empty()) return why;
        moving.anchor = destination.prepare_arrival(port, from_id);
        pass(false);
    } else if (step == "freeze") {
        source.forward(port, net::no_port, 0, {}, stub_ns);
    } else if (step == "undo") {
        source.stay(port);
        moving_.erase(port);
        return publish();
    } else if (step == "end") {
        pass(true);
        destination.activate(port, from_id);
        if (words.contains("no-stub")) source.leave(port);
        else source.forward(port, target->id, moving.anchor, moving.handles, stub_ns);
        moving_.erase(port);
        model::Port moved = *resource;
        moved.host.name = to;
        intent_.put(std::move(moved));
        return publish();
    } else {
        return "steps are begin, freeze, undo and end";
    }
    settle();
    return {};
}

FakeHost& World::host(const std::string& name) {
    const auto found = hosts_.find(name);
    WEIR_CHECK(found != hosts_.end(), "the scenario names a host that is not there");
    return *found->second;
}

FakeHost& World::host_of(const std::string& port) {
    if (const auto opened = opened_.find(port); opened != opened_.end())
        return host(opened->second);
    const auto* resource = intent_.find<model::Port>(port);
    WEIR_CHECK(resource != nullptr, "the scenario names a port that is not there");
    return host(resource->host.name);
}

void World::send(const std::string& port, const Frame& frame, const Offload& offload) {
    now_ns_ += 20'000;  // guests take their time
    host_of(port).receive(port, frame, now_ns_, offload);
    settle();
    tick();
}

void World::open(const std::string& name, const std::string& port) {
    opened_[port] = name;
    host(name).open(port);
}

std::string World::trace(const std::string& port, const std::string& packet) {
    model::Value request = model::Value::object();
    request.set("what", "trace");
    request.set("port", port);
    request.set("trace_id", ++traces_);
    request.set("packet", packet);
    const model::Value answer = host_of(port).ask(request, now_ns_);
    settle();
    tick();
    return answer["error"].as_text();
}

// What waits for an answer of the underlay goes on now; a chain may wait once at each of its hosts.
void World::tick() {
    if (features::remember(features::all(), {intent_, intent_, now_s()}, reported_)) publish();
    for (int round = 0; round < 12; ++round) {
        for (auto& [name, fake] : hosts_) fake->tick(now_ns_);
        if (!settle()) return;
    }
}

void World::inject_underlay(const std::string& name, const Frame& frame) {
    host(name).receive("underlay", frame, now_ns_);
    settle();
}

void World::advance(std::uint64_t ns) {
    constexpr std::uint64_t step = 1'000'000;
    const std::uint64_t end = now_ns_ + ns;
    while (now_ns_ < end) {
        // Long waits go in larger steps: nothing in Weir counts ticks.
        const std::uint64_t left = end - now_ns_;
        now_ns_ += std::min(left, left > 10'000'000'000 ? 100 * step : step);
        tick();
    }
}

void World::advance(std::uint64_t ns, std::uint64_t ticks) {
    for (std::uint64_t i = 0; i < ticks; ++i) {
        now_ns_ += ns / ticks;
        tick();
    }
}

// Carries frames until none is on its way; whether there was any. Bounded: a scenario that never
// ends is a failure.
bool World::settle() {
    for (int round = 0; round < 10000; ++round) {
        std::vector<Sent> all;
        for (auto& [name, fake] : hosts_) {
            for (Sent& sent : fake->take_sent()) all.push_back(std::move(sent));
            for (const std::string& event : std::exchange(fake->events, {})) on_event(name, event);
        }
        if (all.empty()) {
            if (!std::exchange(replan_, false)) return round != 0;
            publish();
            continue;
        }
        for (const Sent& sent : all) route(sent);
    }
    WEIR_CHECK(false, "frames go round in circles");
    return true;
}

void World::route(const Sent& sent) {
    if (sent.port == "underlay") {
        underlay_.push_back(sent);
        if (cut_hosts.contains(sent.host)) return;
        if (const auto bend = bends.find(sent.host); bend != bends.end()) {
            const Bent bent = bend->second(sent.frame);
            if (!bent.frame.empty()) return host(bent.to).receive("underlay", bent.frame, now_ns_);
        }
        for (auto& [name, fake] : hosts_) {
            if (name == sent.host || cut_hosts.contains(name) || without_underlay.contains(name) ||
                cut_ways.contains({sent.host, name}))
                continue;
            fake->receive("underlay", sent.frame, now_ns_);
        }
        return;
    }
    const auto* port = known<model::Port>(sent.port);
    if (port && port->service_segment) on_node_port(sent);
    else delivered_.push_back(sent);
}

void World::on_node_port(const Sent& sent) {
    for (const model::Snapshot* from : {&intent_, &reported_}) {
        for (const auto& [name, node] : from->all<chain::ServiceNode>()) {
            for (std::size_t i = 0; i < node.vnics.size(); ++i) {
                if (node.vnics[i].name != sent.port || sent.host != place_of(node)) continue;
                give_to_node(node, i, sent.frame);
                return;
            }
        }
    }
}

void World::give_to_node(const chain::ServiceNode& node, std::size_t vnic, const Frame& frame) {
    NodePlace place{node.mode, {}, node.proxy_addresses, {}};
    for (std::size_t i = 0; i < node.vnics.size(); ++i)
        if (const auto* port = known<model::Port>(node.vnics[i].name)) {
            place.macs[i] = port->mac;
            place.addresses[i] = port->addresses;
        }
    NodeModel& model = nodes[node.name];
    const auto told = model.neighbours.size();
    const auto back = through_node(model, place, vnic, frame);
    if (back && back->vnic >= node.vnics.size()) {
        complaint = "service-node " + node.name +
                    " has one port and is no bump in the wire: say "
                    "\"node " +
                    node.name + " aware\" before a frame reaches it";
        return;
    }
    if (back) host(place_of(node)).receive(node.vnics[back->vnic].name, back->frame, now_ns_);
    if (model.neighbours.size() == told) return;
    for (const auto& [from, waited] : std::exchange(model.waiting, {}))
        give_to_node(node, from, waited);
}

void World::release(const std::string& name) {
    const auto* node = known<chain::ServiceNode>(name);
    WEIR_CHECK(node != nullptr, "the scenario releases a node that is not there");
    for (const auto& [vnic, frame] : std::exchange(nodes[name].held, {}))
        give_to_node(*node, vnic, frame);
    settle();
    tick();
}

// The controller's part: what a host reports reaches every host with the next plan.
void World::on_event(const std::string& host, const std::string& json) {
    auto event = model::parse_json(json);
    if (event) event->set("heard_s", now_ns_ / 1'000'000'000);
    if (event && features::take_report(features::all(), *event, host, intent_, reported_))
        replan_ = true;
}

std::uint64_t World::drops(const std::string& reason) {
    std::uint64_t sum = 0;
    for (auto& [name, fake] : hosts_)
        sum += fake->counter("weir_drops_total", {{"reason", reason}});
    return sum;
}

}  // namespace weir::scenario
