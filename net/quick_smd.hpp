#pragma once
#include <cstdint>

#include "net/bytes.hpp"
#include "net/geneve.hpp"
#include "net/smd_codec.hpp"

namespace weir::net {

// Geneve with the metadata as its only option, behind the first eight bytes.
inline constexpr std::uint32_t smd_option_bytes = 4 + smd_bytes;

// Reads the Geneve option that nearly all packets have between hosts of a service segment: ours,
// with no flags but direction, call point and return. decode() of net/geneve.hpp is what everything
// else needs, and the judge: what is read here, it reads the same way (quick_smd_test.cpp).
// `option` has smd_option_bytes. False: decode() must look; `smd` is meaningless then.
inline bool read_quick_smd(const std::uint8_t* option, Smd& smd) {
    constexpr std::uint32_t header =
        std::uint32_t{option_class} << 16 | option_smd << 8 | smd_bytes / 4;
    constexpr std::uint32_t direction = 1u << 28, call_point = 1u << 27, back = 1u << 26;
    constexpr std::uint32_t read_bits = direction | call_point | back | 0x3fff;  // ZZ is 0
    const std::uint8_t* content = option + 4;
    const std::uint32_t first = load32(content);
    if (load32(option) != header || (first & ~read_bits) != 0) return false;
    const std::uint32_t path = load32(content + 4), chain = load32(content + 8),
                        tenant = load32(content + 12);
    smd = {};
    smd.ttl = static_cast<std::uint8_t>(first >> 8 & 0x3f);
    smd.initial_si = static_cast<std::uint8_t>(first);
    smd.reverse = (first & direction) != 0;
    smd.at_ingress = (first & call_point) != 0;
    smd.returning = (first & back) != 0;
    smd.spi = path >> 8;
    smd.si = static_cast<std::uint8_t>(path);
    smd.sci = chain >> 8;
    smd.path_epoch = static_cast<std::uint8_t>(chain);
    smd.tenant_vni = tenant >> 8;
    smd.skip_mask = static_cast<std::uint8_t>(tenant);
    smd.anchor_host = load32(content + 16);
    smd.anchor_port = load32(content + 20);
    smd.flow_handle = load32(content + 24);
    smd.flow_tag = load32(content + 28);
    smd.original_dst = Mac::from(content + 32);
    smd.original_src = Mac::from(content + 38);
    return true;
}

}  // namespace weir::net
