#include "features/chain/liveness/health_check.hpp"
#include "features/chain/node/from_node_work.hpp"
#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/ethernet.hpp"
#include "net/gwlb.hpp"
#include "net/parse.hpp"
#include "net/wire.hpp"

// Packets that an appliance gives back in the encapsulation of AWS Gateway Load Balancers.
namespace weir::chain::from {
namespace {

enum class Way : std::uint8_t { unknown, forward, reverse };

bool same_addresses(const net::Tuple& a, const net::Tuple& b) {
    return a.src == b.src && a.dst == b.dst && a.proto == b.proto;
}

// The context knows both directions; which one it was, the packet says itself. A node that may
// rewrite headers changes one end, not both.
Way way_of(const Packet& p, const net::Tuple& forward, bool may_rewrite) {
    const net::Tuple reverse = forward.reversed();
    if (p.headers.fragment == net::Fragment::later) {
        if (same_addresses(p.tuple, forward)) return Way::forward;
        if (same_addresses(p.tuple, reverse)) return Way::reverse;
    }
    if (p.tuple == forward) return Way::forward;
    if (p.tuple == reverse) return Way::reverse;
    if (!may_rewrite) return Way::unknown;
    const auto shares = [&](const net::Tuple& t) {
        return p.tuple.src == t.src || p.tuple.dst == t.dst;
    };
    if (shares(forward) != shares(reverse)) return shares(forward) ? Way::forward : Way::reverse;
    return Way::unknown;
}

// Takes the outer headers off; the packet is a frame of the guest's again, but for its MACs.
bool uncover(Packet& p, const net::GwlbView& view) {
    const auto outer = static_cast<std::uint32_t>(view.inner.data() - p.data);
    p.trim_to(outer + static_cast<std::uint32_t>(view.inner.size()));
    p.strip(outer);
    std::uint8_t* front = p.prepend(net::ethernet_bytes);
    if (!front) return false;
    net::store16(front + 12, view.protocol);
    // What was left to a device was left for the outer headers.
    p.flags &=
        static_cast<std::uint16_t>(~(net::packet_partial_checksum | net::packet_super_frame));
    return true;
}

Exit take_back_inner(Packet& p, const net::GwlbView& view, FlowContext& context,
                     const NodeTable::Place& place, Work& work) {
    const LocalNode& node = node_at(place, work);
    if (!uncover(p, view)) return Exit::bad_frame;
    if (net::parse(p) != net::ParseError::none || p.headers.family == net::Family::none)
        return Exit::bad_frame;
    const Way way = way_of(p, context.tuple, node.may_rewrite);
    if (way == Way::unknown) return Exit::immutable_tamper;
    const bool reverse = way == Way::reverse;
    if (!context.knows(reverse)) return Exit::no_context;
    const net::Smd& sent = context.of(reverse);
    if (view.gwlb.endpoint != (std::uint64_t{node.svni} << 32 | sent.tenant_vni) ||
        view.gwlb.attachment != sent.sci)
        return Exit::immutable_tamper;
    if (sent.copy) return Exit::copy_return;
    net::set_macs(p, sent.original_dst, sent.original_src);
    if (!restore_tags(p, context)) return Exit::bad_frame;
    take_back(p, context, reverse, place, work);
    return goes_on;
}

Exit take_answer(Packet& p, const NodeTable::Place& place, Work& work) {
    NodeSlot& slot = work.state.binding.slot(place.node);
    const LocalNode& node = node_at(place, work);
    const Answer answer = health_answer(p, node, slot.sequence.load(std::memory_order_acquire));
    if (answer == Answer::none) return Exit::link_talk;
    if (answer == Answer::late) return Exit::bad_heartbeat;
    ++work.state.answers[place.node];
    if (answer == Answer::well) add_one(slot.heard[0]);
    const std::uint32_t port = p.hand.port;
    if (answer == Answer::well && close_check(p, node)) {
        work.emit.transmit(p, port);
        work.taken = true;
        return goes_on;
    }
    return work.end(p);
}

}  // namespace

Exit from_gwlb(Packet& p, const NodeTable::Place& place, Work& work) {
    const LocalNode& node = node_at(place, work);
    if (net::parse(p) != net::ParseError::none) return Exit::bad_frame;
    if (p.hand.dispatched == 0) {
        if (net::source_mac(p) != node.vnics[0].mac) return Exit::wrong_source;
        if (const auto talk = take_link_talk(p, place, work)) return *talk;
    }
    if (p.tuple.src != node.address || p.tuple.dst != node.gwlb_proxy()) return Exit::link_talk;
    if (p.headers.proto != net::proto_udp || p.headers.fragment != net::Fragment::whole ||
        p.tuple.dst_port != net::udp_port_geneve)
        return take_answer(p, place, work);
    if (net::load16(p.data + p.headers.l4 + 6) != 0 && !net::l4_checksum_ok(p))
        return Exit::bad_frame;
    net::GwlbView view;
    const auto error = net::decode_gwlb(
        p.bytes().subspan(p.headers.payload, p.headers.l3_end - p.headers.payload), view);
    if (error != net::GwlbError::none) {
        work.emit.note(p, "geneve", net::name(error));
        return Exit::bad_geneve;
    }
    Exit why = Exit::no_context;
    FlowContext* context = find_by_number(p, id_of_cookie(view.gwlb.cookie), place, why, work);
    if (!context) return why;
    if (!work.state.binding.flow_contexts().is_named(*context, view.gwlb.cookie, work.emit.now_ns))
        return Exit::immutable_tamper;
    return take_back_inner(p, view, *context, place, work);
}

}  // namespace weir::chain::from
