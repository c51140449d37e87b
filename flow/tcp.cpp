#include "flow/tcp.hpp"

#include <algorithm>

#include "net/bytes.hpp"

namespace weir::flow {

namespace {

constexpr TcpClass judge_flags(unsigned flags) {
    const bool syn = flags & tcp_syn, ack = flags & tcp_ack, fin = flags & tcp_fin,
               rst = flags & tcp_rst;
    if (rst) return syn || fin ? TcpClass::invalid : TcpClass::rst;
    if (syn) {
        if (fin) return TcpClass::invalid;
        return ack ? TcpClass::syn_ack : TcpClass::syn;
    }
    // Everything behind the first SYN acknowledges something (RFC 9293 §3.1).
    if (!ack) return TcpClass::invalid;
    return fin ? TcpClass::fin : TcpClass::ack;
}

constexpr unsigned judged_flags = tcp_fin | tcp_syn | tcp_rst | tcp_ack;
constexpr auto class_by_flags = [] {
    std::array<TcpClass, judged_flags + 1> classes{};
    for (unsigned flags = 0; flags < classes.size(); ++flags) classes[flags] = judge_flags(flags);
    return classes;
}();

}  // namespace

TcpClass class_of_flags(std::uint8_t flags) {
    return class_by_flags[flags & judged_flags];
}

namespace {

constexpr std::uint8_t liberal_scale = 14;     // the largest of RFC 7323
constexpr std::uint32_t recent_bytes = 65536;  // how far back a repeated handshake may reach

// Sequence numbers wrap: the sign of the difference orders them (RFC 9293 §3.4).
std::int32_t distance(std::uint32_t from, std::uint32_t to) {
    return static_cast<std::int32_t>(to - from);
}

bool seen(const Hot& hot, std::uint8_t bits) {
    return (hot.tcp_seen & bits) == bits;
}

// `number` is at, or a handshake's length below, the end of what `side` has sent.
bool recently_sent(const Hot& side, std::uint32_t number) {
    return side.sequence_end - number < recent_bytes;
}

// A connection as one segment meets it: `own` is the line of the side that sent it, `peer` that of
// the other.
struct Ends {
    TcpState state;
    std::uint8_t side;  // of `own`: 0 initiator, 1 responder
    Hot& own;
    Hot& peer;
};

// RFC 5961 §3.2 as the middle sees it. `own` sent the RST, `peer` is to believe it: it expects a
// number it has not acknowledged yet, out of what was sent.
TcpClass judge_rst(const Ends& ends, const TcpSegment& segment) {
    const Hot& own = ends.own;
    const Hot& peer = ends.peer;
    if (ends.state == TcpState::syn_sent && ends.side == 1) {
        const bool answers =
            (segment.flags & tcp_ack) != 0 && recently_sent(peer, segment.acknowledgement);
        return answers ? TcpClass::rst : TcpClass::rst_blind;
    }
    if (!seen(peer, tcp_seen_window)) {
        if (!seen(own, tcp_seen_sequence)) return TcpClass::rst;  // nothing to judge it by
        return recently_sent(own, segment.sequence) ? TcpClass::rst : TcpClass::rst_blind;
    }
    const std::int32_t above = distance(peer.acknowledged, segment.sequence);
    if (above < 0 || distance(segment.sequence, peer.window_edge) < 0) return TcpClass::rst_blind;
    const bool sent =
        seen(own, tcp_seen_sequence) && distance(segment.sequence, own.sequence_end) >= 0;
    return above == 0 || sent ? TcpClass::rst : TcpClass::rst_inexact;
}

// Whether a segment of `own` ends where `peer` could accept it, as far as is known.
bool within_window(const Hot& peer, const TcpSegment& segment) {
    if (!seen(peer, tcp_seen_window)) return true;
    const std::uint32_t end = segment.sequence + segment.length();
    return distance(peer.acknowledged, end) >= 0 &&
           distance(peer.window_edge, end) <= tcp_window_slack;
}

bool acknowledges_fin(const Hot& side, const TcpSegment& segment) {
    return (segment.flags & tcp_ack) != 0 && seen(side, tcp_seen_fin) &&
           segment.acknowledgement == side.sequence_end;
}

TcpClass judge_syn(const Hot& own, const TcpSegment& segment) {
    const bool again = seen(own, tcp_seen_sequence) && recently_sent(own, segment.sequence);
    return again ? TcpClass::syn_again : TcpClass::syn;
}

// `plain`: class_of_flags() of the segment.
[[gnu::always_inline]] inline TcpClass classify(const Ends& ends, const TcpSegment& segment,
                                                TcpClass plain) {
    const Hot& own = ends.own;
    const Hot& peer = ends.peer;
    const bool opening = (ends.state == TcpState::syn_sent && ends.side == 1) ||
                         ends.state == TcpState::syn_received;
    switch (plain) {
        case TcpClass::rst:
            return judge_rst(ends, segment);
        case TcpClass::syn:
            return judge_syn(own, segment);
        case TcpClass::syn_ack:
            if (opening && seen(peer, tcp_seen_sequence) &&
                !recently_sent(peer, segment.acknowledgement))
                return TcpClass::stray_ack;
            return plain;
        case TcpClass::fin:
        case TcpClass::ack:
            if (ends.state == TcpState::syn_received && seen(peer, tcp_seen_sequence) &&
                !recently_sent(peer, segment.acknowledgement))
                return TcpClass::stray_ack;
            // A FIN from nowhere changes nothing; its receiver ignores it.
            if (plain == TcpClass::fin) return within_window(peer, segment) ? plain : TcpClass::ack;
            if (seen(own, tcp_seen_fin_acked) && acknowledges_fin(peer, segment))
                return TcpClass::last_ack;
            return plain;
        default:
            return plain;
    }
}

void learn_sequence(Hot& own, const Hot& peer, const TcpSegment& segment) {
    const std::uint32_t end = segment.sequence + segment.length();
    if (!seen(own, tcp_seen_sequence)) {
        own.sequence_end = end;
        own.tcp_seen |= tcp_seen_sequence;
    } else if (distance(own.sequence_end, end) > 0 && within_window(peer, segment)) {
        own.sequence_end = end;
    }
}

inline void learn_window(Hot& own, Hot& peer, const TcpSegment& segment) {
    if ((segment.flags & tcp_ack) == 0) return;
    const std::uint32_t number = segment.acknowledgement;
    // Nobody acknowledges what was not sent.
    if (seen(peer, tcp_seen_sequence) && distance(peer.sequence_end, number) > 0) return;
    const bool scaled =
        (segment.flags & tcp_syn) == 0 && seen(own, tcp_seen_scale) && seen(peer, tcp_seen_scale);
    const std::uint32_t edge =
        number + (std::uint32_t{segment.window} << (scaled ? own.window_scale : 0));
    const bool first = !seen(own, tcp_seen_window);
    if (first || distance(own.acknowledged, number) > 0) own.acknowledged = number;
    if (first || distance(own.window_edge, edge) > 0) own.window_edge = edge;
    own.tcp_seen |= tcp_seen_window;
    if (acknowledges_fin(peer, segment)) peer.tcp_seen |= tcp_seen_fin_acked;
}

// A SYN starts the numbering of its side.
void learn_opening(Hot& own, const TcpSegment& segment) {
    own.tcp_seen = tcp_seen_sequence;
    own.sequence_end = segment.sequence + segment.length();
    own.window_scale = 0;
    if (segment.window_scale != TcpSegment::no_scale) {
        own.window_scale = std::min(segment.window_scale, liberal_scale);
        own.tcp_seen |= tcp_seen_scale;
    }
}

[[gnu::always_inline]] inline void learn(const Ends& ends, const TcpSegment& segment,
                                         TcpClass kind) {
    Hot& own = ends.own;
    Hot& peer = ends.peer;
    const bool before_answer = ends.state == TcpState::none || ends.state == TcpState::syn_sent;
    switch (kind) {
        case TcpClass::syn:
            if (before_answer) learn_opening(own, segment);
            return;
        case TcpClass::syn_ack:
            if (before_answer) learn_opening(own, segment);
            learn_window(own, peer, segment);
            return;
        case TcpClass::fin:
            learn_sequence(own, peer, segment);
            own.tcp_seen |= tcp_seen_fin;
            learn_window(own, peer, segment);
            return;
        case TcpClass::ack:
        case TcpClass::last_ack:
            if (before_answer) return;  // about an older connection
            learn_sequence(own, peer, segment);
            learn_window(own, peer, segment);
            return;
        default:
            return;
    }
}

// One copy for each class of flags, in which only what such segments need is left.
template <TcpClass plain>
[[gnu::always_inline]] inline TcpResult follow_as(const Ends& ends, const TcpSegment& segment) {
    const TcpClass kind = classify(ends, segment, plain);
    const TcpStep& step =
        tcp_table[static_cast<std::size_t>(ends.state)][ends.side][static_cast<std::size_t>(kind)];
    if (step.verdict != TcpVerdict::pass) return {ends.state, step.verdict, kind, step.listed};
    learn(ends, segment, kind);
    return {step.next, step.verdict, kind, step.listed};
}

// Judges the segment, and learns what it says if it passes; the state is the caller's to write.
[[gnu::always_inline]] inline TcpResult follow(const Ends& ends, const TcpSegment& segment) {
    switch (class_of_flags(segment.flags)) {
        case TcpClass::ack:
            return follow_as<TcpClass::ack>(ends, segment);
        case TcpClass::fin:
            return follow_as<TcpClass::fin>(ends, segment);
        case TcpClass::syn:
            return follow_as<TcpClass::syn>(ends, segment);
        case TcpClass::syn_ack:
            return follow_as<TcpClass::syn_ack>(ends, segment);
        case TcpClass::rst:
            return follow_as<TcpClass::rst>(ends, segment);
        default:
            return follow_as<TcpClass::invalid>(ends, segment);
    }
}

// The options of a SYN.
void read_options(const std::uint8_t* header, std::uint32_t header_bytes, TcpSegment& out) {
    for (std::uint32_t at = 20; at < header_bytes;) {
        const std::uint8_t kind = header[at];
        if (kind == 0) break;
        if (kind == 1) {
            ++at;
            continue;
        }
        if (at + 1 >= header_bytes) break;
        const std::uint8_t length = header[at + 1];
        if (length < 2 || at + length > header_bytes) break;
        if (kind == 3 && length == 3) out.window_scale = header[at + 2];
        at += length;
    }
}

}  // namespace

bool read_tcp(const std::uint8_t* header, std::uint32_t bytes, TcpSegment& out) {
    if (bytes < 20) return false;
    const std::uint32_t header_bytes = (header[12] >> 4) * 4u;
    if (header_bytes < 20 || header_bytes > bytes) return false;
    out = TcpSegment{};
    out.sequence = net::load32(header + 4);
    out.acknowledgement = net::load32(header + 8);
    out.flags = header[13] & 0x3f;
    out.window = net::load16(header + 14);
    out.payload_bytes = bytes - header_bytes;
    if ((out.flags & tcp_syn) != 0) [[unlikely]]
        read_options(header, header_bytes, out);
    return true;
}

namespace {

[[gnu::always_inline]] inline TcpResult move(FlowPair& pair, std::uint8_t direction,
                                             const TcpSegment& segment) {
    const std::uint8_t side = direction & 1;
    const TcpResult result = follow({pair.tcp, side, pair.hot[side], pair.hot[side ^ 1]}, segment);
    pair.tcp = result.state;
    return result;
}

}  // namespace

TcpResult track(FlowPair& pair, std::uint8_t direction, const TcpSegment& segment) {
    return move(pair, direction, segment);
}

bool track_packet(FlowPair& pair, std::uint8_t direction, const std::uint8_t* header,
                  std::uint32_t bytes) {
    TcpSegment segment;
    if (!read_tcp(header, bytes, segment)) return false;
    const bool begins = direction == 1 && (segment.flags & tcp_syn) != 0;
    return !(begins && pair.hot[0].packets == 0) && move(pair, direction, segment).pass();
}

TcpResult adopt_midflow(FlowPair& pair, std::uint8_t direction, const TcpSegment& segment) {
    const TcpClass plain = class_of_flags(segment.flags);
    if (plain == TcpClass::invalid) return {pair.tcp, TcpVerdict::invalid, plain, false};
    const bool answer = plain == TcpClass::syn_ack;
    if (pair.tcp != TcpState::none || plain == TcpClass::rst || plain == TcpClass::syn ||
        (answer && (direction & 1) == 0))
        return {pair.tcp, TcpVerdict::out_of_state, plain, false};
    if (!answer) {
        for (Hot& hot : pair.hot) {
            hot.window_scale = liberal_scale;
            hot.tcp_seen = tcp_seen_scale;
        }
    }
    pair.tcp = answer ? TcpState::syn_sent : TcpState::established;
    return track(pair, direction, segment);
}

}  // namespace weir::flow
