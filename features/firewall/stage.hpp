#pragma once
#include <array>
#include <string_view>
#include <vector>

#include "features/firewall/compile.hpp"

namespace weir::firewall {

// Decides each new flow of a guest port once and remembers the verdict in its record.
//
// The first rule that fits, in order of section, priority and name, decides about the initiator's
// packet; replies and ICMP errors of an allowed flow pass. When the port's rules change, the next
// packet of a flow meets the changed rules, and is decided again if one of them fits.
struct Firewall {
    static constexpr std::string_view name = "firewall";
    using Tables = firewall::Tables;
    enum class Exit : std::uint8_t {
        denied,
        rejected,
        revoked,
        mistaken,  // taken for the first packet of a flow of which it is an answer
        count_
    };
    static constexpr std::array<std::string_view, 4> exit_names = {
        "firewall.denied", "firewall.rejected", "firewall.revoked", "firewall.mistaken"};

    struct Count {
        std::uint64_t hits = 0;  // flows, or packets that have none, that the rule decided
    };
    struct State {
        std::vector<Count> counts;  // by counter slot
        std::uint64_t decisions = 0, restamps = 0;
        std::uint64_t logged_second_ns = 0;
        std::uint32_t logged = 0;  // in that second
        void open(const dataplane::OpenInput&) { counts.resize(max_rules); }
    };

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput& input, const std::shared_ptr<const Tables>& previous) {
        return firewall::compile(input, previous);
    }
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    static void counters(const Tables&, const State&, dataplane::CounterSink&);

    // What run() does for a flow that begins and is allowed, in two halves: the rule, null unless
    // it allows the flow and wants no line in the log; then what is remembered and counted.
    static const CompiledRule* allows(const Tables&, std::uint32_t port,
                                      const net::Tuple& initiator, bool outgoing);
    // The bits of a tuple that this depends on, besides its IP version.
    static net::Tuple asked(const Tables& tables, std::uint32_t port) {
        return port < tables.ports.size() ? tables.ports[port].index->asked() : net::Tuple{};
    }
    // … and whether a flow of the port is allowed and no rule has changed since.
    static bool still_allows(const Tables&, std::uint32_t port, const flow::FlowPair&);
    // All that is remembered and counted; valid as long as the tables are.
    struct Allowance {
        Count* count = nullptr;  // null: none
        std::uint32_t rule_id = 0, revision = 0;
    };
    static Allowance allowance(const Tables& tables, State& state, const CompiledRule& rule,
                               std::uint32_t port) {
        return {&state.counts[rule.slot], rule.id, tables.ports[port].revision};
    }
    static void allow(State& state, const Allowance& allowance, flow::FlowPair& pair) {
        ++state.decisions;
        ++allowance.count->hits;
        pair.firewall.rule_id = allowance.rule_id;
        pair.firewall.revision = allowance.revision;
        pair.firewall.verdict = flow::Verdict::allow;
    }
};
static_assert(dataplane::Stage<Firewall>);

}  // namespace weir::firewall
