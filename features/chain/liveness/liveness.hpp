#pragma once
#include <array>
#include <string_view>
#include <vector>

#include "features/chain/node/load.hpp"
#include "features/chain/node/loss_watch.hpp"
#include "features/chain/node/node_memory.hpp"
#include "features/chain/node/node_table.hpp"
#include "features/chain/orders/ctrl.hpp"

namespace weir::model {
class Value;
}

namespace weir::chain {

// Judges whether the service nodes of this host live, tells everybody, and hears what other hosts
// and the controller say of theirs (spec service-plane LV-2, LV-4, LV-6 … LV-8).
//
// The polling worker of a node's first port asks and judges. Stands behind Arrive in the service
// context, where it takes the control messages that concern nodes as a whole.
struct Liveness {
    static constexpr std::string_view name = "liveness";

    struct Tables {
        NodeTable nodes;
        // To whom NODE_DOWN goes, for each node: the other hosts of its service segment, by id.
        std::vector<std::vector<std::uint32_t>> hosts;
        // Nodes whose messages are believed, by id: those on paths that this host knows.
        struct Issuer {
            std::uint32_t node_id = 0, host_id = 0, svni = 0;
            std::uint32_t moving_to = 0;  // another host that may speak for it (MB-9); 0: none
            friend bool operator==(const Issuer&, const Issuer&) = default;
        };
        std::vector<Issuer> issuers;
        // The paths that this host knows, by service segment and SPI, with their nodes in order of
        // number: who may speak of a path, and which ones a dead node is on (PS-12).
        struct KnownPath {
            std::uint32_t svni = 0, spi = 0;
            std::uint8_t epoch = 0;
            std::vector<std::uint32_t> nodes;
            friend bool operator==(const KnownPath&, const KnownPath&) = default;
        };
        std::vector<KnownPath> paths;
        // The controller's word on nodes that are not judged here.
        struct Status {
            std::uint32_t node_id = 0;
            bool up = true;
            std::uint64_t generation = 0;
            friend bool operator==(const Status&, const Status&) = default;
        };
        std::vector<Status> statuses;
        std::uint64_t status_digest = 0;
        // Numbers of all nodes above, in order: what is known of others is forgotten some day.
        std::vector<std::uint32_t> known;

        const Issuer* issuer(std::uint32_t node_id) const;
        const KnownPath* path(std::uint32_t svni, std::uint32_t spi) const;
        friend bool operator==(const Tables&, const Tables&) = default;
    };

    struct State {
        // A NODE_DOWN or OVERLOAD on its way to the hosts of a segment.
        struct Publication {
            std::uint32_t node_id = 0;  // 0: none
            std::uint32_t sequence = 0;
            CtrlOp op = CtrlOp::node_down;
            std::uint16_t valid_s = 0;
            std::uint32_t parameter = 0;
            std::uint32_t serial = 0;  // of what the node said
            std::size_t next = 0;      // index into Tables::hosts of the node
        };
        struct Bucket {  // messages of one issuer (CT-6)
            std::uint64_t tokens = 0, filled_ns = 0;
        };
        struct Watch {  // for packets that do not come back
            std::uint32_t node_id = 0;  // 0: not judged by this worker
            std::uint64_t began_ns = 0;
            bool stated = false;  // how the node fares, though nothing may have changed
            std::uint64_t looked_ns = 0, delivered = 0, bytes = 0;
            NodeLoad load;
            LossWatch loss;
            std::uint64_t lossy_told_ns = 0;
            std::uint64_t overload_ns = 0;  // when the last OVERLOAD was told
            std::uint32_t overload = 0;     // its serial number
            std::uint64_t verdict_told_ns = 0;  // last report of it
        };
        NodeBinding binding;
        std::array<Publication, 2 * max_local_nodes> publications{};  // in any order
        std::array<Watch, max_local_nodes> watches{};
        std::array<Bucket, dataplane::HealthBoard::capacity> buckets{};
        std::uint64_t watched_digest = 0;  // of the table that the watches are by
        std::uint64_t status_digest = 0;  // of the statuses applied last
        std::uint64_t swept_ns = 0;
        std::uint64_t messages_sent = 0, messages_applied = 0, stale_applied = 0;
        std::uint64_t overloads_sent = 0, overloads_applied = 0;
        std::uint64_t stale_outdated = 0;  // about a version of the path that we do not use
        std::uint64_t unheard = 0, unlisted = 0;  // nodes without room among those heard of, judged
        std::uint64_t unfailed = 0;               // paths without room among those that failed
        void open(const dataplane::OpenInput& input) { binding.open(input); }
        // Nodes come and go for months, and what is said of them has room for 1024: those that have
        // not been known for long make room. Costs nothing but once a minute.
        void forget_gone(const Tables& tables, dataplane::Emit& emit);
    };

    enum class Exit : std::uint8_t {
        bad_ctrl,        // malformed, or of node scope with a flow's metadata
        unsupported_op,  // anything but NODE_DOWN, STALE_PATH and OVERLOAD
        // No node on a path that this host knows, on this service segment; or not on the path that
        // it speaks of.
        unknown_issuer,
        wrong_host,  // not from the host that the issuer is on
        replay,
        rate_limit,
        count_
    };
    static constexpr std::array<std::string_view, 6> exit_names = {
        "ctrl.bad_ctrl", "ctrl.unsupported_op", "ctrl.unknown_issuer", "ctrl.wrong_host",
        "REPLAY",        "RATE_LIMIT"};

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous);
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    static void tick(const Tables&, State&, dataplane::Exits<Exit>&, dataplane::Emit&);
    static void counters(const Tables&, const State&, dataplane::CounterSink&);
    // "nodes": how the nodes of this host fare.
    static bool query(std::string_view what, const Tables&, State&, dataplane::Emit&,
                      model::Value& rows);
};
static_assert(dataplane::Stage<Liveness>);

}  // namespace weir::chain
