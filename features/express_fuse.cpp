// Fused records on the express way: how two become fused, or begin so, what moves them, and how
// they stay so while rules change.
#include <algorithm>

#include "dataplane/digest.hpp"
#include "dataplane/epoch_history.hpp"
#include "features/express.hpp"
#include "features/express_across.hpp"
#include "flow/table_look.hpp"
#include "flow/tcp_quick.hpp"
#include "net/wire.hpp"

namespace weir::features {
namespace {

using dataplane::ActionProgram;
using dataplane::Egress;
using dataplane::PortEntry;
using net::Packet;
using net::QuickFrame;

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
    led_.fill({});
    crossings_generation_ = emit_.program_generation();
}

// Looks at all that holds for every packet of the flow's direction, and makes a note of it. Null:
// the two must not stay fused.
const Express::Crossing* Express::find_crossing(flow::FlowPair& pair, std::uint8_t direction,
                                                const PortEntry& from) {
    flow::Hot& own = pair.hot[direction];
    if (own.engine != emit_.engine) return nullptr;
    const bool led = own.epoch != from.epoch && lead_as_others(own, pair.key.tuple.dst_port, from);
    Crossing* way = &crossings_[own.program % crossings_.size()];
    if (led && way->number == own.program && way->from == &from) return way;
    const ActionProgram* program = emit_.program(own.program);
    if (!program) return nullptr;
    const Reach reach = reaches_[program->egress_port % reaches_.size()];
    if (reach.epoch == 0) return nullptr;
    if (own.epoch != from.epoch || program->reach_epoch != reach.epoch) {
        program = lead_on(pair, direction, from, reach.epoch);
        if (!program) return nullptr;
        way = &crossings_[own.program % crossings_.size()];
    }
    *way = {&from,        own.era(),
            own.program,  program->mtu + net::ethernet_bytes,
            reach.learns, !reach.learns && !program->routed,
            *program};
    return way;
}

// Leads a direction on as another one with its program was. False: nobody knows yet.
bool Express::lead_as_others(flow::Hot& own, std::uint16_t dst_port, const PortEntry& from) {
    const Led& known = led_[own.program % led_.size()];
    if (known.program != own.program || known.epoch != own.epoch || known.from != &from ||
        known.changed.may_have(dst_port))
        return false;
    own.program = known.to;
    own.epoch = from.epoch;
    emit_.count_renewal();
    return true;
}

// Sender's and receiver's record have both let a packet pass: from now on one of them stands for
// both, until somebody else gets hold of one.
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
    flow::FlowPair& leader = direction == 0 ? sender : receiver;
    flow::FlowPair& follower = direction == 0 ? receiver : sender;
    if (!from || !flow::Table::may_fuse(leader, follower) || leader.initiator_outside != 0 ||
        follower.initiator_outside == 0 || !files(sender, *from) || !files(receiver, *lane.port))
        return;
    const std::uint32_t forth = crossing(sender, receiver, direction, *from, *lane.port);
    const std::uint32_t answers = crossing(receiver, sender, back, *lane.port, *from);
    const bool answered = in.last_seen_ns != 0;
    if (forth == 0 || (answered && answers == 0)) return;
    if (!emit_.flows->fuse(leader, follower)) return;
    const auto send_by = [&](std::uint8_t side, const PortEntry& port, std::uint32_t program) {
        flow::Hot& line = leader.hot[side];
        line.epoch = port.epoch;
        line.engine = emit_.engine;
        line.program = program;
    };
    send_by(direction, *from, forth);
    if (answers != 0) send_by(back, *lane.port, answers);
}

// The number of the program that does what both records' programs say; 0: there is none yet.
std::uint32_t Express::crossing(flow::FlowPair& sender, flow::FlowPair& receiver,
                                std::uint8_t direction, const PortEntry& from,
                                const PortEntry& to) {
    if (!program_of(sender, direction, from) || !program_of(receiver, direction, to)) return 0;
    return joint(sender.hot[direction].program, receiver.hot[direction].program, to);
}

