#include "features/chain/heartbeat.hpp"

#include "net/bytes.hpp"
#include "net/ethernet.hpp"
#include "net/wire.hpp"

namespace weir::chain {
namespace {

constexpr std::uint32_t live_bytes = 12;
constexpr std::uint32_t frame_bytes = 60;  // the shortest Ethernet frame, without FCS
constexpr net::Mac broadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

}  // namespace

net::Mac heartbeat_mac(std::uint32_t node_id, Side entered) {
    net::Mac mac{
        {0x02, static_cast<std::uint8_t>(entered == Side::left ? 0x5d : 0x5e), 0, 0, 0, 0}};
    net::store32(mac.bytes.data() + 2, node_id);
    return mac;
}

bool build_heartbeat(net::Packet& p, const Heartbeat& beat) {
    if (!net::start_frame(p, frame_bytes)) return false;
    net::set_macs(p, broadcast, heartbeat_mac(beat.live.node, beat.entered));
    net::store16(p.data + 12, net::ethertype_heartbeat);
    net::store32(p.data + 14, beat.live.node);
    net::store32(p.data + 18, beat.live.sequence);
    net::store32(p.data + 22, beat.live.sent_ms);
    return true;
}

std::optional<Heartbeat> parse_heartbeat(const net::Packet& p) {
    if (p.length < net::ethernet_bytes + live_bytes ||
        net::load16(p.data + 12) != net::ethertype_heartbeat ||
        !net::destination_mac(p).is_broadcast())
        return std::nullopt;
    Heartbeat beat;
    beat.live.node = net::load32(p.data + 14);
    beat.live.sequence = net::load32(p.data + 18);
    beat.live.sent_ms = net::load32(p.data + 22);
    const net::Mac source = net::source_mac(p);
    for (const Side side : {Side::left, Side::right}) {
        beat.entered = side;
        if (source == heartbeat_mac(beat.live.node, side)) return beat;
    }
    return std::nullopt;
}

}  // namespace weir::chain
