#include <cstdio>
#include <utility>

#include "features/overlay/underlay.hpp"

// What Decap shows and tells of packets that fail AUTH. The memory is the host's, so one worker
// speaks of it.
namespace weir::overlay {
namespace {

constexpr std::uint64_t look_interval_ns = 1'000'000'000;
constexpr std::uint64_t tell_interval_ns = 10'000'000'000;
constexpr std::uint64_t burst = 10;  // failures between two looks
constexpr std::array faults = {AuthFault::missing, AuthFault::unknown_key, AuthFault::bad_mac,
                               AuthFault::replay};

// Calls visit(link, place) for every host of a segment with keys.
template <class Visit>
void for_each_place(const AuthTables& tables, const SharedWindows& shared, Visit&& visit) {
    if (!shared.windows) return;
    for (const auto& [key, link] : tables.links) {
        const std::size_t at = shared.windows->find_or_add(static_cast<std::uint32_t>(key >> 32),
                                                           static_cast<std::uint32_t>(key));
        if (at != AuthWindows::capacity) visit(link, at);
    }
}

void tell(dataplane::Emit& emit, const AuthLink& link, std::uint64_t packets,
          AuthWindows::Window& window) {
    char text[320];
    const auto of = [&](AuthFault fault) {
        return static_cast<unsigned long long>(window.refused(fault));
    };
    const int n = std::snprintf(
        text, sizeof text,
        R"({"event":"auth-failures","service_segment":"%s","from":"%s","packets":%llu,)"
        R"("missing":%llu,"unknown_key":%llu,"bad_mac":%llu,"replay":%llu})",
        link.segment.c_str(), link.peer.c_str(), static_cast<unsigned long long>(packets),
        of(AuthFault::missing), of(AuthFault::unknown_key), of(AuthFault::bad_mac),
        of(AuthFault::replay));
    if (n > 0 && static_cast<std::size_t>(n) < sizeof text)
        emit.event({text, static_cast<std::size_t>(n)});
}

}  // namespace

void Decap::tick(const Tables& tables, State& state, dataplane::Exits<Exit>&,
                 dataplane::Emit& emit) {
    if (emit.worker != 0 || tables.links.empty() || emit.now_ns < state.look_ns) return;
    state.look_ns = emit.now_ns + look_interval_ns;
    for_each_place(tables, state.windows, [&](const AuthLink& link, std::size_t at) {
        AuthWindows::Window& window = (*state.windows.windows)[at];
        AuthWatch& watch = state.watched[at];
        std::uint64_t failed = 0;
        for (const AuthFault fault : faults) failed += window.refused(fault);
        const std::uint64_t since = failed - watch.failed;
        const bool quiet = watch.told_ns == 0 || emit.now_ns - watch.told_ns >= tell_interval_ns;
        if (!watch.seen || since < burst) watch.failed = failed;
        if (!std::exchange(watch.seen, true) || since < burst || !quiet) return;
        watch.failed = failed;
        watch.told_ns = emit.now_ns;
        tell(emit, link, since, window);
    });
}

void Decap::counters(const Tables& tables, const State& state, dataplane::CounterSink& sink) {
    state.received.report("weir_tunnel_received_packets_total", tables.peers, sink);
    sink.add("weir_serviced_mark_ignored_total", {}, state.serviced_ignored);
}

void Decap::shared_counters(const Tables& tables, const State& state,
                            dataplane::CounterSink& sink) {
    if (!state.speaks) return;
    for_each_place(tables, state.windows, [&](const AuthLink& link, std::size_t at) {
        for (const AuthFault fault : faults)
            sink.add("weir_auth_refused_packets_total",
                     {{"service_segment", link.segment},
                      {"peer", link.peer},
                      {"reason", auth_fault_names[static_cast<std::size_t>(fault)]}},
                     (*state.windows.windows)[at].refused(fault));
    });
}

}  // namespace weir::overlay