// … what `out` says where a packet leaves a guest, and `in` where it reaches that of `to`.
std::uint32_t Express::joint(std::uint32_t out, std::uint32_t in, const PortEntry& to) {
    const Joint asked{out, in, reaches_[to.index % reaches_.size()].epoch, to.index, 0};
    Joint& known = joints_[(out * 3 + in) % joints_.size()];
    if (known.out == out && known.in == in && known.reach == asked.reach && known.to == asked.to)
        return known.number;
    const ActionProgram* leaves = emit_.program(out);
    const ActionProgram* enters = emit_.program(in);
    const bool joins = leaves && enters && leaves->egress == Egress::local_port &&
                       leaves->egress_port == to.index &&
                       (leaves->act_behind & foreign_acts_) == 0 &&
                       enters->act_behind == emit_.stages->deliver && asked.reach != 0;
    if (!joins) return 0;
    ActionProgram program = *leaves;
    program.reach_epoch = asked.reach;
    program.reach_program = in;
    known = asked;
    known.number = emit_.number_of(program);
    return known.number;
}

// A new flow between two guests of this host whose ways are known waits for memory, and what comes
// behind its first packet with it. False: nothing has happened, each record must be made by itself.
bool Express::open_later(Lane& lane, const ActionProgram& out) {
    const PortEntry* to = out.egress == Egress::local_port ? guest_at(out.egress_port) : nullptr;
    const std::uint32_t program = to ? opening_program(lane, *to) : 0;
    if (program == 0 && !opening_flows_.has(lane.frame)) return false;
    if (program != 0)
        emit_.flows->begin(lane.probe, emit_.flows->scope_seed(to->scope, to->vni),
                           lane.frame.hash);
    opening_flows_.add(lane.frame);
    opening_[opening_count_++] = {&lane, to, program};
    return true;
}

// The number of the program that leads it across; 0: there is none yet, or each guest's record
// needs a look of its own.
std::uint32_t Express::opening_program(const Lane& lane, const PortEntry& to) {
    const bool from_dhcp = to.learn_addresses && lane.frame.tuple.src_port == dhcp_server_port;
    if (from_dhcp || !(lane.port->timeouts == to.timeouts) || slow_reaching_.has(lane.frame))
        return 0;
    const std::uint32_t out = first_.asked_for();
    const bool known = first_.way_in(to, lane.frame) != nullptr;
    const std::uint32_t program = known ? joint(out, first_.asked_for(), to) : 0;
    first_.ask_for(out);
    return program;
}

void Express::open_flows() {
    for (std::uint32_t i = 0; i < opening_count_; ++i) {
        Lane& lane = *opening_[i].lane;
        if (open_both(opening_[i])) continue;
        // One before it in this burst may have begun the flow.
        const flow::Table::Query query = lane.query();
        emit_.flows->find_bulk({&query, 1}, {&lane.hit, 1});
        if (!act_apart(lane)) stays_ |= Places{1} << (&lane - lanes_.data());
    }
}

bool Express::open_both(const Opening& opening) {
    const Lane& lane = *opening.lane;
    Packet& p = *lane.packet;
    const ActionProgram* program = emit_.program(opening.program);
    if (!program || slow_leaving_.has(lane.frame) || first_.begins_too_much(*lane.port))
        return false;
    first_.ask_for(opening.program);
    if (!first_.open_both({*lane.port, lane.frame, p.data + lane.frame.l4, p.length, true},
                          *opening.to))
        return false;
    packets_ += 2;
    ++pipeline_.state<switching::Deliver>().delivered;
    route(p, *program, lane.frame);
    emit_.forward(p, opening.to->index);
    return true;
}

