#include "features/first.hpp"

#include <algorithm>

#include "net/wire.hpp"

namespace weir::features {

using dataplane::ActionProgram;
using dataplane::PortEntry;

void First::begin(const Plane::Tables& tables) {
    tables_ = &tables;
    rules_.begin(tables, emit_.ticket);
    opened_before_ = opened_;
    for (std::uint32_t i = 0; i < asked_; ++i) learn(questions_[i]);
    asked_ = 0;
}

First::Row& First::row_of(std::uint32_t scope, std::uint64_t mac, const net::Ip& address) {
    constexpr std::uint64_t odd = 0x9e3779b97f4a7c15u;
    std::uint64_t x = (mac ^ net::load64(address.bytes.data() + 8)) * odd;
    x = (x ^ x >> 32 ^ scope ^ net::load64(address.bytes.data())) * odd;
    return rows_[(x >> 32) % rows_.size()];
}

const First::Place* First::find(const PortEntry& port, std::uint64_t mac, const net::Ip& address) {
    for (const Place& place : row_of(port.scope, mac, address))
        if (place.mac == mac && place.scope == port.scope && place.epoch == port.epoch &&
            place.address == address)
            return &place;
    return nullptr;
}

const ActionProgram* First::find_way_out(const PortEntry& port, std::uint64_t to_mac,
                                         const net::QuickFrame& frame) {
    for (const net::Ip& address : {net::Ip{}, frame.tuple.dst}) {
        const Place* place = find(port, to_mac, address);
        if (!place) continue;
        program_ = place->program;
        const ActionProgram* program = whole(place->program, port);
        if (!program) continue;
        if (!program->routed) last_[to_mac == own_guest] = *place;
        return program;
    }
    if (asked_ < questions_.size())
        questions_[asked_++] = {to_mac, frame.tuple, frame.hash, port.index};
    return nullptr;
}

// The stages have seen the packet meanwhile. What they decided is what its flow knows now.
void First::learn(const Question& question) {
    const PortEntry* port = emit_.ports->at(question.port);
    if (!port || port->role != dataplane::PortRole::guest) return;
    const auto hit = emit_.flows->find(port->scope, port->vni, question.tuple, question.hash);
    if (!hit) return;
    const flow::Hot& hot = hit.pair->hot[hit.direction];
    if (hot.epoch != port->epoch || hot.engine != emit_.engine) return;
    const ActionProgram* program = whole(hot.program, *port);
    if (!program) return;
    const net::Ip address = program->routed ? question.tuple.dst : net::Ip{};
    Row& row = row_of(port->scope, question.mac, address);
    const auto same = [&](const Place& place) {
        return place.epoch == 0 || (place.mac == question.mac && place.scope == port->scope &&
                                    place.address == address);
    };
    Place* place = std::ranges::find_if(row, same);
    if (place == row.end()) place = &row[turn_++ % row.size()];
    *place = {question.mac, address, port->scope, port->epoch, hot.program};
}

bool First::is_plain(const Packet& packet) const {
    const net::Tuple& tuple = packet.frame.tuple;
    if (emit_.adopts()) return false;  // it may be an answer
    if (tuple.dst.is_multicast() || tuple.dst.is_broadcast()) return false;
    return !packet.outgoing || !packet.port.spoof_guard ||
           guard::owns(packet.port, tuple.src, emit_);
}

// UDP, or a SYN.
bool First::begins_flow(const Packet& packet, flow::TcpSegment* segment) {
    const net::QuickFrame& frame = packet.frame;
    if (frame.tuple.proto != net::proto_tcp) return true;
    flow::TcpSegment own;
    flow::TcpSegment& read = segment ? *segment : own;
    return flow::read_tcp(packet.l4, frame.l3_end - std::uint32_t{frame.l4}, read) &&
           flow::class_of_flags(read.flags) == flow::TcpClass::syn;
}

// Another worker may have the flow, under a tuple that a service translated.
bool First::is_elsewhere(const Packet& packet) const {
    using tracking::Track;
    return Track::home_elsewhere(pipeline_.state<Track>(), packet.port, packet.frame.hash, emit_) !=
           flow::AliasHomes::nowhere;
}

void First::set_program(const PortEntry& port, flow::Hot& hot) const {
    hot.epoch = port.epoch;
    hot.engine = emit_.engine;
    hot.program = program_;
}

const ActionProgram* First::way_on(const PortEntry& port, bool outgoing, std::uint64_t to_mac,
                                   const net::QuickFrame& frame, const flow::FlowPair& pair) {
    using chain::Insert;
    using firewall::Firewall;
    if (!Firewall::still_allows(Plane::Worker::table<Firewall>(*tables_), port.index, pair) ||
        !Insert::still_passes(Plane::Worker::table<Insert>(*tables_), port.index, pair) ||
        (outgoing && port.spoof_guard && !guard::owns(port, frame.tuple.src, emit_)))
        return nullptr;
    return way_out(port, outgoing ? to_mac : own_guest, frame);
}

void First::go_on(const Packet& packet, flow::Hot& hot) {
    pass_on(packet.port, packet.outgoing, packet.bytes);
    set_program(packet.port, hot);
}

void First::pass_on(const PortEntry& port, bool outgoing, std::uint32_t bytes) {
    chain::Insert::pass_on(pipeline_.state<chain::Insert>(), port.index, outgoing, bytes);
}

// That something else must go for it first is the stages' business.
bool First::has_room(const PortEntry& port) const {
    if (port.flow_limits.max_flows == 0) return true;
    const flow::Scope* scope = emit_.flows->scope(port.scope);
    return scope && scope->records < port.flow_limits.max_per_worker(emit_.workers);
}

// A packet in front of it, of this burst, began the flow after it had been looked for.
bool First::has_just_begun(const Packet& packet) const {
    const PortEntry& port = packet.port;
    const net::QuickFrame& frame = packet.frame;
    return opened_ != opened_before_ &&
           emit_.flows->find(port.scope, port.vni, frame.tuple, frame.hash);
}

bool First::refuse(const Packet& packet) {
    if (!begins_too_much(packet.port) || !begins_flow(packet) || !is_plain(packet)) return false;
    if (is_elsewhere(packet) || has_just_begun(packet)) return false;
    using tracking::Track;
    Track::is_over_rate(pipeline_.state<Track>(), packet.port, emit_);
    pipeline_.exits<Track>().note(Track::Exit::over_rate);
    return true;
}

bool First::open(const Packet& packet) {
    using chain::Insert;
    using firewall::Firewall;
    const PortEntry& port = packet.port;
    const net::QuickFrame& frame = packet.frame;
    flow::TcpSegment segment;
    if (!begins_flow(packet, &segment) || !is_plain(packet) || is_elsewhere(packet)) return false;
    if (!has_room(port)) return false;
    const KnownRules::Answer& rules = rules_.find(port.index, frame.tuple, packet.outgoing);
    if (!rules.allows()) return false;
    flow::InsertOutcome outcome;
    flow::FlowPair* pair = emit_.flows->try_insert({port.scope, port.vni, &frame.tuple, frame.hash},
                                                   emit_.now_ns, port.timeouts, outcome);
    if (!pair || outcome == flow::InsertOutcome::existing) return false;
    pair->initiator_outside = !packet.outgoing;
    if (packet.outgoing)
        pipeline_.state<tracking::Track>().ports[port.index].budget.begin(
            port.flow_limits, emit_.workers, emit_.now_ns);
    const bool tcp = frame.tuple.proto == net::proto_tcp;
    if (tcp) flow::track(*pair, 0, segment);
    Firewall::allow(pipeline_.state<Firewall>(), rules.firewall, *pair);
    Insert::pass(rules.chains, packet.bytes, *pair, *emit_.flows);
    flow::Hot& hot = pair->hot[0];
    hot.packets = 1;
    hot.bytes = packet.bytes;
    set_program(port, hot);
    if (tcp) emit_.flows->touch(*pair, 0, port.timeouts, emit_.now_ns);
    ++opened_;
    return true;
}

bool First::open_both(const Packet& packet, const PortEntry& to) {
    using chain::Insert;
    using firewall::Firewall;
    const PortEntry& from = packet.port;
    const net::QuickFrame& frame = packet.frame;
    const Packet received{to, frame, packet.l4, packet.bytes, false};
    flow::TcpSegment segment;
    if (!begins_flow(packet, &segment) || !is_plain(packet) || is_elsewhere(packet) ||
        is_elsewhere(received) || !has_room(from) || !has_room(to))
        return false;
    const KnownRules::Answer rules = rules_.find(from.index, frame.tuple, true);
    if (!rules.allows()) return false;
    const KnownRules::Answer& other_rules = rules_.find(to.index, frame.tuple, false);
    if (!other_rules.allows()) return false;
    flow::Table& flows = *emit_.flows;
    flow::FlowPair* leader = flows.insert_fused({from.scope, from.vni, &frame.tuple, frame.hash},
                                                {to.scope, to.vni, &frame.tuple, frame.hash},
                                                emit_.now_ns, from.timeouts);
    if (!leader) return false;
    pipeline_.state<tracking::Track>().ports[from.index].budget.begin(from.flow_limits,
                                                                      emit_.workers, emit_.now_ns);
    if (frame.tuple.proto == net::proto_tcp) flow::track(*leader, 0, segment);
    const auto decide = [&](const KnownRules::Answer& answer, flow::FlowPair& pair) {
        Firewall::allow(pipeline_.state<Firewall>(), answer.firewall, pair);
        Insert::pass(answer.chains, packet.bytes, pair, flows);
    };
    decide(rules, *leader);
    decide(other_rules, flows.partner_of(*leader));
    flow::Hot& hot = leader->hot[0];
    hot.packets = 1;
    hot.bytes = packet.bytes;
    set_program(from, hot);
    opened_ += 2;
    return true;
}

}  // namespace weir::features
