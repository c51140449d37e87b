#include "net/dhcp.hpp"

#include "net/bytes.hpp"
#include "net/wire.hpp"

namespace weir::net {
namespace {

constexpr std::uint16_t server_port = 67, client_port = 68;
constexpr std::uint32_t fixed_bytes = 236, magic_cookie = 0x63825363;
constexpr std::uint8_t boot_reply = 2, option_pad = 0, option_lease_time = 51, option_type = 53,
                       option_end = 255, type_ack = 5;

struct Options {
    std::uint8_t type = 0;
    std::uint32_t lease_s = 0;
};

std::optional<Options> read_options(std::span<const std::uint8_t> bytes) {
    Options found;
    while (!bytes.empty() && bytes[0] != option_end) {
        if (bytes[0] == option_pad) {
            bytes = bytes.subspan(1);
            continue;
        }
        if (bytes.size() < 2 || bytes.size() < 2u + bytes[1]) return std::nullopt;
        if (bytes[0] == option_type && bytes[1] == 1) found.type = bytes[2];
        if (bytes[0] == option_lease_time && bytes[1] == 4)
            found.lease_s = load32(bytes.data() + 2);
        bytes = bytes.subspan(2u + bytes[1]);
    }
    return found;
}

}  // namespace

std::optional<DhcpLease> read_dhcp_ack(const Packet& packet) {
    const Headers& headers = packet.headers;
    const bool from_server = headers.family == Family::ip4 && headers.proto == proto_udp &&
                             headers.l4 != 0 && headers.fragment == Fragment::whole &&
                             packet.tuple.src_port == server_port &&
                             packet.tuple.dst_port == client_port;
    if (!from_server || headers.payload + fixed_bytes + 4 > headers.l3_end) return std::nullopt;
    const std::uint8_t* p = packet.data + headers.payload;
    if (p[0] != boot_reply || p[1] != 1 || p[2] != 6 || load32(p + fixed_bytes) != magic_cookie)
        return std::nullopt;
    const std::uint32_t start = headers.payload + fixed_bytes + 4;
    const auto options = read_options({packet.data + start, headers.l3_end - start});
    DhcpLease lease{Mac::from(p + 28), Ip::from4(p + 16), options ? options->lease_s : 0};
    const bool usable = options && options->type == type_ack && !lease.address.is_zero() &&
                        !lease.client.is_zero() && !lease.client.is_multicast();
    return usable ? std::optional(lease) : std::nullopt;
}

}  // namespace weir::net