// From guest to guest like cross(), with a packet that changes what the two records are: it opens
// or ends a connection, or is the first answer.
inline bool Express::move_across(Lane& lane) {
    const QuickFrame& q = lane.frame;
    const std::uint8_t direction = lane.hit.direction;
    flow::FlowPair& pair = *lane.hit.pair;
    flow::Hot& own = pair.hot[direction];
    const PortEntry& from = *lane.port;
    Packet& p = *lane.packet;
    const bool answers = own.epoch == 0;
    const Crossing* way = answers ? answer_across(lane) : crossing_of(pair, direction, from);
    const PortEntry* to = way ? guest_at(way->program.egress_port) : nullptr;
    const bool moved =
        to && q.l3_end <= way->longest && (way->straight || may_cross(*way, q, p.data)) &&
        emit_.flows->move_fused(pair, direction,
                                {p.data + q.l4, q.l3_end - std::uint32_t{q.l4},
                                 direction == 0 ? from.timeouts : to->timeouts,
                                 direction == 0 ? to->timeouts : from.timeouts, emit_.now_ns});
    if (!moved) {
        if (answers) own.epoch = 0;
        return false;
    }
    if (answers) {
        first_.pass_on(from, true, p.length);
        first_.pass_on(*to, false, p.length);
    }
    count_across(own, p, *way, q);
    return true;
}

// A packet of two fused records that did not cross. True: it moves them; else `lane` has its own
// record, whole.
bool Express::move_or_cut(Lane& lane) {
    const PortEntry& port = *lane.port;
    flow::FlowPair& pair = *lane.hit.pair;
    if (flow::Table::leads(pair) && pair.hot[lane.hit.direction].scope == port.scope) {
        if (move_across(lane)) return true;
        lane.hit.pair = &emit_.flows->cut_sender(lane.hit);
        return false;
    }
    // Others have cut it since it was found.
    lane.hit = emit_.flows->find(port.scope, port.vni, lane.frame.tuple, lane.frame.hash);
    return false;
}

// The way of a first answer: that of others which go it, while what both guests' records decided of
// the question stands. Null: the stages must look.
const Express::Crossing* Express::answer_across(Lane& lane) {
    const PortEntry& from = *lane.port;
    flow::FlowPair& pair = *lane.hit.pair;
    const std::uint8_t direction = lane.hit.direction;
    const auto back = static_cast<std::uint8_t>(direction ^ 1);
    const ActionProgram* out = first_.way_out(from, mac_bits(lane.packet->data), lane.frame);
    const std::uint32_t leaves = first_.asked_for();
    const PortEntry* to = out ? guest_at(out->egress_port) : nullptr;
    if (!to || to->scope != pair.hot[back].scope ||
        (from.spoof_guard && !guard::owns(from, lane.frame.tuple.src, emit_)))
        return nullptr;
    const Crossing* asked = crossing_of(pair, back, *to);
    if (!asked || asked->program.egress_port != from.index || !first_.way_in(*to, lane.frame))
        return nullptr;
    const std::uint32_t program = joint(leaves, first_.asked_for(), *to);
    if (program == 0) return nullptr;
    flow::Hot& own = pair.hot[direction];
    own.epoch = from.epoch;
    own.engine = emit_.engine;
    own.program = program;
    return crossing_of(pair, direction, from);
}

// Rules changed at the sender's or the receiver's port since the last packet, but none that
// concerns the flow: the two stay fused. Null: one does, or nobody can tell. Does not touch the
// receiver's record; its own epoch waits until they are cut.
const ActionProgram* Express::lead_on(flow::FlowPair& pair, std::uint8_t direction,
                                      const PortEntry& from, std::uint32_t reach) {
    flow::Hot& own = pair.hot[direction];
    const net::Tuple& tuple = pair.key.tuple;
    const bool outgoing = direction == 0;  // the guest that it leads from opened the flow
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
    const std::uint32_t number = emit_.number_of(program);
    led_[own.program % led_.size()] = {&from, own.program, own.epoch, number, changed};
    own.program = number;
    own.epoch = from.epoch;
    emit_.count_renewal();
    return emit_.program(number);
}

}  // namespace weir::features
