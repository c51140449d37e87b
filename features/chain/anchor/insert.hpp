#pragma once
#include <array>
#include <string_view>
#include <vector>

#include "features/chain/anchor/decide.hpp"
#include "features/chain/anchor/drain.hpp"
#include "features/chain/anchor/insert_tables.hpp"
#include "features/chain/anchor/path_times.hpp"
#include "features/chain/anchor/path_wanted.hpp"
#include "features/chain/anchor/waiting.hpp"
#include "features/chain/node/counter_map.hpp"
#include "features/chain/orders/order_book.hpp"

namespace weir::model {
class Value;
}

namespace weir::chain {

// Decides once per flow whether and where it is inserted into the service plane, and sends its
// packets there (spec §3.4, §3.7). Stands in both guest contexts: EGRESS is the source's call
// point, INGRESS the destination's.
//
// Takes packets that are redirected; takes itself off flows that have no services.
struct Insert {
    static constexpr std::string_view name = "insert";
    using Tables = InsertTables;
    enum class Exit : std::uint8_t {
        no_active_path,
        mtu,
        verdict_drop,   // a node ordered it
        verdict_reset,  // … and that the sender is told
        failure_reset,  // the chain's failure policy, no path being usable
        queue_full,     // as many packets of the flow wait for a path as may
        hold_gone,      // its flow or port went while it waited
        ct_full,        // there is no room for its record, and its chain does not let it pass
        table_full,     // there is no room for its record, and it has no chain
        orphan,         // the first fragment did not come, and its chain does not let it pass
        count_
    };
    static constexpr std::array<std::string_view, 10> exit_names = {
        "NO_ACTIVE_PATH",   "MTU",           "VERDICT_DROP",
        "VERDICT_RESET",    "FAILURE_RESET", "QUEUE_FULL",
        "insert.hold_gone", "CT_FULL",       "flow.table_full",
        "fragments.orphan"};

    // What operators were told last of a path or chain: is there a way?
    enum class Told : std::uint8_t { nothing, good, bad };

    // Of one port at one call point (TM-1). Packets of flows without services are counted until the
    // stage is off their path.
    struct PortCounters {
        std::uint64_t packets = 0, bytes = 0;
        std::uint64_t ct_hit = 0, ct_miss = 0, rule_lookup = 0;
        std::uint64_t redirected = 0, no_service = 0, foreign = 0, bypass_fail = 0, bypass_l2 = 0;
        std::uint64_t no_active_path = 0, midflow = 0;
        std::uint64_t ct_full = 0;                              // let pass without a record
        std::uint64_t offloaded_allow = 0, offloaded_drop = 0;  // by orders of nodes
    };
    struct RuleCounters {
        std::uint64_t hits = 0;                // times rules were asked and this one was the answer
        std::uint64_t sessions = 0;            // flows it gave a decision to
        std::uint64_t packets = 0, bytes = 0;  // redirected
        std::uint64_t unknown_chain = 0;       // times nobody knew the chain (OBJ-20)
        std::uint64_t last_hit_ns = 0;
    };
    struct ChainCounters {
        std::uint64_t flows = 0;           // put on a path for the first time
        std::uint64_t path_switch = 0;     // moved from a path to another
        std::uint64_t bypass_engaged = 0;  // flows that went on without services
        std::uint64_t blocked = 0;         // packets dropped for want of a path
        std::uint64_t reset = 0;           // flows ended at both ends
        std::uint64_t held = 0;            // packets that waited for a path
        std::uint64_t held_served = 0, held_late = 0, held_refused = 0;
        // What orders of nodes keep from the chain's services (CT-10): all, dropped, some of them.
        std::array<std::uint64_t, 3> offloaded_packets{}, offloaded_bytes{};
        PathAsked asked;                            // where paths come on demand
        std::uint64_t told_ns = 0, differs_ns = 0;  // 0: never; it is as was told
        Told told = Told::nothing;
    };
    struct PathCounters {
        std::uint64_t new_flows = 0, switched_in = 0, switched_out = 0;
        std::array<std::uint64_t, 2> packets{}, bytes{};  // forward, reverse
        Told told = Told::nothing;
    };
    struct News {  // of worker 0
        std::uint64_t looked_ns = 0;
        const Plane* plane = nullptr;  // as it was then, with
        std::uint32_t generation = 0;  // the health board
        bool pending = false;          // something is to be told later
    };
    struct State {
        State();
        std::vector<PortCounters> ports;  // 2 × port index + call point
        CounterMap<RuleCounters> rules;
        CounterMap<ChainCounters> chains;
        CounterMap<PathCounters> paths;  // by SVNI << 24 | SPI
        OrderBook book;                  // of Orders: what stands when a flow changes its path
        Drains drains;                   // of worker 0
        Draws draws;                     // numbers of flows that get them by chance
        WaitingRoom waiting;             // packets without a path
        std::uint64_t fragmented = 0;    // too large for their path, cut
        std::uint64_t logged_second_ns = 0;
        std::uint32_t logged = 0;
        PathTimes times;                                 // of watched flows
        PathWatch watch;                                 // against the limits of their chains
        News news;                                       // of paths and chains, for operators
        const dataplane::HealthBoard* health = nullptr;  // for worker 0, who tells of it
        void open(const dataplane::OpenInput& input) {
            if (input.worker == 0) health = input.health;
            draws.begin(input.worker);
            book.open(input);
            times.open(input);
        }
    };

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous);
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    static void tick(const Tables&, State&, dataplane::Exits<Exit>&, dataplane::Emit&);
    // What waits here is decided anew in the engine that has its port now.
    static void leave(State&, dataplane::Exits<Exit>&, dataplane::Emit&);
    static void counters(const Tables&, const State&, dataplane::CounterSink&);
    static void shared_counters(const Tables&, const State&, dataplane::CounterSink&);

