#include "features/chain/hop/stale.hpp"

#include <algorithm>

#include "dataplane/health.hpp"
#include "features/chain/orders/ctrl.hpp"
#include "net/bytes.hpp"
#include "net/ethernet.hpp"
#include "net/smd_codec.hpp"
#include "net/wire.hpp"

namespace weir::chain {
namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::uint32_t most_per_second = 10;
constexpr std::uint64_t sequence_step_ns = 100'000;
constexpr std::uint32_t quoted_bytes = 128;  // of the packet that led to it (CT-4)

}  // namespace

const char* name(StaleReason reason) {
    switch (reason) {
        case StaleReason::no_entry:
            return "no_entry";
        case StaleReason::bad_epoch:
            return "bad_epoch";
        case StaleReason::hop_down:
            return "hop_down";
        case StaleReason::drained:
            return "drained";
        case StaleReason::none:
            break;
    }
    return "?";
}

bool StaleReports::may_send(std::uint64_t path_key, std::uint32_t anchor,
                            const dataplane::Emit& emit) {
    const std::uint64_t mixed = (path_key ^ std::uint64_t{anchor} << 20) * 0x9e3779b97f4a7c15ull;
    Place& place = places[mixed >> 56];
    const bool other = place.key != path_key || place.anchor != anchor;
    if (other || emit.now_ns - place.second_ns >= second_ns)
        place = {path_key, emit.now_ns, anchor, 0};
    if (place.sent >= std::max(1u, most_per_second / emit.workers)) {
        ++held_back;
        return false;
    }
    ++place.sent;
    return true;
}

void StaleReports::counters(dataplane::CounterSink& sink, std::string_view stage) const {
    const auto add = [&](std::string_view result, std::uint64_t value) {
        sink.add("weir_service_stale_path_reports_total", {{"stage", stage}, {"result", result}},
                 value);
    };
    add("sent", sent);
    add("held_back", held_back);
    add("lost", lost);
}

void report_stale(const net::Packet& packet, const StaleReport& report, StaleReports& reports,
                  dataplane::Emit& emit) {
    const net::Smd& smd = packet.smd;
    const std::uint32_t here = emit.ports->host_id;
    if (report.issuer == 0 || smd.copy || smd.anchor_host == here) return;
    if (!reports.may_send(dataplane::FailedPaths::key(packet.vni, smd.spi), smd.anchor_host, emit))
        return;
    const std::uint32_t length = std::clamp(packet.length, 60u, quoted_bytes);
    net::Packet* p = emit.allocate();
    if (!p || !net::start_frame(*p, length)) {
        if (p) emit.release(*p);
        ++reports.lost;
        return;
    }
    std::copy_n(packet.data, std::min(packet.length, length), p->data);
    net::set_macs(*p, net::service_plane_mac(smd.anchor_host), net::service_plane_mac(here));
    net::store16(p->data + 12, net::ethertype_heartbeat);  // what follows is cut off: no packet
    p->smd = {};
    p->smd.oam = p->smd.returning = true;
    p->smd.anchor_host = p->tunnel_peer = smd.anchor_host;
    --p->smd.ttl;  // one leg; nothing to resolve
    p->oam = true;
    Ctrl ctrl;
    ctrl.op = static_cast<std::uint8_t>(CtrlOp::stale_path);
    ctrl.scope = ctrl_node_scope;
    ctrl.reason = static_cast<std::uint8_t>(report.reason);
    ctrl.issuer = report.issuer;
    ctrl.sequence = static_cast<std::uint32_t>(emit.now_ns / sequence_step_ns);
    ctrl.hop = static_cast<std::uint8_t>(smd.initial_si - smd.si);
    ctrl.parameter = smd.spi;
    ctrl.digest = stale_detail(report, smd);
    encode(ctrl, p->ctrl[0]);
    p->ctrl_count = 1;
    p->vni = p->hand.vni = packet.vni;
    emit.enter(*p, dataplane::Context::service, emit.stages->service_from_anchor);
    ++reports.sent;
}

}  // namespace weir::chain
