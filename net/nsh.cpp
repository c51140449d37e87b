#include "net/nsh.hpp"

#include <array>

#include "net/bytes.hpp"
#include "net/smd_codec.hpp"

namespace weir::net {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t fixed_bytes = 8;  // base header and service path header
constexpr std::size_t context_header_bytes = 4;
constexpr std::size_t context_bytes = 32, control_bytes = 8;
constexpr std::uint8_t next_none = 0, next_ethernet = 3;  // RFC 8393, RFC 8300 §2.2
constexpr std::uint8_t default_ttl = 63;

std::size_t bytes_of(const Nsh& nsh) {
    if (nsh.md_type == MdType::fixed) return nsh_md1_bytes;
    return nsh_md2_bytes + (nsh.control ? context_header_bytes + control_bytes : 0);
}

void write_base(std::uint8_t* p, const Nsh& nsh, std::size_t bytes, bool header_only) {
    const unsigned first = (nsh.smd.oam ? 0x2000u : 0) | (nsh.smd.unassigned & 0x10u) << 8 |
                           (nsh.smd.ttl & 0x3fu) << 6 | static_cast<unsigned>(bytes / 4);
    store16(p, static_cast<std::uint16_t>(first));
    p[2] = static_cast<std::uint8_t>((nsh.smd.unassigned & 15) << 4 |
                                     static_cast<std::uint8_t>(nsh.md_type));
    p[3] = header_only ? next_none : next_ethernet;
    store32(p + 4, nsh.smd.spi << 8 | nsh.smd.si);
}

void write_md1(std::uint8_t* p, const Nsh& nsh) {
    store16(p, static_cast<std::uint16_t>((smd_flags(nsh.smd) & 0xfff0) | (nsh.flow_action & 15)));
    p[2] = nsh.smd.initial_si;
    p[3] = 0;
    store32(p + 4, nsh.smd.sci << 8 | nsh.smd.path_epoch);
    store32(p + 8, nsh.smd.flow_tag);
    store32(p + 12, nsh.cookie);
}

void read_md1(const std::uint8_t* p, Nsh& nsh) {
    set_smd_flags(nsh.smd, load16(p) & 0xfff0);
    nsh.flow_action = p[1] & 15;
    nsh.smd.initial_si = p[2];
    nsh.smd.sci = load32(p + 4) >> 8;
    nsh.smd.path_epoch = p[7];
    nsh.smd.flow_tag = load32(p + 8);
    nsh.cookie = load32(p + 12);
}

std::uint8_t* start_context(std::uint8_t* at, std::uint8_t type, std::size_t bytes) {
    store16(at, nsh_class);
    at[2] = type;
    at[3] = static_cast<std::uint8_t>(bytes);
    return at + context_header_bytes;
}

void write_md2(std::uint8_t* p, const Nsh& nsh) {
    p = start_context(p, nsh_context, context_bytes);
    store16(p, smd_flags(nsh.smd));
    p[2] = nsh.smd.initial_si;
    p[3] = nsh.smd.skip_mask;
    store32(p + 4, nsh.smd.sci << 8 | nsh.smd.path_epoch);
    store32(p + 8, nsh.smd.tenant_vni << 8);
    store32(p + 12, nsh.smd.anchor_host);
    store32(p + 16, nsh.smd.anchor_port);
    store32(p + 20, nsh.smd.flow_handle);
    store32(p + 24, nsh.smd.flow_tag);
    store32(p + 28, nsh.cookie);
    if (!nsh.control) return;
    p = start_context(p + context_bytes, nsh_control, control_bytes);
    p[0] = nsh.control->operation;
    p[1] = nsh.control->scope;
    p[2] = nsh.control->reason;
    p[3] = 0;
    store32(p + 4, nsh.control->parameter);
}

void read_context(const std::uint8_t* p, Nsh& nsh) {
    set_smd_flags(nsh.smd, load16(p));
    nsh.smd.initial_si = p[2];
    nsh.smd.skip_mask = p[3];
    nsh.smd.sci = load32(p + 4) >> 8;
    nsh.smd.path_epoch = p[7];
    nsh.smd.tenant_vni = load32(p + 8) >> 8;
    nsh.smd.anchor_host = load32(p + 12);
    nsh.smd.anchor_port = load32(p + 16);
    nsh.smd.flow_handle = load32(p + 20);
    nsh.smd.flow_tag = load32(p + 24);
    nsh.cookie = load32(p + 28);
}

NshError read_md2(Bytes rest, Nsh& nsh) {
    bool context_seen = false;
    while (!rest.empty()) {
        if (rest.size() < context_header_bytes) return NshError::context_overrun;
        const std::size_t length = rest[3] & 0x7f;
        const std::size_t padded = context_header_bytes + (length + 3) / 4 * 4;
        if (padded > rest.size()) return NshError::context_overrun;
        const std::uint8_t* content = rest.data() + context_header_bytes;
        const bool ours = load16(rest.data()) == nsh_class;
        if (ours && rest[2] == nsh_context) {
            if (context_seen) return NshError::duplicate_context;
            if (length != context_bytes) return NshError::bad_context_length;
            read_context(content, nsh);
            context_seen = true;
        } else if (ours && rest[2] == nsh_control) {
            if (nsh.control) return NshError::duplicate_control;
            if (length != control_bytes) return NshError::bad_control_length;
            nsh.control = NodeControl{content[0], content[1], content[2], load32(content + 4)};
        }
        rest = rest.subspan(padded);
    }
    return context_seen ? NshError::none : NshError::missing_context;
}

NshError check_base(Bytes bytes, std::size_t header_bytes) {
    const std::uint8_t md_type = bytes[2] & 15, next = bytes[3];
    if (bytes[0] >> 6 != 0) return NshError::bad_version;
    if (header_bytes < fixed_bytes || header_bytes > bytes.size()) return NshError::bad_length;
    if (md_type != 1 && md_type != 2) return NshError::unsupported_md_type;
    const bool header_only = next == next_none && (bytes[0] & 0x20) != 0;
    if (next != next_ethernet && !header_only) return NshError::unsupported_next_protocol;
    return md_type == 1 && header_bytes != nsh_md1_bytes ? NshError::bad_md1_length
                                                         : NshError::none;
}

}  // namespace

