#include <utility>

#include "features/chain/node/from_node_work.hpp"
#include "net/wire.hpp"

// Packets that a node which ends TCP connections makes itself: nothing that was given to it comes
// back, but what it says belongs to flows that it was given.
namespace weir::chain::from {
namespace {

constexpr unsigned most_looked_at = 64;  // contexts of each age, for a connection that is opened

std::uint8_t turned_mask(std::uint8_t mask, unsigned hops) {
    unsigned out = 0;
    for (unsigned hop = 0; hop < hops; ++hop)
        if (mask >> hop & 1u) out |= 1u << (hops - 1 - hop);
    return static_cast<std::uint8_t>(out);
}

// The metadata of the other direction at this node: replies pass the same nodes (validate.cpp).
net::Smd turned(const net::Smd& from) {
    net::Smd to = from;
    to.reverse = !from.reverse;
    to.at_ingress = !from.at_ingress;
    to.si = static_cast<std::uint8_t>(from.initial_si - from.si + 1);
    to.skip_mask = turned_mask(from.skip_mask, from.initial_si);
    to.ttl = net::Smd{}.ttl;
    to.trace = to.live_query = to.live_ack = false;
    std::swap(to.original_dst, to.original_src);
    return to;
}

// FlowContext::answered.
constexpr std::uint8_t has_connection = 1, made_by_node = 2;

// The client that a connection is opened for: of those to the same server, the one that came last
// and has none yet, or else the last. All are of one guest, so that a mistake among them is none.
FlowContext* client_of(const net::Tuple& tuple, std::uint8_t slot, Work& work) {
    FlowContext* last = nullptr;
    FlowContext* waiting = work.state.binding.flow_contexts().find_if(
        slot, work.emit.now_ns, most_looked_at, [&](FlowContext& c) {
            if (!c.knows(false) || c.answered == made_by_node || c.tuple.proto != tuple.proto ||
                c.tuple.src != tuple.src || c.tuple.dst != tuple.dst ||
                c.tuple.dst_port != tuple.dst_port || c.tuple.src_port == tuple.src_port)
                return false;
            if (!last || c.used_ns > last->used_ns) last = &c;
            return c.answered == 0;
        });
    return waiting ? waiting : last;
}

}  // namespace

FlowContext* begun_by_node(Packet& p, bool reverse, const NodeTable::Place& place, Work& work) {
    if (p.headers.proto != net::proto_tcp || p.headers.icmp_error ||
        p.headers.fragment != net::Fragment::whole)
        return nullptr;
    NodeBinding& binding = work.state.binding;
    const std::uint8_t slot = binding.slot_number(place.node);
    FlowContexts& contexts = binding.flow_contexts();
    const bool opens = !reverse && (p.headers.tcp_flags & (net::tcp_syn | net::tcp_ack)) ==
                                       net::tcp_syn;
    FlowContext* asked =
        contexts.find(p.tuple.reversed(), !reverse, slot, work.emit.now_ns);
    FlowContext* client = !asked && opens ? client_of(p.tuple, slot, work) : nullptr;
    const FlowContext* base = asked ? asked : client;
    if (!base) return nullptr;
    const net::Smd smd = asked ? turned(asked->smd[reverse ? 0 : 1]) : client->smd[0];
    if (smd.copy) return nullptr;
    const auto tags = base->tags;
    const std::uint8_t tag_count = base->tag_count;
    // May take the client's own place, where all are taken.
    const auto made = contexts.refresh({slot, ContextOf::tuple, smd, p.headers, p.tuple},
                                       work.emit.now_ns);
    if (!made.context) return nullptr;
    if (client) client->answered = has_connection;
    made.context->answered = made_by_node;
    made.context->tag_count = tag_count;
    made.context->tags = tags;
    return made.context;
}

}  // namespace weir::chain::from
