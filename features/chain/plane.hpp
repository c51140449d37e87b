#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/limits.hpp"
#include "dataplane/stage.hpp"
#include "features/chain/node/moves.hpp"
#include "features/chain/words.hpp"
#include "net/smd.hpp"

// What this host knows of chains and paths, compiled: the noun that anchors, resolvers and arrivals
// share. No resources in sight.
namespace weir::chain {

// One node of a path, seen from this host.
struct Hop {
    std::string node;
    std::uint32_t node_id = 0;
    std::uint32_t host_id = 0;
    net::Mac mac;
    HopAction action = HopAction::redirect;
    std::uint8_t privileges = 0;  // of its service, bits by Privilege
    bool judged = true;           // somebody asks it whether it lives (LV-2, LV-3)
    bool reachable = true;        // its host has a tunnel endpoint that this host knows
    bool attached = true;         // its ports have links, as its host says (LV-3)
    PartnerState partner_state = PartnerState::healthy;  // as its manager says (OBJ-6)
    bool can_decrement_si = false;
    // If the node is here: the port that packets of [forward, reverse] go to.
    std::array<std::uint32_t, 2> port{net::no_port, net::no_port};
    std::uint32_t moving_to = 0;  // host that the node is on its way to, if it is not this one

    friend bool operator==(const Hop&, const Hop&) = default;
};

struct Path {
    std::string name;
    std::uint32_t spi = 0;
    std::uint32_t svni = 0;
    std::string chain;
    std::uint32_t sci = 0;
    std::uint8_t epoch = 0;
    FailurePolicy failure_policy = FailurePolicy::block;
    bool maintenance = false;
    std::uint32_t drain_s = 0;  // how long flows may stay in maintenance; 0: for ever
    std::uint32_t weight = 0;
    std::uint8_t initial_ttl = net::Smd{}.ttl;  // of packets that flows of this host put on it
    std::uint32_t above_limits = 0;        // that its nodes do not keep, for new flows to avoid
    std::uint32_t load = 0;                // of its busiest node, in thousandths
    std::array<std::vector<Hop>, 2> hops;  // forward, reverse
    // Largest IP packet of a guest that comes through, [forward, reverse]; copies do not count.
    std::array<std::uint32_t, 2> mtu{0xffff, 0xffff};
    // Distance from this host, both directions together (OBJ-13, PS-3). Copies travel by
    // themselves.
    std::uint16_t crossings = 0;  // changes of host, legs from and to this host included
    std::uint16_t nodes_here = 0;
    std::uint16_t nodes_in_rack = 0;

    friend bool operator==(const Path&, const Path&) = default;
};

struct Chain {
    std::string name;
    std::uint32_t sci = 0;
    std::uint32_t svni = 0;
    FailurePolicy failure_policy = FailurePolicy::block;
    PathSelection path_selection = PathSelection::any;
    FlowNumbers number = FlowNumbers::hash;
    DuplicatePolicy duplicate_policy = DuplicatePolicy::once;
    bool reselect_midflow = true;
    bool repull_bypassed = false;
    std::uint16_t hold_packets = 0;      // of a flow, that may wait for a usable path,
    std::uint64_t hold_ns = 0;           // and how long
    bool on_demand = false;              // paths come when they are asked for
    std::uint32_t latency_limit_us = 0;  // of a path as this anchor sees it; 0: none
    std::uint32_t loss_limit = 0;        // thousandths
    bool drain = false;                  // new flows avoid paths above the limits
    std::vector<Path> paths;             // that flows of this host may have, by SPI

