#include "features/chain/node/refusals.hpp"

#include <algorithm>
#include <cstdio>

#include "features/chain/node/from_node_work.hpp"

namespace weir::chain::from {
namespace {

// No honest node does this, whatever its kernel sends of itself.
constexpr std::array hostile = {Exit::immutable_tamper, Exit::bad_si,     Exit::rate_limit,
                                Exit::wrong_side,       Exit::bad_nsh,    Exit::bad_geneve,
                                Exit::bad_frame};
// Theirs are no refusals: such frames are expected, and end here.
constexpr std::array expected = {Exit::not_a_node, Exit::link_talk, Exit::copy_return};

void tell_one(const LocalNode& node, Exit why, std::uint64_t packets, Emit& emit) {
    char text[256];
    const int n = std::snprintf(
        text, sizeof text,
        R"({"event":"node-misbehaves","node":"%.63s","node_id":%u,"reason":"%s","packets":%llu})",
        node.name.c_str(), node.id, FromNode::exit_names[static_cast<std::size_t>(why)].data(),
        static_cast<unsigned long long>(packets));
    if (n > 0) emit.event({text, std::min(static_cast<std::size_t>(n), sizeof text - 1)});
}

}  // namespace

// Each worker tells of what it refused: of a node and reason at most once in ten seconds, at once
// where it had been quiet.
void tell_refusals(const NodeTable& table, FromNode::State& state, Emit& emit) {
    for (std::size_t n = 0; n < table.nodes.size(); ++n) {
        Refusals& r = state.refusals[n];
        if (r.count == r.told ||
            (r.told_ns != 0 && emit.now_ns - r.told_ns < refusals_told_every_ns))
            continue;
        for (const Exit why : hostile) {
            const auto i = static_cast<std::size_t>(why);
            if (r.count[i] == r.told[i]) continue;
            tell_one(table.nodes[n], why, r.count[i] - r.told[i], emit);
            r.told_ns = emit.now_ns;
        }
        r.told = r.count;
    }
}

void count_refusals(const std::string& node, const Refusals& refusals,
                    dataplane::CounterSink& sink) {
    for (std::size_t i = 0; i < FromNode::exit_names.size(); ++i)
        if (refusals.count[i] != 0 && std::ranges::find(expected, static_cast<Exit>(i)) ==
                                          expected.end())
            sink.add("weir_service_node_refused_total",
                     {{"node", node}, {"reason", FromNode::exit_names[i]}}, refusals.count[i]);
}

}  // namespace weir::chain::from
