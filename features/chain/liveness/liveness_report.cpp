#include "features/chain/liveness/liveness.hpp"
#include "model/describe.hpp"
#include "model/value.hpp"

// What Liveness shows of itself; only the worker that judges a node speaks of it.
namespace weir::chain {
namespace {

using Verdict = dataplane::Liveness::Verdict;

std::string_view name_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::up:
            return "up";
        case Verdict::down:
            return "down";
        case Verdict::unknown:
            break;
    }
    return "unknown";
}

bool spoken_for(const LocalNode& node, std::uint32_t worker) {
    return node.realised() && !node.vnics[0].foreign && node.vnics[0].polling_worker == worker;
}

}  // namespace

void Liveness::counters(const Tables& tables, const State& state, dataplane::CounterSink& sink) {
    sink.add("weir_service_node_down_messages_total", {{"way", "sent"}}, state.messages_sent);
    sink.add("weir_service_node_down_messages_total", {{"way", "applied"}}, state.messages_applied);
    sink.add("weir_service_overload_messages_total", {{"way", "sent"}}, state.overloads_sent);
    sink.add("weir_service_overload_messages_total", {{"way", "applied"}},
             state.overloads_applied);
    sink.add("weir_service_stale_path_messages_total", {{"result", "applied"}},
             state.stale_applied);
    sink.add("weir_service_stale_path_messages_total", {{"result", "outdated"}},
             state.stale_outdated);
    sink.add("weir_limit_hits_total", {{"table", "nodes_heard_of"}}, state.unheard);
    sink.add("weir_limit_hits_total", {{"table", "node_health"}}, state.unlisted);
    sink.add("weir_limit_hits_total", {{"table", "failed_paths"}}, state.unfailed);
    if (!state.binding.memory()) sink.add("weir_service_node_memory_missing", {}, 1);
    if (state.binding.size() != tables.nodes.nodes.size()) return;
    for (std::size_t n = 0; n < tables.nodes.nodes.size(); ++n) {
        const LocalNode& node = tables.nodes.nodes[n];
        if (!spoken_for(node, state.binding.worker())) continue;
        const NodeSlot& slot = state.binding.slot(n);
        const auto add = [&](std::string_view metric, std::uint64_t value) {
            sink.add(metric, {{"node", node.name}}, value);
        };
        std::uint64_t windows = 0;
        const LossWatch& loss = state.watches[n].loss;
        for (std::size_t i = 0; i < LossWatch::bounds.size(); ++i) {
            windows += loss.windows()[i];
            sink.add("weir_service_node_loss_millionths_bucket",
                     {{"node", node.name}, {"le", std::to_string(LossWatch::bounds[i] * 1000)}},
                     windows);
        }
        sink.add("weir_service_node_loss_millionths_bucket", {{"node", node.name}, {"le", "+Inf"}},
                 windows);
        add("weir_service_node_loss_millionths_count", windows);
        add("weir_service_node_loss_millionths_sum", loss.sum_millionths());
        if (node.loss_limit != 0) add("weir_service_node_lossy", loss.lossy());
        add("weir_service_node_unreturned_total", slot.unreturned.load(std::memory_order_relaxed));
        if (!node.liveness_support) continue;
        add("weir_service_node_up", slot.judge.verdict() == Verdict::down ? 0 : 1);
        add("weir_service_node_questions_total", slot.questions.load(std::memory_order_relaxed));
        add("weir_service_node_answered_total", slot.judge.answered());
        add("weir_service_node_missed_total", slot.judge.missed());
        add("weir_service_node_flaps_total", slot.judge.flaps());
    }
}

bool Liveness::query(std::string_view what, const Tables& tables, State& state,
                     dataplane::Emit& emit, model::Value& rows) {
    if (what != "nodes") return false;
    if (!state.binding.follow(tables.nodes, false)) return true;
    for (std::size_t n = 0; n < tables.nodes.nodes.size(); ++n) {
        const LocalNode& node = tables.nodes.nodes[n];
        if (!spoken_for(node, emit.worker)) continue;
        const NodeSlot& slot = state.binding.slot(n);
        model::Value& row = rows.push(model::Value::object());
        row.set("node", node.name);
        row.set("node_id", std::uint64_t{node.id});
        row.set("mode", model::enum_name(node.mode));
        row.set("liveness", node.liveness_support ? "asked" : "none");
        row.set("state", node.liveness_support ? name_of(slot.judge.verdict()) : "unknown");
        row.set("since_ms", slot.judge.changed_ns() == 0
                                ? std::uint64_t{0}
                                : (emit.now_ns - slot.judge.changed_ns()) / 1'000'000);
        row.set("hold_up_ms", slot.judge.hold_up_ns() / 1'000'000);
        row.set("questions", slot.questions.load(std::memory_order_relaxed));
        row.set("answered", slot.judge.answered());
        row.set("missed", slot.judge.missed());
        row.set("flaps", slot.judge.flaps());
        row.set("delivered", slot.delivered(Side::left) + slot.delivered(Side::right));
        row.set("returned", slot.returned(Side::left) + slot.returned(Side::right));
        row.set("load", state.watches[n].load.load());
        row.set("loss", state.watches[n].loss.loss());
        row.set("loss_limit", node.loss_limit);
        row.set("lossy", state.watches[n].loss.lossy());
        row.set("latency_limit_us", node.latency_limit_us);
        row.set("unreturned", slot.unreturned.load(std::memory_order_relaxed));
    }
    return true;
}

}  // namespace weir::chain
