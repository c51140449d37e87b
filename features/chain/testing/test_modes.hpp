#pragma once
#include <algorithm>

#include "features/chain/testing/test_nodes.hpp"
#include "net/bytes.hpp"

// Nodes of every mode on the host of test_nodes.hpp, and what honest ones do with a frame.
namespace weir::chain::test {

enum class Kind : std::uint8_t { vlan, qinq, tuple, l3, marked, gwlb, gwlb6, type1, count_ };

inline net::Ip ip_of(const char* text) {
    return net::Ip::parse(text).value();
}

inline void make_bump(model::Snapshot& intent, NodeContexts contexts) {
    edit<ServiceNode>(intent, "n6", [&](ServiceNode& n) { n.contexts = contexts; });
}

inline void make_router(model::Snapshot& intent) {
    edit<Service>(intent, "ids", [](Service& s) { s.transports = {Transport::l3_routed}; });
    edit<ServiceNode>(intent, "n6", [](ServiceNode& n) {
        n.mode = NodeMode::l3;
        n.proxy_addresses = {ip_of("10.9.1.1"), ip_of("10.9.2.1"), ip_of("fd09:1::1"),
                             ip_of("fd09:2::1")};
    });
}

inline void make_appliance(model::Snapshot& intent, const char* own, const char* proxy) {
    edit<Service>(intent, "fw", [](Service& s) { s.transports = {Transport::gwlb_geneve}; });
    edit<model::Port>(intent, "n1", [&](model::Port& p) { p.addresses = {ip_of(own)}; });
    edit<ServiceNode>(intent, "n1", [&](ServiceNode& n) {
        n.mode = NodeMode::gwlb;
        n.proxy_addresses = {ip_of(proxy)};
    });
}

// The intent with n6 (two sides) or n1 (one) of that kind.
inline model::Snapshot intent_of(Kind kind) {
    model::Snapshot intent = node_intent();
    switch (kind) {
        case Kind::vlan:
            break;
        case Kind::qinq:
            make_bump(intent, NodeContexts::qinq);
            break;
        case Kind::tuple:
            make_bump(intent, NodeContexts::tuple);
            break;
        case Kind::l3:
            make_router(intent);
            break;
        case Kind::marked:
            make_router(intent);
            make_bump(intent, NodeContexts::mark);
            break;
        case Kind::gwlb:
            make_appliance(intent, "10.9.7.2", "10.9.7.1");
            break;
        case Kind::gwlb6:
            make_appliance(intent, "fd09:7::2", "fd09:7::1");
            break;
        case Kind::type1:
            edit<ServiceNode>(intent, "n1",
                              [](ServiceNode& n) { n.nsh_metadata = NshMetadata::type1; });
            break;
        case Kind::count_:
            break;
    }
    return intent;
}

inline bool has_two_sides(Kind kind) {
    return kind < Kind::gwlb;
}

inline std::uint32_t entry_port(Kind kind, bool reverse) {
    if (!has_two_sides(kind)) return aware_port;
    return reverse ? right_port : left_port;
}
inline std::uint32_t exit_port(Kind kind, bool reverse) {
    return has_two_sides(kind) ? entry_port(kind, !reverse) : aware_port;
}

// What an honest node sends for a frame that it got.
inline Frame served(const World& w, Kind kind, bool reverse, Frame frame) {
    if (kind == Kind::type1) return echoed(std::move(frame));
    if (kind == Kind::l3 || kind == Kind::marked) {
        const Side out = reverse ? Side::left : Side::right;
        const char* port = reverse ? "n6-left" : "n6-right";
        proxy_side_mac(l2_node, out).store(frame.data());
        w.intent.find<model::Port>(port)->mac.store(frame.data() + 6);
    }
    if (kind == Kind::gwlb || kind == Kind::gwlb6) {
        frame = echoed(std::move(frame));
        const std::size_t at = kind == Kind::gwlb ? 14 + 12 : 14 + 8;
        const std::size_t bytes = kind == Kind::gwlb ? 4 : 16;
        std::uint8_t* ip = frame.data() + at;
        std::swap_ranges(ip, ip + bytes, ip + bytes);
    }
    return frame;
}

}  // namespace weir::chain::test
