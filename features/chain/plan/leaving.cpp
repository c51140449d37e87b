#include <algorithm>
#include <vector>

#include "features/chain/feature.hpp"
#include "features/chain/node/node_table.hpp"
#include "features/chain/planned.hpp"
#include "features/chain/resources.hpp"
#include "model/core_resources.hpp"

// Service nodes that operators delete (spec service-plane §5.5, CP-2). First they drain: for
// `drain_s` the plan has them as in maintenance. Then they have no paths any more, but their hosts
// keep them for packets that are under way. Both are told in `reported`, so that a controller that
// starts in between knows. What operators want meanwhile goes before.
namespace weir::chain {
namespace {

using features::Occasion;
using model::Port;
using model::Ref;
using model::Snapshot;

// Paths linger for half a minute after their last use; hosts need a moment to hear of both ends.
constexpr std::uint64_t gone_s = 45;

bool is_same_device(const model::Device& a, const model::Device& b) {
    const auto is_same = [](const std::string& x, const std::string& y) {
        return !x.empty() && x == y;
    };
    return is_same(a.interface, b.interface) || is_same(a.path, b.path) ||
           is_same(a.devargs, b.devargs);
}

// Whether a port that operators want leaves no room for this one.
bool excludes(const Port& wanted, const Port& leaving) {
    if (wanted.name == leaving.name)
        return wanted.host != leaving.host || wanted.service_segment != leaving.service_segment;
    if (wanted.host == leaving.host && is_same_device(wanted.device, leaving.device)) return true;
    if (wanted.service_segment != leaving.service_segment) return false;
    return wanted.mac == leaving.mac ||
           std::ranges::any_of(wanted.addresses, [&](const net::Ip& ip) {
               return std::ranges::find(leaving.addresses, ip) != leaving.addresses.end();
           });
}

bool uses_any(const ServiceNode& node, const std::vector<Ref<Port>>& ports) {
    return std::ranges::any_of(
        node.vnics, [&](const auto& ref) { return std::ranges::find(ports, ref) != ports.end(); });
}

class Leaving {
public:
    Leaving(const Occasion& occasion, Snapshot& reported)
        : occasion_(occasion), intent_(occasion.intent), reported_(reported) {}

    bool run() {
        if (&occasion_.before != &intent_)
            for (const auto& row : occasion_.before.all<ServiceNode>()) notice(row.second);
        std::vector<ServiceNodeLeaving> all;
        for (const auto& row : reported_.all<ServiceNodeLeaving>()) all.push_back(row.second);
        for (const ServiceNodeLeaving& one : all) {
            pass(one);
            if (reported_.find<ServiceNodeLeaving>(one.name)) keep(one.name);
        }
        return changed_;
    }

private:
    void notice(const ServiceNode& node) {
        if (intent_.find<ServiceNode>(node.name)) return;
        // Where its machine is on its way to, nobody knows now. A move that is over is remembered
        // for a while, but the machine is there.
        const auto* move = reported_.find<ServiceNodeMove>(node.name);
        if (move && node.host.name != move->to) return;
        ServiceNode kept = node;
        kept.maintenance = true;  // for new flows, and anchors begin to count drain_s
        const bool drains = node.drain_s != 0;
        reported_.put(ServiceNodeLeaving{node.name, node.id,
                                         drains ? LeavingPhase::draining : LeavingPhase::gone,
                                         occasion_.now_s + (drains ? node.drain_s : gone_s)});
        reported_.put(std::move(kept));
        changed_ = true;
    }

    void pass(ServiceNodeLeaving one) {
        const bool is_gone = one.phase == LeavingPhase::gone;
        const std::uint64_t later = occasion_.now_s + gone_s;
        // Hosts have not said yet what they run; when they have, paths linger once more.
        if (occasion_.is_start && is_gone && one.until_s < later) {
            one.until_s = later;
        } else if (occasion_.now_s < one.until_s) {
            return;
        } else if (is_gone) {
            return forget(one.name);
        } else {
            one.phase = LeavingPhase::gone;
            one.until_s = later;
        }
        reported_.put(std::move(one));
        changed_ = true;
    }

    // It stays with its ports, or, where operators want something else instead, not at all.
    void keep(const std::string& name) {
        const ServiceNode* node = reported_.find<ServiceNode>(name);
        if (!node || !has_room(*node) ||
            !std::ranges::all_of(node->vnics, [&](const auto& ref) { return keep_port(ref); }))
            forget(name);
    }

    bool has_room(const ServiceNode& node) const {
        for (const auto& [name, other] : intent_.all<ServiceNode>())
            if (name == node.name || other.id == node.id || uses_any(other, node.vnics))
                return false;
        return nodes_at(node.host.name, intent_, reported_) <= max_local_nodes &&
               intent_.find(node.host) && intent_.find(node.service) &&
               intent_.find(node.service_segment);
    }

    // The port as operators want it, or else as they wanted it before.
    bool keep_port(const Ref<Port>& ref) {
        const Port* wanted = intent_.find(ref);
        const Port* kept = reported_.find(ref);
        const Port* port = kept ? kept : occasion_.before.find(ref);
        if (!port) return false;
        for (const auto& row : intent_.all<Port>())
            if (excludes(row.second, *port)) return false;
        if (wanted && kept) {
            reported_.erase<Port>(ref.name);
            changed_ = true;
        } else if (!wanted && !kept) {
            reported_.put(*port);
            changed_ = true;
        }
        return true;
    }

    void forget(const std::string& name) {
        if (const ServiceNode* node = reported_.find<ServiceNode>(name))
            for (const auto& ref : std::vector(node->vnics)) reported_.erase<Port>(ref.name);
        reported_.erase<ServiceNode>(name);
        reported_.erase<ServiceNodeLeaving>(name);
        if (!intent_.find<ServiceNode>(name)) reported_.erase<ServiceNodeStatus>(name);
        changed_ = true;
    }

    const Occasion& occasion_;
    const Snapshot& intent_;
    Snapshot& reported_;
    bool changed_ = false;
};

}  // namespace

std::size_t nodes_at(std::string_view host, const Snapshot& intent, const Snapshot& reported) {
    const auto is_there = [&](const auto& row) { return row.second.host.name == host; };
    const auto comes = [&](const auto& row) {
        const ServiceNode* node = intent.find<ServiceNode>(row.first);
        return row.second.to == host && node && node->host.name != host;
    };
    return static_cast<std::size_t>(std::ranges::count_if(intent.all<ServiceNode>(), is_there) +
                                    std::ranges::count_if(reported.all<ServiceNode>(), is_there) +
                                    std::ranges::count_if(reported.all<ServiceNodeMove>(), comes));
}

bool remember_leaving_nodes(const Occasion& occasion, Snapshot& reported) {
    const bool is_quiet =
        &occasion.before == &occasion.intent && reported.all<ServiceNodeLeaving>().empty();
    return !is_quiet && Leaving(occasion, reported).run();
}

}  // namespace weir::chain
