#include "features/chain/anchor/waiting.hpp"

#include "features/chain/anchor/selection.hpp"
#include "flow/table.hpp"

namespace weir::chain {
namespace {

using dataplane::Emit;
using dataplane::Packet;

std::size_t which_context(dataplane::Context context) {
    return context == dataplane::Context::source ? 0 : 1;
}

// Whether a flow that waits for this would find a path now. A chain that is gone needs none.
bool has_path(std::uint64_t outage, const Plane& plane, const dataplane::HealthBoard& health) {
    const Chain* chain = plane.chain(Outages::sci_of(outage));
    if (!chain) return true;
    const std::uint32_t spi = Outages::spi_of(outage);
    if (spi == 0 || chain->reselect_midflow)
        return select_path(*chain, plane.host_id, health, 0) != nullptr;
    const Path* path = chain->path(spi);
    return path && is_usable(*path, plane.host_id, health);
}

}  // namespace

WaitingRoom::Taken WaitingRoom::take(Packet& p, const Chain& chain, std::uint64_t outage,
                                     std::uint8_t call_point_bit, Emit& emit) {
    const std::uint32_t index = dataplane::context_port(p);
    std::size_t mine = 0, of_port = 0;
    held_.each([&](const Held& held) {
        mine += held.what.flow_id == p.flow->id;
        of_port += held.what.port == index;
    });
    if (mine >= chain.hold_packets) return Taken::flow_full;
    const dataplane::PortEntry* port = emit.ports->at(index);
    const auto context = static_cast<dataplane::Context>(p.context);
    const WaitingPacket what{outage, p.flow->id, emit.flows->slot(*p.flow),
                             index,  port ? port->incarnation : 0, context};
    const bool port_has_its_share = of_port >= places_of_port;
    if (port_has_its_share || !held_.hold(p, 0, what, emit)) {
        ++(port_has_its_share ? port_full : full);
        return mine == 0 ? Taken::no_room : Taken::flow_full;
    }
    p.hand.call_points_done = static_cast<std::uint8_t>(p.hand.call_points_done & ~call_point_bit);
    return Taken::yes;
}

void WaitingRoom::heal(const Plane& plane, const Emit& emit) {
    const std::uint32_t generation = emit.health->generation.load(std::memory_order_acquire);
    if (generation == seen_generation_ && emit.ticket == seen_ticket_) return;
    seen_generation_ = generation;
    seen_ticket_ = emit.ticket;
    outages.heal([&](std::uint64_t outage) { return has_path(outage, plane, *emit.health); });
}

// True: it is out of here. Where its window is over the stage finds no path and waits no more.
bool WaitingRoom::leave(Held& held, Emit& emit, WaitEnd& how) {
    Packet& p = *held.packet;
    const WaitingPacket& what = held.what;
    const dataplane::PortEntry* port = emit.ports->at(dataplane::context_port(p));
    flow::FlowPair* flow = emit.flows->at(what.flow_slot);
    if (!port || port->incarnation != what.incarnation || !flow ||
        flow->live != flow::record_live || flow->id != what.flow_id || flow->condemned) {
        how = WaitEnd::gone;
        emit.release(p);
        return true;
    }
    const bool late = outages.over(what.outage, emit.now_ns);
    if (!late) return false;
    how = outages.knows(what.outage) ? WaitEnd::late : WaitEnd::served;
    const std::size_t which = which_context(what.context);
    emit.flows->cut(*flow);
    p.flow = flow;
    p.program = dataplane::own_program(p);
    p.program->act_before = emit.stages->insertion[which];
    emit.start(p, what.context,
               emit.stages->insertion[which] | emit.stages->behind_insertion[which]);
    return true;
}

void WaitingRoom::leave_all(Emit& emit) {
    held_.release([&](Held& held) {
        Packet& p = *held.packet;
        p.hand.entry = held.what.context == dataplane::Context::source ? net::Entry::receive
                                                                       : net::Entry::deliver;
        p.hand.port = dataplane::context_port(p);
        emit.hand_to_engine(p);
        return true;
    });
}

std::uint64_t WaitingRoom::waiting(std::uint32_t sci) const {
    std::uint64_t count = 0;
    held_.each([&](const Held& held) { count += Outages::sci_of(held.what.outage) == sci; });
    return count;
}

}  // namespace weir::chain
