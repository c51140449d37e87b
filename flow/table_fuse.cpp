// Two records of the same packets: those of a connection between two guests of one host.
#include <limits>

#include "base/check.hpp"
#include "flow/table.hpp"
#include "flow/table_look.hpp"
#include "flow/tcp_quick.hpp"
#include "net/wire.hpp"

namespace weir::flow {

namespace {

// How far the counters of a line that waits are ahead of the true one. Stands where the line's TCP
// numbers are otherwise: while it waits nobody needs them.
struct Ahead {
    std::int64_t packets = 0;
    std::int64_t bytes = 0;

    static Ahead between(const Hot& line, const Hot& truth) {
        return {static_cast<std::int64_t>(line.packets - truth.packets),
                static_cast<std::int64_t>(line.bytes - truth.bytes)};
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

bool is_tcp(const FlowPair& pair) {
    return pair.key.tuple.proto == net::proto_tcp;
}

// What FlowPair::partner says of the connection of a record that leads.
std::uint32_t motion_of(const FlowPair& leader) {
    const bool moving = is_tcp(leader) && !is_steady(leader.tcp, leader.hot[0], leader.hot[1]);
    return moving ? partner_moving : 0;
}

// Counts and times, which are told from the truth and how far this line is ahead of it.
void count_again(Hot& line, const Hot& truth) {
    const Ahead ahead = Ahead::load(line);
    line.packets = truth.packets + static_cast<std::uint64_t>(ahead.packets);
    line.bytes = truth.bytes + static_cast<std::uint64_t>(ahead.bytes);
    line.last_seen_ns = truth.last_seen_ns;
}

void copy_tcp(Hot& line, const Hot& truth) {
    line.window_edge = truth.window_edge;
    line.sequence_end = truth.sequence_end;
    line.acknowledged = truth.acknowledged;
    line.window_scale = truth.window_scale;
    line.tcp_seen = truth.tcp_seen;
}

void copy_program(Hot& line, const Hot& truth) {
    line.epoch = truth.epoch;
    line.engine = truth.engine;
    line.program = truth.program;
}

}  // namespace

bool Table::may_fuse(const FlowPair& leader, const FlowPair& follower) {
    return leader.key.scope != follower.key.scope && (leader.partner | follower.partner) == 0 &&
           leader.live == record_live && follower.live == record_live &&
           (leader.condemned | follower.condemned) == 0 && leader.tcp == follower.tcp &&
           leader.key.tuple == follower.key.tuple && agree(leader.hot[0], follower.hot[0]) &&
           agree(leader.hot[1], follower.hot[1]);
}

// What leads is told first: a record that follows has always one that knows of it.
bool Table::fuse(FlowPair& leader, FlowPair& follower) {
    if (!may_fuse(leader, follower)) return false;
    const std::uint32_t at = slot(follower), leader_at = slot(leader);
    Hot& answers = leader.hot[1];
    answers.epoch = 0;  // what its own guest is told of them; whoever sends them knows better
    answers.idle_ms = follower.hot[1].idle_ms;
    leader.partner = at | partner_leads | motion_of(leader);
    ordered();
    follower.partner = leader_at | partner_follows | partner_changing;
    ordered();
    for (const unsigned i : {0u, 1u})
        Ahead::between(follower.hot[i], leader.hot[i]).store(follower.hot[i]);
    ordered();
    follower.partner = leader_at | partner_follows;
    answers.scope = static_cast<std::uint16_t>(follower.key.scope);
    const std::uint32_t ref = ref_of(leader_at, leader.key.tuple) | follower_bit;
    const bool found =
        index_.replace(place(follower.key, follower.hash()), ref_of(at, follower.key.tuple), ref);
    WEIR_CHECK(found, "a live record is in the index");
    if (wheel_.armed(at) && answers.idle_ms == leader.hot[0].idle_ms) wheel_.disarm(at);
    return true;
}

bool Table::move_fused(FlowPair& leader, std::uint8_t direction, const Passing& packet) {
    const bool tcp = is_tcp(leader);
    if (tcp && !track_packet(leader, direction, packet.header, packet.bytes)) return false;
    leader.hot[direction & 1].last_seen_ns = packet.now_ns;
    file_fused(leader, packet);
    if (tcp) leader.partner = (leader.partner & ~partner_moving) | motion_of(leader);
    return true;
}

void Table::cut_fused(FlowPair& pair) {
    FlowPair& other = partner_of(pair);
    FlowPair& leader = leads(pair) ? pair : other;
    FlowPair& follower = leads(pair) ? other : pair;
    const std::uint32_t at = slot(follower), leader_at = slot(leader);
    WEIR_CHECK((other.partner & partner_slot) == slot(pair), "fused records name each other");
    take_truth(follower, leader);
    stop_leading(leader);
    const std::uint32_t ref = ref_of(leader_at, leader.key.tuple) | follower_bit;
    const bool found =
        index_.replace(place(follower.key, follower.hash()), ref, ref_of(at, follower.key.tuple));
    WEIR_CHECK(found, "a live record is in the index");
    if (!wheel_.armed(at))
        wheel_.arm(at, last_seen_ns(follower) + std::uint64_t{follower.hot[0].idle_ms} * 1'000'000);
    if (cut_hook_ != nullptr) cut_hook_(cut_context_, leader, follower);
}

FlowPair& Table::cut_sender(Hit hit) {
    FlowPair& own =
        leads(*hit.pair) && (hit.direction & 1) != 0 ? partner_of(*hit.pair) : *hit.pair;
    cut(own);
    mark({&own, hit.direction});
    return own;
}

// Its time is over, and that of its follower, if that waits for no other.
std::size_t Table::let_go(FlowPair& pair) {
    const bool both = leads(pair) && hook_ == nullptr && !wheel_.armed(pair.partner & partner_slot);
    const std::size_t count = both ? 2 : 1;
    header_->stats.expired += count;
    if (both) remove_fused(pair);
    else remove(pair, Removal::expired);
    return count;
}

// A kill before `partner = 0` is followed by the same once more; one behind `partner_changing` by
// what comes behind it.
void Table::take_truth(FlowPair& follower, const FlowPair& leader) {
    if ((follower.partner & partner_bare) != 0) {
        follower.hot = leader.hot;
        follower.hot[1].of_pair = identity_of(follower);
    } else {
        if ((follower.partner & partner_changing) == 0) {
            for (const unsigned i : {0u, 1u}) count_again(follower.hot[i], leader.hot[i]);
            ordered();
            follower.partner |= partner_changing;
            ordered();
        }
        for (const unsigned i : {0u, 1u}) copy_tcp(follower.hot[i], leader.hot[i]);
        copy_program(follower.hot[1], leader.hot[1]);
    }
    follower.hot[0].epoch = 0;
    for (Hot& line : follower.hot) {
        line.idle_ms = leader.hot[1].idle_ms;
        line.kind = leader.hot[0].kind;
        line.scope = static_cast<std::uint16_t>(follower.key.scope);
    }
    follower.tcp = leader.tcp;
    ordered();
    follower.partner = 0;
}

void Table::stop_leading(FlowPair& leader) {
    Hot& answers = leader.hot[1];
    answers.epoch = 0;
    answers.idle_ms = leader.hot[0].idle_ms;
    answers.scope = static_cast<std::uint16_t>(leader.key.scope);
    ordered();
    leader.partner = 0;
}

}  // namespace weir::flow
