// Fused records on the express way: how two become fused, and how they stay so while rules change.
#include <algorithm>

#include "dataplane/digest.hpp"
#include "dataplane/epoch_history.hpp"
#include "features/express.hpp"
#include "flow/tcp_quick.hpp"
#include "net/wire.hpp"

namespace weir::features {
namespace {

using dataplane::ActionProgram;
using dataplane::Egress;
using dataplane::PortEntry;

std::uint32_t idle_digest(const PortEntry& port) {
    dataplane::Digest digest;
    for (const std::uint32_t idle_ms :
         {port.timeouts.tcp_established_ms, port.timeouts.udp_ms, port.timeouts.udp_replied_ms})
        digest.add(idle_ms);
    return digest.value32();
}

// Of all that a fused flow was told about the receiver's port; never 0. With the same idle times
// now it tells the port's epoch of then.
std::uint32_t reach_epoch(const PortEntry& port) {
    return std::max(port.epoch ^ idle_digest(port), 1u);
}
std::uint32_t epoch_of_reach(std::uint32_t reach, const PortEntry& port) {
    return reach ^ idle_digest(port);
}

}  // namespace

// What a fused flow must know of the receiver's port, close together.
void Express::look_at_reaches() {
    reaches_.fill({});
    for (std::uint32_t i = 0; i < port_count_; ++i)
        if (const PortEntry* port = guest_at(i))
            reaches_[i] = {reach_epoch(*port), port->learn_addresses};
    reaches_ticket_ = emit_.ticket;
    crossings_.fill({});
    joints_.fill({});
    crossings_generation_ = emit_.program_generation();
}

// Looks at all that holds for every packet of the flow's direction, and makes a note of it in
// `room`. Null: the two must not stay fused.
const Express::Crossing* Express::find_crossing(flow::FlowPair& pair, std::uint8_t direction,
                                                const PortEntry& from, Crossing& room) {
    flow::Hot& own = pair.hot[direction];
    if (own.engine != emit_.engine) return nullptr;
    const ActionProgram* program = emit_.program(own.program);
    if (!program) return nullptr;
    const Reach reach = reaches_[program->egress_port % reaches_.size()];
    if (reach.epoch == 0) return nullptr;
    if (own.epoch != from.epoch || program->reach_epoch != reach.epoch) {
        program = lead_on(pair, direction, from, reach.epoch);
        if (!program) return nullptr;
    }
    room = {&from,        own.era(),
            own.program,  program->mtu + net::ethernet_bytes,
            reach.learns, !reach.learns && !program->routed,
            *program};
    return &room;
}

// Sender's and receiver's record have both let a packet pass: from now on one look-up does, until
// the stages get hold of one of them.
void Express::fuse(const Lane& lane) {
    flow::FlowPair& sender = *lane.sender;
    flow::FlowPair& receiver = *lane.hit.pair;
    const std::uint8_t direction = lane.hit.direction;
    const auto back = static_cast<std::uint8_t>(direction ^ 1);
    const flow::Hot& out = sender.hot[direction];
    const flow::Hot& in = sender.hot[back];
    const bool tcp = lane.frame.tuple.proto == net::proto_tcp;
    const bool moves = tcp && !flow::is_steady(sender.tcp, out, in);
    const auto files = [&](const flow::FlowPair& pair, const PortEntry& port) {
        return moves || flow::keeps_idle_time(pair.hot[direction], direction, tcp, port.timeouts);
    };
    // Whoever repeats what cuts records has them fused no more; what is over is left as it is.
    if (moves &&
        (out.packets + in.packets >= worth_fusing || flow::kind_of(sender) == flow::Kind::closing))
        return;
    const PortEntry* from = guest_at(lane.packet->source_port);
    if (!from || !flow::Table::may_fuse(sender, receiver) ||
        sender.initiator_outside == receiver.initiator_outside || !files(sender, *from) ||
        !files(receiver, *lane.port))
        return;
    const std::uint32_t forth = crossing(sender, receiver, direction, *from, *lane.port);
    const std::uint32_t answers = crossing(receiver, sender, back, *lane.port, *from);
    const bool answered = in.last_seen_ns != 0;
    if (forth == 0 || (answered && answers == 0)) return;
    if (!emit_.flows->fuse(sender, receiver, direction)) return;
    sender.hot[direction].program = forth;
    if (answers != 0) receiver.hot[back].program = answers;
}

// The number of the program that does what both records' programs say; 0: there is none yet.
std::uint32_t Express::crossing(flow::FlowPair& sender, flow::FlowPair& receiver,
                                std::uint8_t direction, const PortEntry& from,
                                const PortEntry& to) {
    const ActionProgram* out = program_of(sender, direction, from);
    const ActionProgram* in = program_of(receiver, direction, to);
    if (!out || !in || out->egress_port != to.index) return 0;
    const Joint asked{sender.hot[direction].program, receiver.hot[direction].program,
                      reaches_[to.index % reaches_.size()].epoch, 0};
    Joint& known = joints_[(asked.out * 3 + asked.in) % joints_.size()];
    if (known.out == asked.out && known.in == asked.in && known.reach == asked.reach)
        return known.number;
    const bool joins = (out->act_behind & foreign_acts_) == 0 &&
                       out->egress == Egress::local_port &&
                       in->act_behind == emit_.stages->deliver && asked.reach != 0;
    if (!joins) return 0;
    ActionProgram program = *out;
    program.reach_epoch = asked.reach;
    known = asked;
    known.number = emit_.number_of(program);
    return known.number;
}

// Rules changed at the sender's or the receiver's port since the last packet, but none that
// concerns the flow: the two stay fused. Null: one does, or nobody can tell. Does not touch the
// receiver's record; its own epoch waits until they are cut.
const ActionProgram* Express::lead_on(flow::FlowPair& pair, std::uint8_t direction,
                                      const PortEntry& from, std::uint32_t reach) {
    flow::Hot& own = pair.hot[direction];
    const net::Tuple& tuple = pair.key.tuple;
    if (emit_.renew_as_known(own, tuple.dst_port, from.epoch, reach))
        return emit_.program(own.program);
    const bool outgoing = pair.initiator_outside == 0;
    ActionProgram program = *emit_.program(own.program);
    const PortEntry* to = guest_at(program.egress_port);
    if (!to || program.reach_epoch == 0 || !program.behind_is(own.epoch, emit_.engine))
        return nullptr;
    dataplane::PortBits changed;
    const auto holds = [&](const PortEntry& port, std::uint32_t epoch, bool opened_there) {
        if (epoch == port.epoch) return true;
        if (!port.history || !port.history->still_holds(epoch, tuple, opened_there)) return false;
        changed.add(port.history->changed_ports(epoch));
        return true;
    };
    if (!holds(from, own.epoch, outgoing) ||
        !holds(*to, epoch_of_reach(program.reach_epoch, *to), !outgoing))
        return nullptr;
    program.behind_epoch = from.epoch;
    program.reach_epoch = reach;
    emit_.renew_as(own, program, reach, changed);
    return emit_.program(own.program);
}

}  // namespace weir::features