    const Path* path(std::uint32_t spi) const;
    // Of everything but weights, which existing flows do not care for (PS-7). Equal on all hosts
    // where the chain is equal and has its nodes: a flow's decision moves with its port.
    std::uint64_t digest(std::uint32_t this_host) const;
    friend bool operator==(const Chain&, const Chain&) = default;
};

struct Plane;

// The node that must process a packet carrying this index (OBJ-15).
struct NextHop {
    const Hop* hop = nullptr;
    const Path* path = nullptr;
};

// (SVNI, SPI, epoch, SI, direction) → next hop: open addressing, built once. Two epochs of a path
// stand side by side while packets of the older one are on their way (CP-6).
class NextHopTable {
public:
    void build(const Plane& plane);
    const NextHop* find(std::uint32_t svni, const net::Smd& smd) const {
        return look(key(svni, smd, smd.path_epoch));
    }
    // Whether the path is known with this index, under whatever epoch: why find() found nothing.
    bool knows(std::uint32_t svni, const net::Smd& smd) const {
        return of_any_epoch(svni, smd) != nullptr;
    }
    const NextHop* of_any_epoch(std::uint32_t svni, const net::Smd& smd) const {
        return look(key(svni, smd, any_epoch));
    }
    // The path itself, whatever index and epoch the packet carries. Null: nobody knows it here.
    const Path* path(std::uint32_t svni, net::Smd smd) const {
        smd.si = 1;  // every path has it, in both directions
        const NextHop* last = look(key(svni, smd, any_epoch));
        return last ? last->path : nullptr;
    }
    // What find() looks for, as one number; 0: no path can have it.
    static std::uint64_t number_of(std::uint32_t svni, const net::Smd& smd) {
        return key(svni, smd, smd.path_epoch);
    }
    std::size_t size() const { return size_; }

private:
    static constexpr std::uint32_t any_epoch = 0x100;
    struct Entry {
        std::uint64_t key = 0;  // 0: empty
        NextHop next;
    };
    // An index that no path can have leads to key 0, which nothing is stored under.
    static std::uint64_t key(std::uint32_t svni, const net::Smd& smd, std::uint32_t epoch) {
        if (smd.si > limits::max_hops) return 0;
        return std::uint64_t{svni & 0xffffff} << 40 | std::uint64_t{smd.spi & 0xffffff} << 16 |
               std::uint64_t{1} << 15 | std::uint64_t{epoch} << 5 | std::uint64_t{smd.si} << 1 |
               (smd.reverse ? 1u : 0u);
    }
    const NextHop* look(std::uint64_t wanted) const {
        if (wanted == 0 || entries_.empty()) return nullptr;
        for (std::size_t i = slot(wanted);; i = (i + 1) & (entries_.size() - 1)) {
            if (entries_[i].key == wanted) return &entries_[i].next;
            if (entries_[i].key == 0) return nullptr;
        }
    }
    void put(std::uint64_t k, const NextHop& next);
    std::size_t slot(std::uint64_t k) const {
        return static_cast<std::size_t>(k * 0x9e3779b97f4a7c15ull >> 20) & (entries_.size() - 1);
    }
    std::vector<Entry> entries_;  // a power of two, at most half full
    std::size_t size_ = 0;
};

// A node of this host: the ports it sends from, so that a packet's last hop is known.
struct LocalVnic {
    std::uint32_t node_id = 0;  // 0: the port is no node's
    net::Mac mac;               // NMAC
    friend bool operator==(const LocalVnic&, const LocalVnic&) = default;
};

struct Plane {
    std::uint32_t host_id = 0;
    std::vector<Chain> chains;     // by SCI
    std::vector<Path> passing;     // not for flows of this host: only packets on their way, by name
    std::vector<LocalVnic> vnics;  // by port index
    // Hosts that take part in a service segment, sorted; empty: all.
    std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> spans;
    // Service segments whose messages nobody can forge (SEC-14), sorted.
    std::vector<std::uint32_t> signed_svnis;
    std::vector<Move> moves;  // of nodes, by number of the node
    NextHopTable next_hops;   // points into `chains` and `passing`

    Plane() = default;
    Plane(const Plane&) = delete;
    Plane& operator=(const Plane&) = delete;

    const Chain* chain(std::uint32_t sci) const;
    bool in_span(std::uint32_t svni, std::uint32_t host) const;
    // Whether a packet of the service segment can be on a chain of it (R1, SEC-5). Of a chain that
    // is gone from here, paths stand until the last packet has come back.
    bool is_on_segment(std::uint32_t svni, const net::Smd& smd) const;
    // Null: the node is on no way.
    const Move* move(std::uint32_t node_id) const {
        const auto at = std::ranges::lower_bound(moves, node_id, {}, &Move::node_id);
        return at != moves.end() && at->node_id == node_id ? &*at : nullptr;
    }
    bool is_signed(std::uint32_t svni) const {
        return std::ranges::binary_search(signed_svnis, svni);
    }
    const LocalVnic* vnic(std::uint32_t port) const {
        return port < vnics.size() && vnics[port].node_id != 0 ? &vnics[port] : nullptr;
    }
    bool same_as(const Plane& other) const {
        return host_id == other.host_id && chains == other.chains && passing == other.passing &&
               vnics == other.vnics && spans == other.spans && signed_svnis == other.signed_svnis &&
               moves == other.moves;
    }
};

// The previous plane if nothing in it would change.
std::shared_ptr<const Plane> compile_plane(const dataplane::CompileInput& input,
                                           const std::shared_ptr<const Plane>& previous);

// Whether packets can be given to the node at all, were it up: its machine is there, and a tunnel
// to its host, or its port here. Which port that is, is this host's own affair.
inline bool is_placed(const Hop& hop, std::uint32_t this_host) {
    return hop.reachable && hop.attached &&
           (hop.host_id != this_host || hop.port[0] != net::no_port);
}

// What is intended and attached (OBJ-6: active_mp, active_cp); whether it lives comes on top.
inline bool is_ready(const Hop& hop, std::uint32_t this_host) {
    return hop.partner_state == PartnerState::healthy && is_placed(hop, this_host);
}

// Whether the node may be given packets now.
inline bool is_up(const Hop& hop, std::uint32_t this_host, const dataplane::HealthBoard& health) {
    return is_ready(hop, this_host) && health.is_up(hop.node_id);
}

// Whether a node of the path may change addresses and ports.
bool may_rewrite(const Path& path);

// … and whether packets from here reach it, as far as this host can tell (LV-9).
inline bool is_next(const Hop& hop, std::uint32_t this_host, const dataplane::HealthBoard& health) {
    return is_up(hop, this_host, health) &&
           (hop.host_id == this_host || health.host_is_up(hop.host_id));
}

// OBJ-14: every node that packets pass, in both directions, is up. Copies never count. For this
// host as the anchor: its own legs to and from the path stand (LV-9), and nobody on the way has
// just said that the path is broken (LV-8).
bool is_usable(const Path& path, std::uint32_t this_host, const dataplane::HealthBoard& health);

}  // namespace weir::chain
