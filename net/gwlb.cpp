#include "net/gwlb.hpp"

#include <array>

#include "net/bytes.hpp"
#include "net/wire.hpp"

namespace weir::net {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t option_header_bytes = 4;
constexpr unsigned all_seen = 1u << gwlb_endpoint | 1u << gwlb_attachment | 1u << gwlb_cookie;

std::size_t content_bytes(std::uint8_t type) {
    return type == gwlb_cookie ? 4 : 8;
}

GwlbError read_ours(std::uint8_t type, Bytes content, Gwlb& gwlb, unsigned& seen) {
    if (seen & 1u << type || content.size() != content_bytes(type)) return GwlbError::bad_option;
    seen |= 1u << type;
    if (type == gwlb_endpoint) gwlb.endpoint = load64(content.data());
    if (type == gwlb_attachment) gwlb.attachment = load64(content.data());
    if (type == gwlb_cookie) gwlb.cookie = load32(content.data());
    return GwlbError::none;
}

GwlbError read_options(Bytes rest, Gwlb& gwlb) {
    unsigned seen = 0;
    while (!rest.empty()) {
        if (rest.size() < option_header_bytes) return GwlbError::options_overrun;
        const std::size_t length = option_header_bytes + (rest[3] & 31u) * 4u;
        if (length > rest.size()) return GwlbError::options_overrun;
        const std::uint8_t type = rest[2];
        if (load16(rest.data()) == gwlb_class && type >= gwlb_endpoint && type <= gwlb_cookie) {
            const Bytes content = rest.first(length).subspan(option_header_bytes);
            const GwlbError error = read_ours(type, content, gwlb, seen);
            if (error != GwlbError::none) return error;
        } else if (type & 0x80) {
            return GwlbError::unknown_critical;
        }
        rest = rest.subspan(length);
    }
    return seen == all_seen ? GwlbError::none : GwlbError::missing_option;
}

std::uint8_t* write_option(std::uint8_t* at, std::uint8_t type) {
    store16(at, gwlb_class);
    at[2] = type;
    at[3] = static_cast<std::uint8_t>(content_bytes(type) / 4);
    return at + option_header_bytes;
}

}  // namespace

const char* name(GwlbError error) {
    static constexpr std::array<const char*, static_cast<std::size_t>(GwlbError::count_)> names = {
        "none",         "short_header", "bad_version",    "options_overrun",
        "bad_protocol", "bad_option",   "missing_option", "unknown_critical"};
    return error < GwlbError::count_ ? names[static_cast<std::size_t>(error)] : "unknown";
}

GwlbError decode_gwlb(Bytes bytes, GwlbView& view) {
    view = GwlbView{};
    if (bytes.size() < geneve_bytes) return GwlbError::short_header;
    if (bytes[0] >> 6 != 0) return GwlbError::bad_version;
    const std::size_t header = geneve_bytes + (bytes[0] & 63u) * 4u;
    if (header > bytes.size()) return GwlbError::options_overrun;
    view.protocol = load16(bytes.data() + 2);
    if (view.protocol != ethertype_ip4 && view.protocol != ethertype_ip6)
        return GwlbError::bad_protocol;
    const GwlbError error = read_options(bytes.first(header).subspan(geneve_bytes), view.gwlb);
    if (error != GwlbError::none) return error;
    view.header_bytes = static_cast<std::uint16_t>(header);
    view.inner = bytes.subspan(header);
    return GwlbError::none;
}

bool push_gwlb(Packet& packet, const Gwlb& gwlb, std::uint16_t protocol) {
    std::uint8_t* p = packet.prepend(gwlb_bytes);
    if (!p) return false;
    store32(p, (gwlb_bytes - geneve_bytes) / 4 << 24 | protocol);
    store32(p + 4, 0);  // VNI
    std::uint8_t* at = write_option(p + geneve_bytes, gwlb_endpoint);
    store64(at, gwlb.endpoint);
    at = write_option(at + 8, gwlb_attachment);
    store64(at, gwlb.attachment);
    at = write_option(at + 8, gwlb_cookie);
    store32(at, gwlb.cookie);
    return true;
}

}  // namespace weir::net
