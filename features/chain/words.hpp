#pragma once
#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"

// The enumerations and small notations of service insertion, with their outside names.
namespace weir::chain {

template <class E, std::size_t N>
using EnumNames = std::array<std::pair<E, std::string_view>, N>;

enum class Functionality : std::uint8_t { ng_fw = 1, ids_ips, net_mon, other };
constexpr auto enum_names(Functionality) {
    using enum Functionality;
    return EnumNames<Functionality, 4>{
        {{ng_fw, "ng_fw"}, {ids_ips, "ids_ips"}, {net_mon, "net_mon"}, {other, "other"}}};
}

enum class Transport : std::uint8_t { nsh = 1, l2_bridge, l3_routed };
constexpr auto enum_names(Transport) {
    using enum Transport;
    return EnumNames<Transport, 3>{
        {{nsh, "nsh"}, {l2_bridge, "l2_bridge"}, {l3_routed, "l3_routed"}}};
}

// What happens to packets that cannot have their services (OBJ-24).
enum class FailurePolicy : std::uint8_t { allow = 1, block };
constexpr auto enum_names(FailurePolicy) {
    using enum FailurePolicy;
    return EnumNames<FailurePolicy, 2>{{{allow, "allow"}, {block, "block"}}};
}

// What a node's messages may do to a flow (OBJ-2).
enum class Privilege : std::uint8_t {
    exempt_chain = 1,
    change_path,
    change_chain,
    reset_flow,
    rewrite_headers
};
constexpr auto enum_names(Privilege) {
    using enum Privilege;
    return EnumNames<Privilege, 5>{{{exempt_chain, "exempt_chain"},
                                    {change_path, "change_path"},
                                    {change_chain, "change_chain"},
                                    {reset_flow, "reset_flow"},
                                    {rewrite_headers, "rewrite_headers"}}};
}

enum class HopAction : std::uint8_t { redirect = 1, copy };
constexpr auto enum_names(HopAction) {
    using enum HopAction;
    return EnumNames<HopAction, 2>{{{redirect, "redirect"}, {copy, "copy"}}};
}

// How packets are given to a node (DP-15).
enum class NodeMode : std::uint8_t { aware = 1, l2, l3 };
constexpr auto enum_names(NodeMode) {
    using enum NodeMode;
    return EnumNames<NodeMode, 3>{{{aware, "aware"}, {l2, "l2"}, {l3, "l3"}}};
}

// How an anchor orders the paths of a chain before weights count (PS-3).
enum class PathSelection : std::uint8_t { any = 1, local, remote, round_robin, weighted };
constexpr auto enum_names(PathSelection) {
    using enum PathSelection;
    return EnumNames<PathSelection, 5>{{{any, "any"},
                                        {local, "local"},
                                        {remote, "remote"},
                                        {round_robin, "round_robin"},
                                        {weighted, "weighted"}}};
}

// What the far port does with a flow that had the same chain already (DP-28).
enum class DuplicatePolicy : std::uint8_t { once = 1, twice };
constexpr auto enum_names(DuplicatePolicy) {
    using enum DuplicatePolicy;
    return EnumNames<DuplicatePolicy, 2>{{{once, "once"}, {twice, "twice"}}};
}

// Relative to the guest port: out = the first packet of the flow leaves the guest (OBJ-18).
enum class Direction : std::uint8_t { in = 1, out, in_out };
constexpr auto enum_names(Direction) {
    using enum Direction;
    return EnumNames<Direction, 3>{{{in, "in"}, {out, "out"}, {in_out, "in_out"}}};
}

enum class IpVersion : std::uint8_t { any = 1, ip4, ip6 };
constexpr auto enum_names(IpVersion) {
    using enum IpVersion;
    return EnumNames<IpVersion, 3>{{{any, "any"}, {ip4, "ip4"}, {ip6, "ip6"}}};
}

enum class Protocol : std::uint8_t { any = 1, tcp, udp, icmp, sctp };  // icmp: of either IP version
constexpr auto enum_names(Protocol) {
    using enum Protocol;
    return EnumNames<Protocol, 5>{
        {{any, "any"}, {tcp, "tcp"}, {udp, "udp"}, {icmp, "icmp"}, {sctp, "sctp"}}};
}

enum class NodeState : std::uint8_t { up = 1, down };
constexpr auto enum_names(NodeState) {
    using enum NodeState;
    return EnumNames<NodeState, 2>{{{up, "up"}, {down, "down"}}};
}

// Ports of TCP, UDP or SCTP: "80" or "8000-8099".
struct PortRange {
    std::uint16_t first = 0, last = 0;

    static constexpr std::string_view notation = "port range";
    static Result<PortRange> parse(std::string_view text) {
        const auto dash = text.find('-');
        const auto low = number(text.substr(0, dash));
        const auto high = dash == text.npos ? low : number(text.substr(dash + 1));
        if (low < 0 || high < 0)
            return Error{Errc::invalid, "", "", "not a port (0 to 65535) or a range like 80-90"};
        if (low > high) return Error{Errc::invalid, "", "", "the range ends before it starts"};
        return PortRange{static_cast<std::uint16_t>(low), static_cast<std::uint16_t>(high)};
    }
    std::string text() const {
        return first == last ? std::to_string(first)
                             : std::to_string(first) + "-" + std::to_string(last);
    }
    bool contains(std::uint16_t port) const { return first <= port && port <= last; }
    friend auto operator<=>(const PortRange&, const PortRange&) = default;

private:
    static int number(std::string_view text) {
        int value = -1;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool whole = error == std::errc() && end == text.data() + text.size();
        return whole && value >= 0 && value <= 0xffff ? value : -1;
    }
};

}  // namespace weir::chain
