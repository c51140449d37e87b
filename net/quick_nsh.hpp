#pragma once
#include <cstdint>

#include "net/bytes.hpp"
#include "net/nsh.hpp"
#include "net/smd_codec.hpp"

namespace weir::net {

// Reads the service header that nearly all packets have that come out of aware nodes: metadata of
// type 2, our context and nothing else, no flags but direction and call point; or, between hosts,
// R as well. decode_nsh() is what everything else needs, and the judge: what is read here, it reads
// the same way (quick_nsh_test.cpp). `nsh` has nsh_md2_bytes. False: decode_nsh() must look; `smd`
// and `cookie` are meaningless then. The original MACs stand in the frame behind.
enum class NshFrom : std::uint8_t { node, host };
inline bool read_quick_nsh(const std::uint8_t* nsh, Smd& smd, std::uint32_t& cookie,
                           NshFrom from = NshFrom::node) {
    constexpr std::uint32_t base = nsh_md2_bytes / 4 << 16 | 2u << 8 | 3u;  // MD type 2, Ethernet
    constexpr std::uint32_t base_mask = 0xf03fffff;                         // all but the TTL
    constexpr std::uint32_t context = std::uint32_t{nsh_class} << 16 | nsh_context << 8 | 32u;
    constexpr std::uint16_t direction = 1 << 12, call_point = 1 << 11, back = 1 << 10;
    const int flags_read = direction | call_point | (from == NshFrom::host ? back : 0);
    const std::uint32_t first = load32(nsh);
    const std::uint16_t flags = load16(nsh + 12);
    const auto ttl = static_cast<std::uint8_t>(first >> 22 & 0x3f);
    if ((first & base_mask) != base || load32(nsh + 8) != context || ttl == 0 ||
        (flags & ~flags_read) != 0)
        return false;
    const std::uint32_t path = load32(nsh + 4), chain = load32(nsh + 16);
    smd = {};
    smd.ttl = ttl;
    smd.spi = path >> 8;
    smd.si = static_cast<std::uint8_t>(path);
    smd.reverse = (flags & direction) != 0;
    smd.at_ingress = (flags & call_point) != 0;
    smd.returning = (flags & back) != 0;
    smd.initial_si = nsh[14];
    smd.skip_mask = nsh[15];
    smd.sci = chain >> 8;
    smd.path_epoch = static_cast<std::uint8_t>(chain);
    smd.tenant_vni = load32(nsh + 20) >> 8;
    smd.anchor_host = load32(nsh + 24);
    smd.anchor_port = load32(nsh + 28);
    smd.flow_handle = load32(nsh + 32);
    smd.flow_tag = load32(nsh + 36);
    cookie = load32(nsh + 40);
    return true;
}

// What push_nsh() writes with metadata of type 2 and no order, in nsh_md2_bytes.
inline void write_quick_nsh(std::uint8_t* nsh, const Smd& smd, std::uint32_t cookie) {
    constexpr std::uint32_t base = nsh_md2_bytes / 4 << 16 | 2u << 8 | 3u;  // MD type 2, Ethernet
    constexpr std::uint32_t context = std::uint32_t{nsh_class} << 16 | nsh_context << 8 | 32u;
    store32(nsh, base | unsigned{smd.oam} << 29 | (smd.ttl & 0x3fu) << 22);
    if (smd.unassigned != 0) [[unlikely]]
        store32(nsh, load32(nsh) | (smd.unassigned & 0x10u) << 24 | (smd.unassigned & 15u) << 12);
    store32(nsh + 4, smd.spi << 8 | smd.si);
    store32(nsh + 8, context);
    store32(nsh + 12, std::uint32_t{smd_flags(smd)} << 16 | smd.initial_si << 8 | smd.skip_mask);
    store32(nsh + 16, smd.sci << 8 | smd.path_epoch);
    store32(nsh + 20, smd.tenant_vni << 8);
    store32(nsh + 24, smd.anchor_host);
    store32(nsh + 28, smd.anchor_port);
    store32(nsh + 32, smd.flow_handle);
    store32(nsh + 36, smd.flow_tag);
    store32(nsh + 40, cookie);
}

}  // namespace weir::net
