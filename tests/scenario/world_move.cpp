// How a service node moves to another host, as the real controller does it
// (apps/controller/node_move.cpp).
#include <algorithm>

#include "base/check.hpp"
#include "features/chain/planned.hpp"
#include "tests/scenario/world.hpp"

namespace weir::scenario {
namespace {

using chain::MovePhase;
using chain::ServiceNode;
using chain::ServiceNodeMove;

model::Value asking(const char* what) {
    model::Value request = model::Value::object();
    request.set("what", what);
    return request;
}

}  // namespace

const std::string& World::place_of(const ServiceNode& node) const {
    const auto at = plugged_.find(node.name);
    return at != plugged_.end() ? at->second : node.host.name;
}

std::string World::move_node(const std::string& name, const std::string& to,
                             const std::string& step) {
    const auto* found = intent_.find<ServiceNode>(name);
    if (!found) return "there is no such node";
    ServiceNode node = *found;
    const auto* known = reported_.find<ServiceNodeMove>(name);
    ServiceNodeMove move = known ? *known : ServiceNodeMove();
    if (step == "announced") {
        move = {name, node.id, intent_.find(node.service_segment)->svni, ++moves_, node.host.name,
                to,   intent_.find(node.host)->id, intent_.find<model::Host>(to)->id,
                MovePhase::announced};
    } else if (step == "frozen") {
        move.phase = MovePhase::frozen;
    } else if (step == "arriving") {
        move.phase = MovePhase::arriving;
    } else if (step == "carried") {
        return carry(name, host(move.from), host(to));
    } else if (step == "plugged") {
        plugged_[name] = to;
        return {};
    } else if (step == "settled") {
        for (const auto& ref : node.vnics) {
            model::Port port = *intent_.find(ref);
            port.host = model::Ref<model::Host>(to);
            intent_.put(std::move(port));
        }
        if (!node.home) node.home = node.host;
        node.host = model::Ref<model::Host>(to);
        intent_.put(std::move(node));
        return publish();
    } else if (step == "over") {
        reported_.erase<ServiceNodeMove>(name);
        return publish();
    } else {
        return "announced, frozen, carried, plugged, arriving, settled or over";
    }
    reported_.put(std::move(move));
    return publish();
}

// Part by part, who it is first.
std::string World::carry(const std::string& node, FakeHost& from, FakeHost& to) {
    for (std::uint64_t next = 0, turn = 0; turn == 0 || next != 0; ++turn) {
        model::Value question = asking("save-service-node");
        question.set("node", node);
        question.set("from", next);
        const model::Value parts = from.query(question, now_ns_);
        if (parts.size() == 0) return "nothing was saved";
        next = 0;
        for (const model::Value& part : parts.items()) {
            if (part.find("error") != nullptr) return part["error"].as_text();
            const std::uint64_t behind = part["next"].as_uint();
            if (behind != 0) next = next == 0 ? behind : std::min(next, behind);
            if (part["state"].as_text().empty()) continue;
            model::Value change = asking("restore-service-node");
            change.set("state", part["state"]);
            const model::Value answers = to.query(change, now_ns_);
            for (const model::Value& row : answers.items())
                if (row.find("error") != nullptr) return row["error"].as_text();
        }
    }
    return {};
}

}  // namespace weir::scenario
