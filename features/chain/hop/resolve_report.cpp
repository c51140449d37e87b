#include "features/chain/hop/resolve.hpp"

#include <map>

#include "model/value.hpp"

// What the stage that finds next hops shows of itself (spec TM-4, §12.2).
namespace weir::chain {
namespace {

using model::Value;

// Asked of the table that packets ask, index by index as they count down.
void next_hop_rows(const Path& path, bool reverse, const Plane& plane,
                   const dataplane::HealthBoard& health, Value& rows) {
    net::Smd smd;
    smd.spi = path.spi;
    smd.path_epoch = path.epoch;
    smd.reverse = reverse;
    for (smd.si = static_cast<std::uint8_t>(path.hops[reverse].size()); smd.si > 0; --smd.si) {
        const NextHop* next = plane.next_hops.find(path.svni, smd);
        if (!next) continue;
        const Hop& hop = *next->hop;
        Value& row = rows.push(Value::object());
        row.set("svni", path.svni);
        row.set("spi", path.spi);
        row.set("epoch", std::uint64_t{path.epoch});
        row.set("direction", reverse ? "reverse" : "forward");
        row.set("si", std::uint64_t{smd.si});
        row.set("node", hop.node);
        row.set("host_id", hop.host_id);
        row.set("mac", hop.mac.text());
        row.set("action", model::enum_name(hop.action));
        row.set("way", hop.host_id == plane.host_id ? "local" : "tunnel");
        row.set("state", is_next(hop, plane.host_id, health) ? "up" : "down");
    }
}

void for_each_path(const Plane& plane, auto&& visit) {
    for (const Chain& chain : plane.chains)
        for (const Path& path : chain.paths) visit(path);
    for (const Path& path : plane.passing) visit(path);
}

void segment_row(const dataplane::SegmentEntry& segment, const Plane& plane, Value& rows) {
    std::uint64_t chains = 0, anchored = 0, passing = 0;
    for (const Chain& chain : plane.chains) {
        chains += chain.svni == segment.vni;
        anchored += chain.svni == segment.vni ? chain.paths.size() : 0;
    }
    for (const Path& path : plane.passing) passing += path.svni == segment.vni;
    Value& row = rows.push(Value::object());
    row.set("name", segment.name);
    row.set("svni", segment.vni);
    row.set("encap", segment.nsh ? "nsh" : "smd");
    row.set("transport", segment.l3 ? "l3" : "l2");
    row.set("signed", segment.signed_legs);
    row.set("mtu", segment.mtu);
    Value& hosts = row.set("host_ids", Value::array());
    if (const auto span = plane.spans.find(segment.vni); span != plane.spans.end())
        for (const std::uint32_t host : span->second) hosts.push(host);
    row.set("ports", std::uint64_t{segment.local_ports.size()});
    row.set("chains", chains);
    row.set("paths_anchored", anchored);
    row.set("paths_passing", passing);
}

}  // namespace

bool Resolve::query(std::string_view what, const Tables& plane, State&, dataplane::Emit& emit,
                    Value& rows) {
    if (what == "next-hops") {
        for_each_path(plane, [&](const Path& path) {
            next_hop_rows(path, false, plane, *emit.health, rows);
            next_hop_rows(path, true, plane, *emit.health, rows);
        });
    } else if (what == "segments") {
        std::map<std::uint32_t, const dataplane::SegmentEntry*> in_order;
        for (const auto& [svni, segment] : emit.ports->segments)
            if (segment.service) in_order[svni] = &segment;
        for (const auto& one : in_order) segment_row(*one.second, plane, rows);
    } else {
        return false;
    }
    return true;
}

void Resolve::counters(const Tables&, const State& state, dataplane::CounterSink& sink) {
    sink.add("weir_service_legs_total", {{"way", "local"}}, state.legs_local);
    sink.add("weir_service_legs_total", {{"way", "remote"}}, state.legs_remote);
    sink.add("weir_service_copies_total", {{"result", "sent"}}, state.copies);
    sink.add("weir_service_copies_total", {{"result", "lost"}}, state.copies_lost);
    sink.add("weir_service_hops_skipped_total", {{"reason", "flow"}}, state.skipped);
    sink.add("weir_service_hops_skipped_total", {{"reason", "down"}}, state.fail_skipped);
    sink.add("weir_service_frames_segmented_total", {}, state.segmented);
    state.reports.counters(sink, name);
}

}  // namespace weir::chain
