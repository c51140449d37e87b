#include "net/bfd.hpp"

#include <algorithm>

#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/ethernet.hpp"
#include "net/parse.hpp"
#include "net/wire.hpp"

namespace weir::net {
namespace {

constexpr std::uint8_t poll_bit = 0x20, final_bit = 0x10, independent_bit = 0x08,
                       authenticated_bit = 0x04, demand_bit = 0x02, multipoint_bit = 0x01;

void write_ip(std::uint8_t* ip, const BfdRoute& route, std::uint32_t udp_length) {
    if (route.to.is4()) {
        ip[0] = 0x45;
        ip[1] = 0xc0;  // CS6: network control
        store16(ip + 2, static_cast<std::uint16_t>(ip4_min_bytes + udp_length));
        ip[6] = 0x40;  // DF
        ip[8] = bfd_ttl;
        ip[9] = proto_udp;
        std::copy_n(route.from.data4(), 4, ip + 12);
        std::copy_n(route.to.data4(), 4, ip + 16);
        fill_ip4_checksum({ip, ip4_min_bytes});
        return;
    }
    ip[0] = 0x6c;
    store16(ip + 4, static_cast<std::uint16_t>(udp_length));
    ip[6] = proto_udp;
    ip[7] = bfd_ttl;
    std::copy_n(route.from.data6(), 16, ip + 8);
    std::copy_n(route.to.data6(), 16, ip + 24);
}

}  // namespace

const char* name(BfdState state) {
    static constexpr const char* names[] = {"admin-down", "down", "init", "up"};
    return names[static_cast<std::size_t>(state) & 3];
}

const char* name(BfdError error) {
    static constexpr const char* names[] = {
        "none",       "bad version",       "bad length",    "multiplier 0",
        "multipoint", "bad discriminator", "authenticated", "?"};
    return names[static_cast<std::size_t>(error) & 7];
}

void encode(const Bfd& bfd, std::span<std::uint8_t, bfd_bytes> out) {
    const auto bit = [](bool set, std::uint8_t mask) { return set ? mask : std::uint8_t{0}; };
    out[0] = static_cast<std::uint8_t>(bfd.version << 5 | (bfd.diagnostic & 0x1f));
    out[1] = static_cast<std::uint8_t>(
        static_cast<unsigned>(bfd.state) << 6 | bit(bfd.poll, poll_bit) |
        bit(bfd.final, final_bit) | bit(bfd.control_plane_independent, independent_bit) |
        bit(bfd.authenticated, authenticated_bit) | bit(bfd.demand, demand_bit) |
        bit(bfd.multipoint, multipoint_bit));
    out[2] = bfd.detect_multiplier;
    out[3] = bfd_bytes;
    store32(&out[4], bfd.my_discriminator);
    store32(&out[8], bfd.your_discriminator);
    store32(&out[12], bfd.desired_min_tx_us);
    store32(&out[16], bfd.required_min_rx_us);
    store32(&out[20], bfd.required_min_echo_rx_us);
}

BfdError decode(std::span<const std::uint8_t> in, Bfd& bfd) {
    if (in.size() < bfd_bytes) return BfdError::bad_length;
    bfd.version = in[0] >> 5;
    bfd.diagnostic = in[0] & 0x1f;
    bfd.state = static_cast<BfdState>(in[1] >> 6);
    bfd.poll = in[1] & poll_bit;
    bfd.final = in[1] & final_bit;
    bfd.control_plane_independent = in[1] & independent_bit;
    bfd.authenticated = in[1] & authenticated_bit;
    bfd.demand = in[1] & demand_bit;
    bfd.multipoint = in[1] & multipoint_bit;
    bfd.detect_multiplier = in[2];
    bfd.my_discriminator = load32(&in[4]);
    bfd.your_discriminator = load32(&in[8]);
    bfd.desired_min_tx_us = load32(&in[12]);
    bfd.required_min_rx_us = load32(&in[16]);
    bfd.required_min_echo_rx_us = load32(&in[20]);
    const bool knows_us = bfd.state == BfdState::init || bfd.state == BfdState::up;
    if (bfd.version != 1) return BfdError::bad_version;
    if (in[3] < bfd_bytes || in[3] > in.size()) return BfdError::bad_length;
    if (bfd.detect_multiplier == 0) return BfdError::bad_multiplier;
    if (bfd.multipoint) return BfdError::multipoint;
    if (bfd.my_discriminator == 0 || (bfd.your_discriminator == 0 && knows_us))
        return BfdError::bad_discriminator;
    return bfd.authenticated ? BfdError::authenticated : BfdError::none;
}

std::optional<std::span<const std::uint8_t>> bfd_payload(const Packet& p) {
    const Headers& h = p.headers;
    if (h.family == Family::none || h.proto != proto_udp || h.l4 == 0 ||
        h.fragment != Fragment::whole || h.l3_end < h.l4 + udp_bytes ||
        load16(p.data + h.l4 + 2) != udp_port_bfd)
        return std::nullopt;
    const std::uint8_t ttl = p.data[h.l3 + (h.family == Family::ip4 ? 8u : 7u)];
    if (ttl != bfd_ttl) return std::nullopt;
    return std::span<const std::uint8_t>(p.data + h.l4 + udp_bytes, h.l3_end - h.l4 - udp_bytes);
}

bool build_bfd(Packet& out, const BfdRoute& route, const Bfd& bfd) {
    const std::uint32_t ip = route.to.is4() ? ip4_min_bytes : ip6_bytes;
    const std::uint32_t udp = udp_bytes + static_cast<std::uint32_t>(bfd_bytes);
    if (!start_frame(out, ethernet_bytes + ip + udp)) return false;
    set_macs(out, route.dst, route.src);
    store16(out.data + 12, route.to.is4() ? ethertype_ip4 : ethertype_ip6);
    write_ip(out.data + ethernet_bytes, route, udp);
    std::uint8_t* l4 = out.data + ethernet_bytes + ip;
    store16(l4, route.source_port);
    store16(l4 + 2, udp_port_bfd);
    store16(l4 + 4, static_cast<std::uint16_t>(udp));
    encode(bfd, std::span<std::uint8_t, bfd_bytes>(l4 + udp_bytes, bfd_bytes));
    return parse(out) == ParseError::none && fill_l4_checksum(out);
}

}  // namespace weir::net
