#include "features/chain/orders/ctrl.hpp"

#include <algorithm>
#include <array>

#include "net/bytes.hpp"
#include "net/hash.hpp"

namespace weir::chain {

void encode(const Ctrl& ctrl, std::span<std::uint8_t, net::ctrl_bytes> out) {
    std::uint8_t* p = out.data();
    p[0] = static_cast<std::uint8_t>(ctrl.version << 4);
    p[1] = ctrl.op;
    p[2] = ctrl.scope;
    p[3] = ctrl.reason;
    net::store32(p + 4, ctrl.flow_handle);
    net::store32(p + 8, ctrl.issuer);
    net::store32(p + 12, ctrl.sequence);
    net::store16(p + 16, ctrl.valid_s);
    p[18] = ctrl.hop;
    p[19] = 0;
    net::store32(p + 20, ctrl.parameter);
    net::store32(p + 24, ctrl.digest);
}

CtrlError decode(std::span<const std::uint8_t> in, Ctrl& ctrl) {
    if (in.size() != net::ctrl_bytes) return CtrlError::bad_length;
    const std::uint8_t* p = in.data();
    Ctrl read;
    read.version = p[0] >> 4;
    read.op = p[1];
    read.scope = p[2];
    read.reason = p[3];
    read.flow_handle = net::load32(p + 4);
    read.issuer = net::load32(p + 8);
    read.sequence = net::load32(p + 12);
    read.valid_s = net::load16(p + 16);
    read.hop = p[18];
    read.parameter = net::load32(p + 20);
    read.digest = net::load32(p + 24);
    if (read.version != 0) return CtrlError::bad_version;
    if (read.op < static_cast<std::uint8_t>(CtrlOp::flow_allow) ||
        read.op > static_cast<std::uint8_t>(CtrlOp::stale_path))
        return CtrlError::bad_op;
    const bool node_scope = read.scope == ctrl_node_scope;
    const bool flow_scope = read.scope != 0 && (read.scope & ~(ctrl_forward | ctrl_reverse)) == 0;
    if (!(node_scope && read.flow_handle == 0) && !(flow_scope && read.flow_handle != 0))
        return CtrlError::bad_scope;
    ctrl = read;
    return CtrlError::none;
}

std::uint32_t flow_digest(const net::Tuple& tuple, std::uint32_t tenant_vni) {
    using Endpoint = std::array<std::uint8_t, 18>;
    const auto endpoint = [](const net::Ip& ip, std::uint16_t port) {
        Endpoint out{};
        std::ranges::copy(ip.bytes, out.begin());
        net::store16(out.data() + 16, port);
        return out;
    };
    const Endpoint a = endpoint(tuple.src, tuple.src_port), b = endpoint(tuple.dst, tuple.dst_port);
    std::array<std::uint8_t, 5> rest{tuple.proto};
    net::store32(rest.data() + 1, tenant_vni);
    return net::crc32c(rest, net::crc32c(std::max(a, b), net::crc32c(std::min(a, b))));
}

const char* name(CtrlError error) {
    static constexpr std::array<const char*, 5> names = {"none", "bad_length", "bad_version",
                                                         "bad_op", "bad_scope"};
    return names[static_cast<std::size_t>(error)];
}

}  // namespace weir::chain
