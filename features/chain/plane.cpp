#include "features/chain/plane.hpp"

#include <algorithm>
#include <bit>

#include "dataplane/digest.hpp"
#include "dataplane/overhead.hpp"
#include "features/chain/planned.hpp"
#include "net/smd_codec.hpp"
#include "net/wire.hpp"

namespace weir::chain {
namespace {

using dataplane::CompileInput;
using dataplane::Digest;

// Ports of this host's nodes, by node number and direction.
using LocalPorts = std::unordered_map<std::uint32_t, std::array<std::uint32_t, 2>>;

std::uint32_t open_port(const CompileInput& input, const std::string& name) {
    const dataplane::PortEntry* port = input.ports.find(name);
    return port && port->role == dataplane::PortRole::service ? port->index : net::no_port;
}

// A node counts as attached when all of its ports are open.
LocalPorts local_ports(const CompileInput& input) {
    LocalPorts out;
    for (const auto& row : input.snapshot.all<ServiceNode>()) {
        const ServiceNode& node = row.second;
        if (node.host.name != input.ports.host_name || node.vnics.empty()) continue;
        const std::uint32_t left = open_port(input, node.vnics.front().name);
        const std::uint32_t right = open_port(input, node.vnics.back().name);
        if (left == net::no_port || right == net::no_port) continue;
        out[node.id] = {left, right};
    }
    return out;
}

Hop make_hop(const CompileInput& input, const LocalPorts& local, const PathHop& planned) {
    Hop hop;
    hop.node = planned.node;
    hop.node_id = planned.node_id;
    hop.host_id = planned.host_id;
    hop.mac = planned.mac;
    hop.action = planned.action;
    hop.can_decrement_si = planned.can_decrement_si;
    const auto* status = input.snapshot.find<ServiceNodeStatus>(planned.node);
    hop.attached = !status || status->node_id != planned.node_id || status->attached;
    hop.partner_state = planned.partner_state;
    hop.judged = planned.mode != NodeMode::aware || planned.liveness_support;
    const auto ports = local.find(planned.node_id);
    if (ports != local.end()) {  // whatever the path says yet: it may have come here (MB-9)
        hop.host_id = input.ports.host_id;
        hop.port = ports->second;
    }
    hop.reachable = hop.host_id == input.ports.host_id || input.ports.peer(hop.host_id);
    const auto* move = input.snapshot.find<ServiceNodeMove>(planned.node);
    if (move && move->to_id != input.ports.host_id) hop.moving_to = move->to_id;
    return hop;
}

void measure(Path& path, const ServicePath& planned, std::uint32_t here, const std::string& rack) {
    for (const auto* hops : {&planned.forward, &planned.reverse}) {
        std::uint32_t at = here;
        for (const PathHop& hop : *hops) {
            if (hop.action == HopAction::copy) continue;
            path.crossings = static_cast<std::uint16_t>(path.crossings + (hop.host_id != at));
            path.nodes_here = static_cast<std::uint16_t>(path.nodes_here + (hop.host_id == here));
            const bool near = !rack.empty() && hop.rack == rack;
            path.nodes_in_rack = static_cast<std::uint16_t>(path.nodes_in_rack + near);
            at = hop.host_id;
        }
        path.crossings = static_cast<std::uint16_t>(path.crossings + (at != here));
    }
}

std::uint32_t mtu_of(const std::vector<PathHop>& hops, std::uint32_t svni,
                     const dataplane::Topology& here) {
    std::uint32_t mtu = 0xffff;
    bool leaves = false;
    for (const PathHop& hop : hops) {
        if (hop.action == HopAction::copy) continue;
        mtu = std::min(mtu, hop.mtu);
        leaves |= hop.host_id != here.host_id;
    }
    const dataplane::SegmentEntry* segment = here.segment(svni);
    if (!leaves || !segment || here.underlay_port == net::no_port) return mtu;
    const std::uint32_t overhead = dataplane::service_overhead(here, *segment);
    return std::min(mtu, here.underlay_mtu > overhead ? here.underlay_mtu - overhead : 0);
}

// Of the busiest node that packets pass (PS-6).
std::uint32_t load_of(const CompileInput& input, const ServicePath& planned) {
    std::uint32_t load = 0;
    for (const auto* hops : {&planned.forward, &planned.reverse})
        for (const PathHop& hop : *hops)
            if (const auto* status = input.snapshot.find<ServiceNodeStatus>(hop.node);
                status && hop.action == HopAction::redirect)
                load = std::max(load, status->load);
    return load;
}

Path make_path(const CompileInput& input, const LocalPorts& local, const ServicePath& planned,
               const std::string& rack) {
    Path path;
    path.name = planned.name;
    path.chain = planned.chain;
    path.sci = planned.sci;
    path.failure_policy = planned.failure_policy;
    path.spi = planned.spi;
    path.svni = planned.svni;
    path.epoch = planned.epoch;
    path.maintenance = planned.maintenance;
    path.drain_s = planned.drain_s;
    path.weight = planned.weight;
    path.above_limits = planned.above_limits;
    path.load = load_of(input, planned);
    for (const PathHop& hop : planned.forward) path.hops[0].push_back(make_hop(input, local, hop));
    for (const PathHop& hop : planned.reverse) path.hops[1].push_back(make_hop(input, local, hop));
    path.mtu = {mtu_of(planned.forward, planned.svni, input.ports),
                mtu_of(planned.reverse, planned.svni, input.ports)};
    measure(path, planned, input.ports.host_id, rack);
    return path;
}

std::uint8_t privileges_of(const CompileInput& input, const model::Ref<ServiceProfile>& ref) {
    const ServiceProfile* profile = input.snapshot.find(ref);
    const Service* service = profile ? input.snapshot.find(profile->service) : nullptr;
    return service ? privilege_bits(*service) : 0;
}

// Each hop realises the profile of its place.
void add_privileges(const CompileInput& input, const ServiceChain& planned, Path& path) {
    std::vector<std::uint8_t> forward, reverse;
    for (const auto& ref : planned.forward) forward.push_back(privileges_of(input, ref));
    for (const auto& ref : planned.reverse) reverse.push_back(privileges_of(input, ref));
    if (reverse.empty()) reverse.assign(forward.rbegin(), forward.rend());
    for (std::size_t i = 0; i < std::min(forward.size(), path.hops[0].size()); ++i)
        path.hops[0][i].privileges = forward[i];
    for (std::size_t i = 0; i < std::min(reverse.size(), path.hops[1].size()); ++i)
        path.hops[1][i].privileges = reverse[i];
}

struct Paths {
    std::vector<Path> used, passing;
};

Paths make_paths(const CompileInput& input) {
    const LocalPorts local = local_ports(input);
    const model::Host* self = input.snapshot.find<model::Host>(input.ports.host_name);
    const std::string rack = self ? self->rack : std::string();
    Paths out;
    for (const auto& [name, planned] : input.snapshot.all<ServicePath>()) {
        const bool used = input.snapshot.find<ServicePathUse>(name) &&
                          input.snapshot.find<ServiceChain>(planned.chain);
        (used ? out.used : out.passing).push_back(make_path(input, local, planned, rack));
    }
    return out;
}

bool takes_part(const CompileInput& input, const model::ServiceSegment& segment) {
    return segment.hosts.empty() || std::ranges::any_of(segment.hosts, [&](const auto& host) {
               return host.name == input.ports.host_name;
           });
}

// What a host that takes no part in the segment sent there would be dropped (UNKNOWN_TEP).
void cut_off(Path& path, std::uint32_t this_host) {
    for (auto& hops : path.hops)
        for (Hop& hop : hops) hop.reachable &= hop.host_id == this_host;
}

// Where paths are made on demand, packets wait for them if nothing else is said (PS-10).
bool holds_by_default(const ServiceChain& chain) {
    return chain.paths == PathMode::on_demand && chain.hold_packets == 0;
}

std::uint16_t hold_packets_of(const ServiceChain& chain) {
    return holds_by_default(chain) ? on_demand_hold_packets : chain.hold_packets;
}

std::uint64_t hold_ns_of(const ServiceChain& chain) {
    return (holds_by_default(chain) ? on_demand_hold_ms : chain.hold_ms) * std::uint64_t{1'000'000};
}

std::vector<Chain> make_chains(const CompileInput& input, std::vector<Path> used) {
    std::unordered_map<std::uint32_t, std::vector<Path>> paths;
    for (Path& path : used) paths[path.sci].push_back(std::move(path));
    std::vector<Chain> chains;
    for (const auto& [name, planned] : input.snapshot.all<ServiceChain>()) {
        const model::ServiceSegment* plane = input.snapshot.find(planned.service_segment);
        Chain chain{name,
                    planned.sci,
                    plane ? plane->svni : 0,
                    planned.failure_policy,
                    planned.path_selection,
                    planned.number,
                    planned.duplicate_policy,
                    planned.reselect_midflow,
                    planned.repull_bypassed,
                    hold_packets_of(planned),
                    hold_ns_of(planned),
                    planned.paths == PathMode::on_demand,
                    planned.latency_limit_us,
                    planned.loss_limit_permille,
                    planned.limit_action == LatencyAction::drain,
                    std::move(paths[planned.sci])};
        std::ranges::sort(chain.paths, {}, &Path::spi);
        for (Path& path : chain.paths) {
            path.initial_ttl = planned.initial_ttl;
            add_privileges(input, planned, path);
        }
        if (plane && !takes_part(input, *plane))
            for (Path& path : chain.paths) cut_off(path, input.ports.host_id);
        chains.push_back(std::move(chain));
    }
    std::ranges::sort(chains, {}, &Chain::sci);
    return chains;
}

// Whom the new host of a node tells that it is there.
std::vector<std::uint32_t> others_of(const Plane& plane, std::uint32_t svni,
                                     const CompileInput& input) {
    std::vector<std::uint32_t> out;
    for (const auto& row : input.snapshot.all<model::Host>())
        if (row.second.id != plane.host_id && plane.in_span(svni, row.second.id) &&
            input.ports.peer(row.second.id))
            out.push_back(row.second.id);
    std::ranges::sort(out);
    return out;
}

std::vector<Move> make_moves(const Plane& plane, const CompileInput& input) {
    const LocalPorts local = local_ports(input);
    std::vector<Move> moves;
    for (const auto& [name, planned] : input.snapshot.all<ServiceNodeMove>()) {
        if (moves.size() == max_moves) break;
        Move move{planned.node_id, planned.svni, planned.number, planned.from_id,
                  planned.to_id,   planned.name, false,          {}};
        if (move.to == plane.host_id && local.contains(move.node_id)) {
            move.present = true;
            move.hosts = others_of(plane, move.svni, input);
        }
        moves.push_back(std::move(move));
    }
    std::ranges::sort(moves, {}, &Move::node_id);
    return moves;
}

std::vector<LocalVnic> make_vnics(const CompileInput& input) {
    std::vector<LocalVnic> out(input.ports.ports.size());
    for (const auto& row : input.snapshot.all<ServiceNode>()) {
        if (row.second.host.name != input.ports.host_name) continue;
        for (const auto& ref : row.second.vnics)
            if (const std::uint32_t port = open_port(input, ref.name); port != net::no_port)
                out[port] = {row.second.id, node_mac(row.second.id)};
    }
    return out;
}

}  // namespace

const Path* Chain::path(std::uint32_t spi) const {
    const auto at = std::ranges::lower_bound(paths, spi, {}, &Path::spi);
    return at != paths.end() && at->spi == spi ? &*at : nullptr;
}

std::uint64_t Chain::digest(std::uint32_t this_host) const {
    Digest d;
    d.add(sci).add(svni).add(static_cast<std::uint64_t>(failure_policy));
    d.add(static_cast<std::uint64_t>(path_selection)).add(reselect_midflow).add(repull_bypassed);
    d.add(static_cast<std::uint64_t>(duplicate_policy)).add(paths.size());
    for (const Path& path : paths) {
        d.add(path.spi).add(path.epoch).add(path.maintenance);
        for (const auto& hops : path.hops)
            for (const Hop& hop : hops) d.add(hop.node_id).add(is_ready(hop, this_host));
    }
    return d.value64();
}

void NextHopTable::put(std::uint64_t k, const NextHop& next) {
    std::size_t at = slot(k);
    while (entries_[at].key != 0 && entries_[at].key != k) at = (at + 1) & (entries_.size() - 1);
    entries_[at] = {k, next};
}

void NextHopTable::build(const Plane& plane) {
    const auto each_hop = [&](const auto& act) {
        const auto of = [&](const std::vector<Path>& paths) {
            for (const Path& path : paths)
                for (const bool reverse : {false, true})
                    for (const Hop& hop : path.hops[reverse]) act(path, reverse, hop);
        };
        of(plane.passing);
        for (const Chain& chain : plane.chains) of(chain.paths);
    };
    size_ = 0;
    each_hop([&](auto&&...) { ++size_; });
    entries_.assign(std::bit_ceil(4 * size_ + 2), Entry{});
    each_hop([&](const Path& path, bool reverse, const Hop& hop) {
        const auto& hops = path.hops[reverse];
        net::Smd smd;
        smd.spi = path.spi;
        smd.si = static_cast<std::uint8_t>(hops.size() - static_cast<std::size_t>(&hop - &hops[0]));
        smd.reverse = reverse;
        put(key(path.svni, smd, path.epoch), {&hop, &path});
        put(key(path.svni, smd, any_epoch), {&hop, &path});
    });
}

const Chain* Plane::chain(std::uint32_t sci) const {
    const auto at = std::ranges::lower_bound(chains, sci, {}, &Chain::sci);
    return at != chains.end() && at->sci == sci ? &*at : nullptr;
}

bool Plane::in_span(std::uint32_t svni, std::uint32_t host) const {
    const auto span = spans.find(svni);
    if (span == spans.end()) return false;
    return span->second.empty() || std::ranges::binary_search(span->second, host);
}

bool Plane::is_on_segment(std::uint32_t svni, const net::Smd& smd) const {
    if (const Chain* known = chain(smd.sci)) return known->svni == svni;
    const Path* path = next_hops.path(svni, smd);
    return path && path->sci == smd.sci;
}

std::shared_ptr<const Plane> compile_plane(const CompileInput& input,
                                           const std::shared_ptr<const Plane>& previous) {
    auto plane = std::make_shared<Plane>();
    plane->host_id = input.ports.host_id;
    Paths paths = make_paths(input);
    plane->chains = make_chains(input, std::move(paths.used));
    plane->passing = std::move(paths.passing);
    plane->vnics = make_vnics(input);
    for (const auto& row : input.snapshot.all<model::ServiceSegment>()) {
        std::vector<std::uint32_t>& span = plane->spans[row.second.svni];
        for (const auto& ref : row.second.hosts)
            if (const model::Host* host = input.snapshot.find(ref)) span.push_back(host->id);
        std::ranges::sort(span);
        if (row.second.is_signed()) plane->signed_svnis.push_back(row.second.svni);
    }
    std::ranges::sort(plane->signed_svnis);
    plane->moves = make_moves(*plane, input);
    if (previous && plane->same_as(*previous)) return previous;
    plane->next_hops.build(*plane);
    return plane;
}

bool may_rewrite(const Path& path) {
    for (const auto& hops : path.hops)
        for (const Hop& hop : hops)
            if (hop.privileges & bit(Privilege::rewrite_headers)) return true;
    return false;
}

bool is_usable(const Path& path, std::uint32_t this_host, const dataplane::HealthBoard& health) {
    if (health.failed_paths().contains(path.svni, path.spi)) return false;
    for (const auto& hops : path.hops) {
        const Hop *first = nullptr, *last = nullptr;
        for (const Hop& hop : hops) {
            if (hop.action != HopAction::redirect) continue;
            if (!is_up(hop, this_host, health)) return false;
            if (!first) first = &hop;
            last = &hop;
        }
        for (const Hop* end : {first, last})
            if (end && !is_next(*end, this_host, health)) return false;
    }
    return true;
}

}  // namespace weir::chain