    // What run() does for a flow that begins and has no services, in two halves: whether that is so
    // and no rule says it; then what is remembered and counted of a packet of `bytes`.
    static bool passes(const Tables&, std::uint32_t port, const net::Tuple& initiator,
                       bool outgoing);
    // Whether that is so in any case, and the bits of a tuple that the rules depend on else.
    static bool is_exempt(const net::Tuple& initiator) { return chain::is_exempt(initiator); }
    static net::Tuple asked(const Tables& tables, std::uint32_t port) {
        return tables.rules.asked(port);
    }
    // … and for a flow without services whose decision stands.
    static bool still_passes(const Tables&, std::uint32_t port, const flow::FlowPair&);
    static void pass_on(State&, std::uint32_t port, bool outgoing, std::uint32_t bytes);
    // All that is remembered and counted of flows that begin; valid as long as the tables are.
    struct Passage {
        PortCounters* counters = nullptr;
        std::uint32_t revision = 0;
    };
    static Passage passage(const Tables& tables, State& state, std::uint32_t port, bool outgoing) {
        const CallPoint point = outgoing ? CallPoint::egress : CallPoint::ingress;
        return {&state.ports[2 * port + static_cast<unsigned>(point)], tables.revision(port)};
    }
    static void pass(const Passage& passage, std::uint32_t bytes, flow::FlowPair& pair,
                     flow::Table& flows) {
        PortCounters& counters = *passage.counters;
        ++counters.packets;
        counters.bytes += bytes;
        ++counters.ct_miss;
        ++counters.rule_lookup;
        ++counters.no_service;
        flows.set_no_services(pair, passage.revision);
    }
    // "rules", "chains", "paths", "choice", "overloads", "spi-fail"
    static bool query(std::string_view what, const Tables&, State&, dataplane::Emit&,
                      model::Value& rows);
};
static_assert(dataplane::Stage<Insert>);

// Part of its tick: events of paths above their chain's limits, and what new flows avoid.
void watch_paths(const Plane& plane, Insert::State& state, dataplane::Emit& emit);
// … and of paths and chains that cannot be used any more, or can again.
void tell_path_news(const Plane& plane, Insert::State& state, dataplane::Emit& emit);

}  // namespace weir::chain
