#include "bench/gen/hop_host.hpp"

#include <algorithm>

#include "bench/gen/arp.hpp"
#include "bench/gen/frames.hpp"
#include "net/bytes.hpp"
#include "net/wire.hpp"

namespace weir::gen {
namespace {

constexpr std::uint32_t geneve_at = 42, options_at = geneve_at + 8;
constexpr std::uint32_t smd_at = options_at + 4, smd_end = smd_at + 44;  // spec §4.2
constexpr std::uint32_t nsh_at = options_at + 14;                        // HD-3
constexpr std::uint16_t returning = 1 << 10, reverse = 1 << 12;
constexpr std::uint8_t oam = 0x80;

const net::Mac& own_mac() {
    static const net::Mac mac = net::Mac::parse(peer_mac).value();
    return mac;
}

// Where the fields stand that a hop changes.
struct Places {
    std::uint8_t* flags;       // 16 bits: R and D among them
    std::uint8_t* initial_si;  // and index
    std::uint8_t* si;
    std::uint8_t* anchor_host;
    std::uint8_t* inner;  // Ethernet on the service plane
};

// `02` and a letter for what it is, then its number (the plane's addresses follow from numbers).
void store_plane_mac(std::uint8_t* mac, std::uint8_t kind, std::uint32_t number) {
    mac[0] = 2;
    mac[1] = kind;
    net::store32(mac + 2, number);
}
constexpr std::uint8_t host_kind = 0x5a, node_kind = 0x5c;

void go_on(const Places& at) {
    const std::uint16_t flags = net::load16(at.flags);
    const std::uint32_t hops = *at.initial_si, before = *at.si;
    const auto node_of = [&](std::uint32_t si) {
        const std::uint32_t ordinal = hops - si;
        return flags & reverse ? hops - ordinal : ordinal + 1;
    };
    *at.si = static_cast<std::uint8_t>(before - 1);
    if (before == 1) {
        net::store16(at.flags, static_cast<std::uint16_t>(flags | returning));
        store_plane_mac(at.inner, host_kind, net::load32(at.anchor_host));
    } else {
        store_plane_mac(at.inner, node_kind, node_of(before - 1));
    }
    store_plane_mac(at.inner + 6, node_kind, node_of(before));
}

void go_on_by_smd(std::uint8_t* frame) {
    std::uint8_t* smd = frame + smd_at;
    --smd[2];  // TTL, its upper bits are zero
    go_on({smd, smd + 3, smd + 7, smd + 16, frame + smd_end});
}

void go_on_by_nsh(std::uint8_t* frame) {
    std::uint8_t* nsh = frame + nsh_at;
    constexpr std::uint16_t one_of_ttl = 1 << 6;
    net::store16(nsh, static_cast<std::uint16_t>(net::load16(nsh) - one_of_ttl));
    std::uint8_t* context = nsh + 12;
    go_on({context, context + 2, nsh + 7, context + 12, frame + options_at});
}

}  // namespace

bool answer_as_hop_host(Far form, std::uint8_t* frame, std::uint32_t length) {
    const std::uint16_t type = net::load16(frame + 12);
    if (type == net::ethertype_arp && length >= arp_bytes && frame[21] == 1) {
        answer_arp(frame, own_mac(), frame);
        return true;
    }
    const std::uint32_t least = form == Far::echo ? options_at : smd_end;
    if (type != net::ethertype_ip4 || length < least + net::ethernet_bytes ||
        net::load16(frame + 36) != net::udp_port_geneve || (frame[geneve_at] & 0xc0) != 0 ||
        (frame[geneve_at + 1] & oam) != 0)
        return false;
    std::swap_ranges(frame, frame + 6, frame + 6);
    std::swap_ranges(frame + 26, frame + 30, frame + 30);
    if (form == Far::smd) go_on_by_smd(frame);
    if (form == Far::nsh) go_on_by_nsh(frame);
    return true;
}

}  // namespace weir::gen
