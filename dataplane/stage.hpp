#pragma once
#include <array>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <utility>

#include "base/result.hpp"
#include "dataplane/burst.hpp"
#include "dataplane/emit.hpp"
#include "dataplane/topology.hpp"
#include "model/snapshot.hpp"

namespace weir::dataplane {

// Where packets leave early: one counter per reason, and no other way to drop.
template <class ExitEnum>
class Exits {
public:
    static constexpr std::size_t size = static_cast<std::size_t>(ExitEnum::count_);

    // The packet is dropped; the pipeline frees it and writes its trace.
    void take(Packet& p, ExitEnum why) {
        ++count[static_cast<std::size_t>(why)];
        p.exit = static_cast<std::uint8_t>(why);
        p.pending = 0;
    }
    // Counts a reason for which no packet of the burst leaves (a part of one was refused).
    void note(ExitEnum why) { ++count[static_cast<std::size_t>(why)]; }
    std::array<std::uint64_t, size> count{};
};

// The guest port whose context the packet is in; it owns the flow record.
inline std::uint32_t context_port(const Packet& p) {
    return static_cast<Context>(p.context) == Context::source ? p.source_port : p.destination_port;
}

// What compile() works from: the host's snapshot and the ports as they are open now.
struct CompileInput {
    const model::Snapshot& snapshot;
    const Topology& ports;
    std::uint32_t workers = 1;
};

// What a stage's State learns before its worker starts.
struct OpenInput {
    std::uint32_t worker = 0;
    std::uint32_t workers = 1;
    flow::Table* flows = nullptr;
    HealthBoard* health = nullptr;
    // Memory of the host's vault, shared by all workers and engines: `fresh` = nobody used it
    // before (zeroed). Null when it cannot be had. For state that must outlive an engine.
    std::function<void*(std::string_view name, std::size_t bytes, std::uint32_t layout,
                        bool& fresh)>
        pool;
};

// Takes counters: Prometheus metric name (weir_…_total), labels, value. Values of equal name and
// labels are added up over workers.
class CounterSink {
public:
    using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;
    virtual ~CounterSink() = default;
    virtual void add(std::string_view metric, Labels labels, std::uint64_t value) = 0;
};

// A stage is a name, types and functions. It has no members, so it cannot keep hidden state, reach
// configuration that was not compiled for it, lose a packet, or drop without a reason.
//
//   name         shown in traces, counters and lists
//   Tables       immutable, shared by all workers
//   State        one per worker, lives as long as the engine; default-constructible
//   Exit         scoped enum ending in count_
//   exit_names   stable names, one per Exit
//   compile      CompileInput × previous Tables (may be null) → Tables; equal input → the same
//   pointer run          burst, tables, state, exits, emit
//
// Optional:
//   Tables::port_epoch(port index) → u32   digest of what concerns that port's flows
//   Tables::port_changes(port index, from) → const std::vector<FlowMatch>*   where that digest was
//   `from` before: flows that match none of these are decided as they were; null: no such promise
//   State::open(OpenInput)                 once, before the first burst
//   tick(tables, state, exits, emit)       about every millisecond on every worker
//   counters(tables, state, CounterSink&)  on the worker, between bursts; shared_counters(same):
//   what stands in memory that the host's engines share, so that one of them alone is asked
//   query(what, tables, state, emit, out)  rows for "<name>.<what>" (model::Value array), on the
//   worker; ask(question, tables, state, emit, out): the same where more of the question counts
//   save(PortSave&, …), restore(PortRestore, …)   what moves with a port: port_state.hpp
template <class S>
concept Stage = requires(const CompileInput& input,
                         const std::shared_ptr<const typename S::Tables>& previous, Burst& burst,
                         const typename S::Tables& tables, typename S::State& state,
                         Exits<typename S::Exit>& exits, Emit& emit) {
    { S::name } -> std::convertible_to<std::string_view>;
    requires std::convertible_to<decltype(*std::begin(S::exit_names)), std::string_view>;
    {
        S::compile(input, previous)
        } -> std::same_as<Result<std::shared_ptr<const typename S::Tables>>>;
    { S::run(burst, tables, state, exits, emit) } -> std::same_as<void>;
    requires std::size(S::exit_names)
    == static_cast<std::size_t>(S::Exit::count_);
};

}  // namespace weir::dataplane
