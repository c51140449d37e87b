#include "bench/gen/frames.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "net/builder.hpp"
#include "net/bytes.hpp"
#include "net/checksum.hpp"

namespace weir::gen {
namespace {

using net::FrameBuilder;
using Frame = std::vector<std::uint8_t>;

constexpr std::uint32_t smallest_frame = 60;  // without the check sequence

net::Mac mac(const char* text) {
    const Result<net::Mac> parsed = net::Mac::parse(text);
    WEIR_CHECK(parsed.ok(), text);
    return *parsed;
}

// Address 0 of the clients; write_…() puts the client's number into its last byte.
std::string client_ip(const Settings& s) {
    return s.ip6 ? "fd00:1::" : "10.1.0.0";
}
std::string server_ip(const Settings& s) {
    if (s.routed || s.tunnel) return s.ip6 ? "fd00:2::1:1" : "10.2.1.1";
    return s.ip6 ? "fd00:1::1:1" : "10.1.1.1";
}

struct Macs {
    const char *dst, *src;
};
// What crosses the underlay has been routed already, by whoever sent it.
Macs macs_of(const Settings& s, const Shape::Wanted& w) {
    const bool to_b = w.direction == Direction::to_b;
    const Macs straight = to_b ? Macs{server_mac, client_mac} : Macs{client_mac, server_mac};
    const bool routed = s.routed || s.tunnel;
    if (!routed) return s.swapped && w.arrived ? Macs{straight.src, straight.dst} : straight;
    if (w.arrived || (s.tunnel && !to_b)) return {straight.dst, router_mac};
    return {router_mac, straight.src};
}
std::uint8_t hop_limit(const Settings& s, const Shape::Wanted& w) {
    const bool once =
        (s.routed || s.tunnel) && (w.arrived || (s.tunnel && w.direction == Direction::to_a));
    return once ? 63 : 64;
}

Frame inner_frame(const Settings& s, const Shape::Wanted& w) {
    const bool to_b = w.direction == Direction::to_b;
    const Macs macs = macs_of(s, w);
    const std::string client = client_ip(s), server = server_ip(s);
    FrameBuilder builder;
    builder.eth(mac(macs.dst), mac(macs.src)).ttl(hop_limit(s, w));
    builder.ip(to_b ? client : server, to_b ? server : client);
    if (w.tcp) builder.tcp(0, 0, 0);
    else builder.udp(0, 0);
    Frame frame = builder.payload(w.payload).build();
    frame.resize(std::max<std::size_t>(frame.size(), smallest_frame));
    return frame;
}

Frame tunnelled(const Frame& inner, const Shape::Wanted& w) {
    const bool to_b = w.direction == Direction::to_b;
    Frame geneve = {0, 0, 0x65, 0x58, 0, 0, 0, 0};
    const std::uint32_t vni = to_b ? vni_far : vni_near;
    for (int i = 0; i < 3; ++i) geneve[4 + i] = static_cast<std::uint8_t>(vni >> (16 - 8 * i));
    geneve.insert(geneve.end(), inner.begin(), inner.end());
    return FrameBuilder()
        .eth(mac(to_b ? peer_mac : host_mac), mac(to_b ? host_mac : peer_mac))
        .ip(to_b ? host_tunnel_ip : peer_tunnel_ip, to_b ? peer_tunnel_ip : host_tunnel_ip)
        .df()
        .udp(0, net::udp_port_geneve)
        .no_udp_checksum()
        .payload(std::move(geneve))
        .build();
}

std::uint64_t sum16(const std::uint8_t* from, std::size_t bytes) {
    std::uint64_t sum = 0;
    for (std::size_t at = 0; at + 1 < bytes; at += 2) sum += load<std::uint16_t>(from + at);
    return bytes % 2 ? sum + from[bytes - 1] : sum;
}

}  // namespace

Shape::Shape(const Settings& s, const Wanted& w) {
    ip6_ = s.ip6;
    to_b_ = w.direction == Direction::to_b;
    tunnel_ = s.tunnel && (to_b_ == w.arrived);  // side b is the underlay
    checksummed_ = !s.imix;
    Frame frame = inner_frame(s, w);
    if (tunnel_) frame = tunnelled(frame, w);
    length_ = static_cast<std::uint32_t>(frame.size());
    const std::uint32_t ethernet = tunnel_ ? outer_bytes : 0;
    ip_ = ethernet + 14;
    l4_ = ip_ + (ip6_ ? 40 : 20);
    const std::uint32_t src_end = ip6_ ? 23 : 15, dst_end = ip6_ ? 39 : 19;
    client_at_ = ip_ + (to_b_ ? src_end : dst_end);
    client_shift_ = ip6_ || !to_b_ ? 56 : 24;

    const std::uint32_t l4_bytes = (w.tcp ? 20 : 8) + w.payload;
    store16(&frame[l4_ + (w.tcp ? 16 : 6)], 0);
    if (!ip6_) store16(&frame[ip_ + 10], 0);
    if (!ip6_) ip_sum_ = sum16(&frame[ip_], 20);
    const std::uint32_t addresses = ip6_ ? 8 : 12;
    l4_sum_ = sum16(&frame[ip_ + addresses], ip6_ ? 32 : 8) + sum16(&frame[l4_], l4_bytes) +
              swapped16(w.tcp ? net::proto_tcp : net::proto_udp) + swapped16(l4_bytes);
    address_sum_ = tuple_sum(&frame[ip_], &frame[l4_], ip6_);

    const std::size_t kept = std::min(frame.size(), bytes_.size());
    std::copy_n(frame.begin(), kept, bytes_.begin());
    // What is behind the headers of long frames is never read by anybody.
    copied_ = static_cast<std::uint32_t>(((s.imix ? std::min<std::size_t>(kept, 128) : kept) + 15) /
                                         16 * 16);
}

}  // namespace weir::gen
