#pragma once
#include <cstdint>

#include "features/chain/anchor/draws.hpp"
#include "features/chain/anchor/insert_tables.hpp"
#include "features/chain/anchor/outages.hpp"
#include "flow/table.hpp"
#include "net/packet.hpp"
#include "net/wire.hpp"

namespace weir::chain {

enum class CallPoint : std::uint8_t { egress = 0, ingress = 1 };  // as in the SMD's P

enum class Decision : std::uint8_t {
    none = 0,
    pass,            // no services for this flow
    foreign,         // the other end of the flow saw to it (DP-28)
    bypass,          // the chain cannot be applied and lets packets pass
    redirect,        // to `path`
    no_active_path,  // the chain cannot be applied and blocks
    exempt,          // a node ordered that the rest goes without services
    drop,            // … is dropped here
    reset,           // … is dropped here and its sender told
    cut_off,         // the chain cannot be applied and resets
    wait,            // the chain cannot be applied now, and lets packets wait
};

// What is done with a packet, and what happened on the way there.
struct Decided {
    Decision what = Decision::none;
    const Chain* chain = nullptr;
    const Path* path = nullptr;
    const CompiledRule* rule = nullptr;  // that was found, if rules were asked
    std::uint32_t left_spi = 0;          // of the path the flow was on before
    bool reverse = false;                // D: the packet runs against the flow's service direction
    bool fresh = false;                  // the flow had no decision before
    bool looked_up = false;              // rules were asked
    bool exempt = false;                 // a protocol that never has services (DP-5)
    bool new_on_path = false;            // the flow got this path now
    bool failed = false;                 // the failure policy took hold now
    bool unknown_chain = false;          // nothing more than that is known of the rule's chain
    std::uint64_t outage = 0;            // wait: Outages::key() of what it waits for
};

struct DecideInput {
    const InsertTables& tables;
    const dataplane::HealthBoard& health;
    std::uint32_t port = net::no_port;
    CallPoint call_point = CallPoint::egress;
    const net::Packet& packet;
    flow::Table& flows;          // that have the record
    bool state_lost = false;     // a flow that seems new may be old (DP-11)
    Outages* outages = nullptr;  // null: nothing waits
    std::uint64_t now_ns = 0;
    Draws* draws = nullptr;  // null: no number comes by chance
};

// Decides, or keeps what the record says as far as it still holds (DP-9, DP-11, DP-28, §5.5), and
// writes the decision into the record. A flow that is blocked keeps its record as it was, so that
// it goes on when its path is usable again; so is one that may wait, and one whose decision finds
// no room, if its chain blocks. Pure but for the record and the outages.
Decided decide(flow::FlowPair& pair, const DecideInput& input);

// Neighbour discovery and DHCP keep the guest attached; they never have services (DP-5).
inline bool is_exempt(const net::Tuple& tuple) {
    constexpr std::uint16_t first_nd = 133, last_nd = 137;
    const auto dhcp = [](std::uint16_t port) {
        return port == 67 || port == 68 || port == 546 || port == 547;
    };
    if (tuple.proto == net::proto_icmp6)
        return tuple.dst_port == tuple.src_port && first_nd <= tuple.dst_port &&
               tuple.dst_port <= last_nd;
    return tuple.proto == net::proto_udp && dhcp(tuple.src_port) && dhcp(tuple.dst_port);
}

}  // namespace weir::chain
