#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "features/chain/feature.hpp"
#include "features/chain/node/load.hpp"
#include "features/chain/planned.hpp"
#include "features/chain/resources.hpp"
#include "model/value.hpp"

// What hosts say of service nodes, kept for those who use them (spec service-plane LV-3, LV-7).
namespace weir::chain {
namespace {

using model::Snapshot;
using model::Value;

// A node that operators took away still works while it drains (leaving.cpp).
const ServiceNode* find_node(std::string_view name, const Snapshot& intent,
                             const Snapshot& reported) {
    const ServiceNode* node = intent.find<ServiceNode>(name);
    return node ? node : reported.find<ServiceNode>(name);
}

// Only where a node is, or comes from or goes to, can anybody know how it fares.
bool may_speak_of(const ServiceNode& node, std::string_view host, const Snapshot& reported) {
    const ServiceNodeMove* move = reported.find<ServiceNodeMove>(node.name);
    return node.host.name == host || (move && (move->from == host || move->to == host));
}

// What is known of the node; an earlier node of its name is another one.
ServiceNodeStatus status_of(const ServiceNode& node, const Snapshot& reported) {
    const ServiceNodeStatus* before = reported.find<ServiceNodeStatus>(node.name);
    ServiceNodeStatus status = before && before->node_id == node.id ? *before : ServiceNodeStatus{};
    status.name = node.name;
    status.node_id = node.id;
    return status;
}

// Hosts remember the last one by the node's number, longer than the node is there, or this
// controller (LV-8): whatever is new must be greater than all that anybody said before. `heard_s`
// is when this controller heard of it, in seconds since 1970.
void set_generation(ServiceNodeStatus& status, std::uint64_t heard_s, const Snapshot& reported) {
    std::uint64_t last = status.generation;
    for (const auto& [name, one] : reported.all<ServiceNodeStatus>())
        if (name == status.name || one.node_id == status.node_id)
            last = std::max(last, one.generation);
    status.generation = std::max(last + 1, heard_s << 8);
}

bool keep(ServiceNodeStatus status, const Value& event, Snapshot& reported) {
    set_generation(status, event["heard_s"].as_uint(), reported);
    reported.put(std::move(status));
    return true;
}

// How busy a node is (PS-6). A change of state is another matter.
bool note_load(const Value& event, const ServiceNode& node, Snapshot& reported) {
    ServiceNodeStatus status = status_of(node, reported);
    const auto load =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(event["load"].as_uint(), whole_load));
    if (status.load == load) return false;
    status.load = load;
    reported.put(std::move(status));
    return true;
}

// Only the host that a node is on its way to can say that it is there (MB-9).
bool note_arrival(const Value& event, std::string_view host, Snapshot& reported) {
    const ServiceNodeMove* move = reported.find<ServiceNodeMove>(event["node"].as_text());
    if (!move || move->phase != MovePhase::arriving || move->to != host ||
        event["number"].as_uint() != move->number)
        return false;
    ServiceNodeMove arrived = *move;
    arrived.phase = MovePhase::arrived;
    reported.put(std::move(arrived));
    return true;
}

// Whether packets pass the node, and whether it is slow or lossy. Reports about an unchanged state
// change nothing.
bool note_state(const Value& event, const ServiceNode& node, Snapshot& reported) {
    const std::string& what = event["event"].as_text();
    const bool lives = what == "node-up" || what == "node-down";
    const ServiceNodeStatus before = status_of(node, reported);
    ServiceNodeStatus status = before;
    if (lives) status.state = what == "node-up" ? NodeState::up : NodeState::down;
    if (what == "node-slow" || what == "node-fast") status.slow = what == "node-slow";
    if (what == "node-lossy" || what == "node-whole") status.lossy = what == "node-lossy";
    // Nothing is wrong with a node that nothing was said of; that it lives is worth to be known.
    const bool is_news = status.state != before.state || status.slow != before.slow ||
                         status.lossy != before.lossy || (lives && before.generation == 0);
    return is_news && keep(std::move(status), event, reported);
}

bool has_vnic(const ServiceNode& node, const std::string& port) {
    return std::ranges::any_of(node.vnics, [&](const auto& ref) { return ref.name == port; });
}

// Where it is on its way to counts when the intent says that it is there.
bool is_on_its_way(const ServiceNode& node, const Snapshot& reported) {
    const ServiceNodeMove* move = reported.find<ServiceNodeMove>(node.name);
    return move && move->to != node.host.name;
}

// The node at this host that has the port. A node on its way has two of each.
const ServiceNode* find_owner(const std::string& port, std::string_view host,
                              const Snapshot& intent, const Snapshot& reported) {
    for (const Snapshot* snapshot : {&intent, &reported})
        for (const auto& [name, node] : snapshot->all<ServiceNode>())
            if (node.host.name == host && has_vnic(node, port))
                return is_on_its_way(node, reported) ? nullptr : &node;
    return nullptr;
}

// Whether the node's port has a device with a link.
bool note_link(const Value& event, std::string_view host, const Snapshot& intent,
               Snapshot& reported) {
    const std::string& port = event["port"].as_text();
    const ServiceNode* node = find_owner(port, host, intent, reported);
    if (!node) return false;
    ServiceNodeStatus status = status_of(*node, reported);
    const auto before = status.ports_without_link;
    std::erase_if(status.ports_without_link,
                  [&](const std::string& one) { return one == port || !has_vnic(*node, one); });
    if (!event["up"].as_bool()) status.ports_without_link.push_back(port);
    std::ranges::sort(status.ports_without_link);
    status.attached = status.ports_without_link.empty();
    if (status.ports_without_link == before) return false;
    reported.put(std::move(status));
    return true;
}

// Nobody speaks of nodes that are gone, and nobody asks.
bool forget_gone(const Snapshot& intent, Snapshot& reported) {
    std::vector<std::string> gone;
    for (const auto& [name, status] : reported.all<ServiceNodeStatus>()) {
        const ServiceNode* node = find_node(name, intent, reported);
        if (!node || node->id != status.node_id) gone.push_back(name);
    }
    for (const std::string& name : gone) reported.erase<ServiceNodeStatus>(name);
    return !gone.empty();
}

// Whether somebody asks such nodes if they live (LV-2, LV-4, LV-5).
bool is_asked(const ServiceNode& node, const Snapshot& intent) {
    const Service* service = intent.find(node.service);
    return !service || node.mode != NodeMode::aware || service->liveness_support;
}

bool is_about_state(const std::string& what) {
    constexpr std::string_view all[] = {"node-up",   "node-down",  "node-slow",
                                        "node-fast", "node-lossy", "node-whole"};
    return std::ranges::find(all, what) != std::end(all);
}

}  // namespace