const char* name(NshError error) {
    static constexpr std::array<const char*, static_cast<std::size_t>(NshError::count_)> names = {
        "none",
        "short_header",
        "bad_version",
        "bad_length",
        "unsupported_md_type",
        "unsupported_next_protocol",
        "bad_md1_length",
        "context_overrun",
        "missing_context",
        "duplicate_context",
        "bad_context_length",
        "duplicate_control",
        "bad_control_length",
        "bad_smd_version"};
    return error < NshError::count_ ? names[static_cast<std::size_t>(error)] : "unknown";
}

NshError decode_nsh(Bytes bytes, NshView& view) {
    view = NshView{};
    if (bytes.size() < fixed_bytes) return NshError::short_header;
    const std::uint16_t first = load16(bytes.data());
    const std::size_t header_bytes = (first & 0x3fu) * 4;
    NshError error = check_base(bytes, header_bytes);
    if (error != NshError::none) return error;
    Nsh& nsh = view.nsh;
    nsh.md_type = static_cast<MdType>(bytes[2] & 15);
    nsh.smd.unassigned = static_cast<std::uint8_t>((first >> 8 & 0x10) | bytes[2] >> 4);
    const Bytes rest = bytes.first(header_bytes).subspan(fixed_bytes);
    if (nsh.md_type == MdType::fixed) read_md1(rest.data(), nsh);
    else error = read_md2(rest, nsh);
    if (error != NshError::none) return error;
    if (nsh.smd.version != 0) return NshError::bad_smd_version;
    nsh.smd.oam = (first & 0x2000) != 0;
    const std::uint8_t ttl = first >> 6 & 0x3f;
    nsh.smd.ttl = ttl == 0 ? default_ttl : ttl;
    nsh.smd.spi = load32(bytes.data() + 4) >> 8;
    nsh.smd.si = bytes[7];
    view.header_bytes = static_cast<std::uint16_t>(header_bytes);
    if (bytes[3] == next_ethernet) view.inner = bytes.subspan(header_bytes);
    return NshError::none;
}

bool push_nsh(Packet& packet, const Nsh& nsh) {
    const bool header_only = packet.length == 0;
    const std::size_t bytes = bytes_of(nsh);
    std::uint8_t* p = packet.prepend(static_cast<std::uint32_t>(bytes));
    if (!p) return false;
    write_base(p, nsh, bytes, header_only);
    if (nsh.md_type == MdType::fixed) write_md1(p + fixed_bytes, nsh);
    else write_md2(p + fixed_bytes, nsh);
    return true;
}

}  // namespace weir::net
