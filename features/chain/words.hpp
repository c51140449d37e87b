#pragma once
#include <cstdint>

#include "model/match.hpp"

// The enumerations of service insertion, with their outside names.
namespace weir::chain {

using model::Direction;
using model::EnumNames;
using model::IpVersion;
using model::PortRange;
using model::Protocol;

enum class Functionality : std::uint8_t { ng_fw = 1, ids_ips, net_mon, other };
constexpr auto enum_names(Functionality) {
    using enum Functionality;
    return EnumNames<Functionality, 4>{
        {{ng_fw, "ng_fw"}, {ids_ips, "ids_ips"}, {net_mon, "net_mon"}, {other, "other"}}};
}

enum class Transport : std::uint8_t { nsh = 1, l2_bridge, l3_routed, gwlb_geneve };
constexpr auto enum_names(Transport) {
    using enum Transport;
    return EnumNames<Transport, 4>{{{nsh, "nsh"},
                                    {l2_bridge, "l2_bridge"},
                                    {l3_routed, "l3_routed"},
                                    {gwlb_geneve, "gwlb_geneve"}}};
}

// What happens to packets that cannot have their services (OBJ-24).
enum class FailurePolicy : std::uint8_t { allow = 1, block, reset };
constexpr auto enum_names(FailurePolicy) {
    using enum FailurePolicy;
    return EnumNames<FailurePolicy, 3>{{{allow, "allow"}, {block, "block"}, {reset, "reset"}}};
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

constexpr std::uint8_t bit(Privilege privilege) {
    return static_cast<std::uint8_t>(1u << static_cast<unsigned>(privilege));
}

enum class HopAction : std::uint8_t { redirect = 1, copy };
constexpr auto enum_names(HopAction) {
    using enum HopAction;
    return EnumNames<HopAction, 2>{{{redirect, "redirect"}, {copy, "copy"}}};
}

// How packets are given to a node (DP-15).
enum class NodeMode : std::uint8_t { aware = 1, l2, l3, gwlb };
constexpr auto enum_names(NodeMode) {
    using enum NodeMode;
    return EnumNames<NodeMode, 4>{{{aware, "aware"}, {l2, "l2"}, {l3, "l3"}, {gwlb, "gwlb"}}};
}

// Which service header an aware node gets (HD-3, HD-4).
enum class NshMetadata : std::uint8_t { type2 = 1, type1 };
constexpr auto enum_names(NshMetadata) {
    using enum NshMetadata;
    return EnumNames<NshMetadata, 2>{{{type2, "type2"}, {type1, "type1"}}};
}

// How packets inside a node that carries no metadata are told apart (DP-16).
enum class NodeContexts : std::uint8_t { automatic = 1, vlan, qinq, tuple, mark, proxy };
constexpr auto enum_names(NodeContexts) {
    using enum NodeContexts;
    return EnumNames<NodeContexts, 6>{{{automatic, "automatic"},
                                       {vlan, "vlan"},
                                       {qinq, "qinq"},
                                       {tuple, "tuple"},
                                       {mark, "mark"},
                                       {proxy, "proxy"}}};
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

// Where the number of a flow comes from, which its path is chosen by (PS-4).
enum class FlowNumbers : std::uint8_t { hash = 1, random };
constexpr auto enum_names(FlowNumbers) {
    using enum FlowNumbers;
    return EnumNames<FlowNumbers, 2>{{{hash, "hash"}, {random, "random"}}};
}

// What the far port does with a flow that had the same chain already (DP-28).
enum class DuplicatePolicy : std::uint8_t { once = 1, twice };
constexpr auto enum_names(DuplicatePolicy) {
    using enum DuplicatePolicy;
    return EnumNames<DuplicatePolicy, 2>{{{once, "once"}, {twice, "twice"}}};
}

enum class NodeState : std::uint8_t { up = 1, down };
constexpr auto enum_names(NodeState) {
    using enum NodeState;
    return EnumNames<NodeState, 2>{{{up, "up"}, {down, "down"}}};
}

// What a node's manager says of it (OBJ-6).
enum class PartnerState : std::uint8_t { healthy = 1, stopped, not_responding };
constexpr auto enum_names(PartnerState) {
    using enum PartnerState;
    return EnumNames<PartnerState, 3>{
        {{healthy, "healthy"}, {stopped, "stopped"}, {not_responding, "not_responding"}}};
}

// How far the move of a node to another host is (MB-9).
enum class MovePhase : std::uint8_t { announced = 1, frozen, arriving, arrived };
constexpr auto enum_names(MovePhase) {
    using enum MovePhase;
    return EnumNames<MovePhase, 4>{{{announced, "announced"},
                                    {frozen, "frozen"},
                                    {arriving, "arriving"},
                                    {arrived, "arrived"}}};
}

// How far a node is that operators have deleted.
enum class LeavingPhase : std::uint8_t { draining = 1, gone };
constexpr auto enum_names(LeavingPhase) {
    using enum LeavingPhase;
    return EnumNames<LeavingPhase, 2>{{{draining, "draining"}, {gone, "gone"}}};
}

// When the paths of a chain are made (PS-9, PS-10).
enum class PathMode : std::uint8_t { planned = 1, on_demand };
constexpr auto enum_names(PathMode) {
    using enum PathMode;
    return EnumNames<PathMode, 2>{{{planned, "static"}, {on_demand, "on_demand"}}};
}

enum class LatencyAction : std::uint8_t { alarm = 1, drain };
constexpr auto enum_names(LatencyAction) {
    using enum LatencyAction;
    return std::array<std::pair<LatencyAction, std::string_view>, 2>{
        {{alarm, "alarm"}, {drain, "drain"}}};
}

}  // namespace weir::chain
