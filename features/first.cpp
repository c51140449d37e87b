#include "features/first.hpp"

#include "flow/tcp.hpp"
#include "net/wire.hpp"

namespace weir::features {

using dataplane::ActionProgram;
using dataplane::PortEntry;

void First::begin(const Plane::Tables& tables) {
    tables_ = &tables;
    for (std::uint32_t i = 0; i < asked_; ++i) learn(questions_[i]);
    asked_ = 0;
}

First::Place& First::place_of(std::uint32_t scope, std::uint64_t mac, const net::Ip& address) {
    std::uint64_t x = (mac ^ std::uint64_t{scope} << 32 ^ net::load64(address.bytes.data() + 8)) *
                      0x9e3779b97f4a7c15u;
    x ^= net::load64(address.bytes.data());
    return places_[(x ^ x >> 32) % places_.size()];
}

// A program that leads past no service, under the port's present epoch.
const ActionProgram* First::whole(std::uint32_t number, const PortEntry& port) const {
    const ActionProgram* program = emit_.program(number);
    const bool fits =
        program && program->act_before == 0 && program->behind_is(port.epoch, emit_.engine);
    return fits ? program : nullptr;
}

const ActionProgram* First::way_out(const PortEntry& port, std::uint64_t to_mac,
                                    const net::QuickFrame& frame) {
    for (const net::Ip& address : {net::Ip{}, frame.tuple.dst}) {
        const Place& place = place_of(port.scope, to_mac, address);
        if (place.mac != to_mac || place.scope != port.scope || place.epoch != port.epoch ||
            place.address != address)
            continue;
        program_ = place.program;
        if (const ActionProgram* program = whole(place.program, port)) return program;
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
    place_of(port->scope, question.mac, address) = {question.mac, address, port->scope, port->epoch,
                                                    hot.program};
}

bool First::is_plain(const Packet& packet) const {
    const net::Tuple& tuple = packet.frame.tuple;
    if (tuple.dst.is_multicast() || tuple.dst.is_broadcast()) return false;
    return !packet.outgoing || !packet.port.spoof_guard ||
           guard::owns(packet.port, tuple.src, emit_);
}

// The rule that allows the flow; null: it is not that simple.
const firewall::CompiledRule* First::rule_of(const Packet& packet) const {
    using firewall::Firewall;
    const std::uint32_t port = packet.port.index;
    const net::Tuple& tuple = packet.frame.tuple;
    if (!chain::Insert::passes(Plane::Worker::table<chain::Insert>(*tables_), port, tuple,
                               packet.outgoing))
        return nullptr;
    return Firewall::allows(Plane::Worker::table<Firewall>(*tables_), port, tuple, packet.outgoing);
}

bool First::open(const Packet& packet) {
    using chain::Insert;
    using firewall::Firewall;
    const PortEntry& port = packet.port;
    const net::QuickFrame& frame = packet.frame;
    const bool tcp = frame.tuple.proto == net::proto_tcp;
    flow::TcpSegment segment;
    if (tcp && (!flow::read_tcp(packet.l4, frame.l3_end - std::uint32_t{frame.l4}, segment) ||
                flow::class_of_flags(segment.flags) != flow::TcpClass::syn))
        return false;
    if (!is_plain(packet)) return false;
    const firewall::CompiledRule* rule = rule_of(packet);
    if (!rule) return false;
    flow::InsertOutcome outcome;
    flow::FlowPair* pair = emit_.flows->try_insert({port.scope, port.vni, &frame.tuple, frame.hash},
                                                   emit_.now_ns, port.timeouts, outcome);
    if (!pair || outcome == flow::InsertOutcome::existing) return false;
    pair->initiator_outside = !packet.outgoing;
    if (tcp) flow::track(*pair, 0, segment);
    Firewall::allow(Plane::Worker::table<Firewall>(*tables_), pipeline_.state<Firewall>(), *rule,
                    port.index, *pair);
    Insert::pass(Plane::Worker::table<Insert>(*tables_), pipeline_.state<Insert>(), port.index,
                 packet.bytes, *pair, *emit_.flows);
    flow::Hot& hot = pair->hot[0];
    hot.packets = 1;
    hot.bytes = packet.bytes;
    hot.epoch = port.epoch;
    hot.engine = emit_.engine;
    hot.program = program_;
    if (tcp) emit_.flows->touch(*pair, 0, port.timeouts, emit_.now_ns);
    ++opened_;
    return true;
}

}  // namespace weir::features