// Nobody will say that it is up again.
bool forget_unasked_nodes(const features::Occasion& occasion, Snapshot& reported) {
    std::vector<ServiceNodeStatus> unasked;
    for (const auto& [name, status] : reported.all<ServiceNodeStatus>()) {
        const ServiceNode* node = find_node(name, occasion.intent, reported);
        if (status.state == NodeState::down && node && node->id == status.node_id &&
            !is_asked(*node, occasion.intent))
            unasked.push_back(status);
    }
    for (ServiceNodeStatus& status : unasked) {
        status.state = NodeState::up;
        set_generation(status, occasion.now_s, reported);
        reported.put(std::move(status));
    }
    return !unasked.empty();
}

bool answer_about_node(const Value& event, std::string_view host, const Snapshot& intent,
                       Snapshot& reported) {
    const std::string& what = event["event"].as_text();
    if (what == "node-arrived") return note_arrival(event, host, reported);
    if (what == "port-link") return note_link(event, host, intent, reported);
    const bool is_state = is_about_state(what);
    if (!is_state && what != "node-load") return false;
    const ServiceNode* node = find_node(event["node"].as_text(), intent, reported);
    bool changed = false;
    if (node && node->id == event["node_id"].as_uint() && may_speak_of(*node, host, reported))
        changed = is_state ? note_state(event, *node, reported) : note_load(event, *node, reported);
    return forget_gone(intent, reported) || changed;
}

// Links at the host where the node was, or of ports that it has no more, say nothing of it.
bool forget_links_of_others(const features::Occasion& occasion, Snapshot& reported) {
    std::vector<ServiceNodeStatus> changed;
    for (const auto& [name, status] : reported.all<ServiceNodeStatus>()) {
        const ServiceNode* before = find_node(name, occasion.before, reported);
        const ServiceNode* node = find_node(name, occasion.intent, reported);
        if (!before || !node) continue;
        ServiceNodeStatus now = status;
        const bool is_elsewhere = before->host != node->host;
        if (std::erase_if(now.ports_without_link, [&](const std::string& port) {
                return is_elsewhere || !has_vnic(*node, port);
            }) == 0)
            continue;
        now.attached = now.ports_without_link.empty();
        changed.push_back(std::move(now));
    }
    for (ServiceNodeStatus& status : changed) reported.put(std::move(status));
    return !changed.empty();
}

}  // namespace weir::chain
