// Two records of the same packets: those of a connection between two guests of one host.
#include <limits>

#include "base/check.hpp"
#include "flow/table.hpp"
#include "flow/tcp_quick.hpp"
#include "net/wire.hpp"

namespace weir::flow {

namespace {

// How far the counters of a stale line are ahead of the true one. Stands where the line's TCP
// numbers are otherwise: while it is stale nobody needs them.
struct Ahead {
    std::int64_t packets = 0;
    std::int64_t bytes = 0;

    static Ahead between(const Hot& stale, const Hot& truth) {
        return {static_cast<std::int64_t>(stale.packets - truth.packets),
                static_cast<std::int64_t>(stale.bytes - truth.bytes)};
    }
    bool fits() const {
        using Packets = std::numeric_limits<std::int32_t>;
        return packets >= Packets::min() && packets <= Packets::max();
    }
    void store(Hot& line) const {
        line.window_edge = static_cast<std::uint32_t>(packets);
        line.sequence_end = static_cast<std::uint32_t>(bytes);
        line.acknowledged = static_cast<std::uint32_t>(static_cast<std::uint64_t>(bytes) >> 32);
    }
    static Ahead load(const Hot& line) {
        return {
            static_cast<std::int32_t>(line.window_edge),
            static_cast<std::int64_t>(std::uint64_t{line.acknowledged} << 32 | line.sequence_end)};
    }
};

// Whether both lines say the same of what passed, but for the counts.
bool agree(const Hot& a, const Hot& b) {
    return a.last_seen_ns == b.last_seen_ns && a.window_edge == b.window_edge &&
           a.sequence_end == b.sequence_end && a.acknowledged == b.acknowledged &&
           a.window_scale == b.window_scale && a.tcp_seen == b.tcp_seen && a.kind == b.kind &&
           Ahead::between(a, b).fits() && Ahead::between(b, a).fits();
}

unsigned stale_line(const FlowPair& pair) {
    return (pair.partner & partner_stale_line) != 0 ? 1 : 0;
}

// What FlowPair::partner says of a connection, on both sides; `own` and `peer` are the lines that
// are true.
std::uint32_t motion_of(const FlowPair& pair, const Hot& own, const Hot& peer) {
    const bool moving = pair.key.tuple.proto == net::proto_tcp && !is_steady(pair.tcp, own, peer);
    return moving ? partner_moving : 0;
}

// From here on `pair.hot[line]` waits for the truth, which `other` has.
void make_stale(FlowPair& pair, unsigned line, const FlowPair& other, std::uint32_t other_slot) {
    const std::uint32_t partner = other_slot | (line != 0 ? partner_stale_line : 0) |
                                  motion_of(pair, pair.hot[0], pair.hot[1]);
    pair.partner = partner | partner_changing;
    ordered();
    Ahead::between(pair.hot[line], other.hot[line]).store(pair.hot[line]);
    ordered();
    pair.partner = partner | partner_fused;
}

}  // namespace

bool Table::may_fuse(const FlowPair& sender, const FlowPair& receiver) {
    return &sender != &receiver && (sender.partner | receiver.partner) == 0 &&
           sender.live == record_live && receiver.live == record_live &&
           (sender.condemned | receiver.condemned) == 0 && sender.tcp == receiver.tcp &&
           sender.key.tuple == receiver.key.tuple && agree(sender.hot[0], receiver.hot[0]) &&
           agree(sender.hot[1], receiver.hot[1]);
}

bool Table::fuse(FlowPair& sender, FlowPair& receiver, std::uint8_t direction) {
    if (!may_fuse(sender, receiver)) return false;
    const unsigned line = direction & 1u;
    make_stale(sender, line ^ 1, receiver, slot(receiver));
    make_stale(receiver, line, sender, slot(sender));
    return true;
}

bool Table::move_fused(FlowPair& sender, std::uint8_t direction, const FusedSegment& segment) {
    FlowPair& receiver = records_[sender.partner & partner_slot];
    const unsigned side = direction & 1u;
    if (!track_fused(sender, receiver, direction, segment.header, segment.bytes)) return false;
    Hot& own = sender.hot[side];
    own.last_seen_ns = segment.now_ns;
    const auto file = [&](FlowPair& pair, const Timeouts& timeouts) {
        const std::uint32_t idle_ms = timeouts.idle_ms(pair);
        if (pair.hot[0].idle_ms != idle_ms || pair.hot[0].kind != kind_of(pair))
            reclassify(pair, idle_ms, segment.now_ns);
    };
    file(sender, segment.sender);
    file(receiver, segment.receiver);
    const std::uint32_t motion = motion_of(sender, own, receiver.hot[side ^ 1]);
    if ((sender.partner & partner_moving) == motion) return true;
    sender.partner ^= partner_moving;
    receiver.partner ^= partner_moving;
    return true;
}

void Table::cut_fused(FlowPair& pair) {
    FlowPair& other = records_[pair.partner & partner_slot];
    WEIR_CHECK((other.partner & partner_slot) == slot(pair), "fused records name each other");
    take_truth(pair, &other);
    take_truth(other, &pair);
}

// A kill before `partner_changing` is followed by the same once more, one behind it by what comes
// behind it (see cut_partners() of the adoption).
void Table::take_truth(FlowPair& pair, const FlowPair* other) {
    Hot& line = pair.hot[stale_line(pair)];
    const Hot* truth = other != nullptr ? &other->hot[stale_line(pair)] : nullptr;
    if (truth != nullptr && (pair.partner & partner_changing) == 0) {
        const Ahead ahead = Ahead::load(line);
        line.packets = truth->packets + static_cast<std::uint64_t>(ahead.packets);
        line.bytes = truth->bytes + static_cast<std::uint64_t>(ahead.bytes);
        line.last_seen_ns = truth->last_seen_ns;
    }
    ordered();
    pair.partner = (pair.partner & ~partner_fused) | partner_changing;
    ordered();
    if (truth != nullptr) {
        line.window_edge = truth->window_edge;
        line.sequence_end = truth->sequence_end;
        line.acknowledged = truth->acknowledged;
        line.window_scale = truth->window_scale;
        line.tcp_seen = truth->tcp_seen;
    } else {  // the next segment tells
        line.window_edge = line.sequence_end = line.acknowledged = 0;
        line.tcp_seen &= static_cast<std::uint8_t>(~(tcp_seen_sequence | tcp_seen_window));
    }
    ordered();
    pair.partner = 0;
}

}  // namespace weir::flow
