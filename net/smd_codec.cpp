#include "net/smd_codec.hpp"

#include <array>

#include "net/bytes.hpp"
#include "net/wire.hpp"

namespace weir::net {
namespace {

constexpr std::uint8_t max_initial_si = 8;  // OBJ-9

// Bits 2…10 of word 0, from the most significant one on; Ver stands above, Rsvd below.
constexpr std::array<bool Smd::*, 9> flag_members = {
    &Smd::oam,        &Smd::reverse,  &Smd::at_ingress, &Smd::returning, &Smd::copy,
    &Smd::live_query, &Smd::live_ack, &Smd::trace,      &Smd::moved,
};

std::uint32_t joined(std::uint32_t high24, std::uint8_t low8) {
    return high24 << 8 | low8;
}

}  // namespace

void set_smd_flags(Smd& smd, std::uint16_t flags) {
    smd.version = static_cast<std::uint8_t>(flags >> 14);
    smd.reserved = flags & 0x1f;
    unsigned bit = 13;
    for (bool Smd::*member : flag_members) smd.*member = (flags >> bit-- & 1) != 0;
}

void encode(const Smd& smd, std::span<std::uint8_t, smd_bytes> out) {
    std::uint8_t* p = out.data();
    store16(p, smd_flags(smd));
    p[2] = static_cast<std::uint8_t>((smd.zz & 3) << 6 | (smd.ttl & 0x3f));
    p[3] = smd.initial_si;
    store32(p + 4, joined(smd.spi, smd.si));
    store32(p + 8, joined(smd.sci, smd.path_epoch));
    store32(p + 12, joined(smd.tenant_vni, smd.skip_mask));
    store32(p + 16, smd.anchor_host);
    store32(p + 20, smd.anchor_port);
    store32(p + 24, smd.flow_handle);
    store32(p + 28, smd.flow_tag);
    smd.original_dst.store(p + 32);
    smd.original_src.store(p + 38);
}

Smd decode(std::span<const std::uint8_t, smd_bytes> in) {
    const std::uint8_t* p = in.data();
    Smd smd;
    set_smd_flags(smd, load16(p));
    smd.zz = p[2] >> 6;
    smd.ttl = p[2] & 0x3f;
    smd.initial_si = p[3];
    smd.spi = load32(p + 4) >> 8;
    smd.si = p[7];
    smd.sci = load32(p + 8) >> 8;
    smd.path_epoch = p[11];
    smd.tenant_vni = load32(p + 12) >> 8;
    smd.skip_mask = p[15];
    smd.anchor_host = load32(p + 16);
    smd.anchor_port = load32(p + 20);
    smd.flow_handle = load32(p + 24);
    smd.flow_tag = load32(p + 28);
    smd.original_dst = Mac::from(p + 32);
    smd.original_src = Mac::from(p + 38);
    return smd;
}

const char* name(SmdError error) {
    static constexpr std::array<const char*, static_cast<std::size_t>(SmdError::count_)> names = {
        "none",           "ttl_zero",    "too_many_hops",    "index_above_start", "return_mismatch",
        "copy_returning", "inner_short", "inner_not_unicast"};
    return error < SmdError::count_ ? names[static_cast<std::size_t>(error)] : "unknown";
}

SmdError check_smd(const Smd& smd) {
    if (smd.ttl == 0) return SmdError::ttl_zero;
    if (smd.initial_si > max_initial_si) return SmdError::too_many_hops;
    if (smd.si > smd.initial_si) return SmdError::index_above_start;
    if (smd.returning != (smd.si == 0)) return SmdError::return_mismatch;
    if (smd.copy && smd.returning) return SmdError::copy_returning;
    return SmdError::none;
}

SmdError check_inner_frame(std::span<const std::uint8_t> frame) {
    if (frame.size() < ethernet_bytes) return SmdError::inner_short;
    const Mac dst = Mac::from(frame.data()), src = Mac::from(frame.data() + 6);
    const bool unicast =
        !dst.is_multicast() && !src.is_multicast() && !dst.is_zero() && !src.is_zero();
    return unicast ? SmdError::none : SmdError::inner_not_unicast;
}

Mac service_plane_mac(std::uint32_t host) {
    Mac mac{{0x02, 0x5a}};
    store32(mac.bytes.data() + 2, host);
    return mac;
}

}  // namespace weir::net
