#include "apps/host/link_news.hpp"

#include <algorithm>

#include "base/limits.hpp"
#include "dataplane/liveness.hpp"
#include "model/json.hpp"
#include "model/value.hpp"

namespace weir::host {
namespace {

std::string event_of(const std::string& port, bool up, bool again) {
    model::Value event = model::Value::object();
    event.set("event", "port-link");
    event.set("port", port);
    event.set("up", up);
    if (again) event.set("again", true);
    return model::dump_json(event);
}

}  // namespace

UnderlayMtu underlay_mtu(const std::map<std::string, HostPort>& ports) {
    const auto underlay = ports.find("underlay");
    if (underlay == ports.end() || !underlay->second.device) return {};
    std::uint32_t largest = 0;
    for (const auto& [name, port] : ports)
        if (name != underlay->first) largest = std::max(largest, port.spec.device.mtu);
    return {underlay->second.device->mtu(), largest + limits::tunnel_headroom_bytes};
}

void LinkNews::look_at_mtu(const std::map<std::string, HostPort>& ports, const Tell& tell) {
    const UnderlayMtu now = underlay_mtu(ports);
    if (now.have == 0) return;
    const UnderlayMtu small = now.have < now.needed ? now : UnderlayMtu{};
    if (small == small_) return;
    small_ = small;
    if (small.have == 0) return;
    model::Value event = model::Value::object();
    event.set("event", "mtu-too-small");
    event.set("mtu", now.have);
    event.set("needed", now.needed);
    tell(model::dump_json(event));
}

// Whether it is time to say so.
bool LinkNews::is_news(Told& told, bool up, std::uint64_t now_ns) {
    if (!up) told.up_since_ns.reset();
    else if (!told.up_since_ns) told.up_since_ns = now_ns;
    if (up == told.up || now_ns - told.at_ns < pause_ns) return false;
    return !up || now_ns - *told.up_since_ns >= told.hold_up_ns;
}

// What was never up does not flap.
void LinkNews::take(Told& told, bool up, bool is_new, std::uint64_t now_ns) {
    constexpr dataplane::LivenessTimes times;
    told.up = up;
    told.was_bad |= !up;
    told.at_ns = now_ns;
    if (up || is_new) return;
    const bool again = told.hold_up_ns != 0 && now_ns - told.down_ns < times.flap_window_ns;
    told.hold_up_ns = again ? std::min(2 * told.hold_up_ns, times.max_hold_up_ns)
                            : times.hold_up_ns;
    told.down_ns = now_ns;
}

void LinkNews::look(const std::map<std::string, HostPort>& ports, std::uint64_t now_ns,
                    const Tell& tell) {
    const bool again = now_ns - told_ns_ >= again_ns;
    if (again) told_ns_ = now_ns;
    look_at_mtu(ports, tell);
    std::erase_if(told_, [&](const auto& one) { return !ports.contains(one.first); });
    for (const auto& [name, port] : ports) {
        if (port.place == weir_port_arriving) continue;  // it is elsewhere, as yet
        const bool up = port.device != nullptr && port.link == dataplane::DeviceState::up;
        const auto [at, is_new] = told_.try_emplace(name);
        Told& told = at->second;
        const bool is_changed = is_news(told, up, now_ns) || (is_new && !up);
        if (is_changed || is_new) take(told, up, is_new, now_ns);
        // A process before this one may have left it as bad.
        const bool is_due = is_new || (again && (told.was_bad || port.spec.is_service));
        if (is_changed || is_due) tell(event_of(name, told.up, !is_changed));
    }
}

}  // namespace weir::host
