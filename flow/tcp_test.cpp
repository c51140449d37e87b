#include "flow/tcp.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>

namespace weir::flow {
namespace {

// What the state machine should do, written down a second time: one rule after the other, in words,
// without the table. Letters: S SYN, s the same again, B SYN+ACK, F FIN, A ACK, L the ACK after
// which both FINs are acknowledged, t an ACK of nothing, R RST, r inexact RST, x blind RST, !
// invalid.
struct Expected {
    TcpState next;
    TcpVerdict verdict;
};

bool is(char segment, std::string_view any_of) {
    return any_of.find(segment) != std::string_view::npos;
}

Expected oracle(TcpState state, int side, char segment) {
    using S = TcpState;
    using V = TcpVerdict;
    const bool initiator = side == 0;
    const bool opened = state >= S::established && state <= S::fin_responder;
    if (segment == '!') return {state, V::invalid};
    if (state == S::none)  // only the initiator's SYN opens
        return initiator && segment == 'S' ? Expected{S::syn_sent, V::pass}
                                           : Expected{state, V::out_of_state};
    if (segment == 'R') return {S::closed, V::pass};  // a good RST ends everything
    if (segment == 'r')  // an inexact one moves nothing; before the answer there is no window
        return {state, state == S::syn_sent ? V::out_of_state : V::pass};
    if (segment == 'x')  // a blind one is dropped, but the answer to a challenge must get through
        return {state, state == S::syn_sent && initiator ? V::pass : V::out_of_state};
    if (is(segment, "Ss") && state == S::closed) return {state, V::reopen};
    if (segment == 'S' && state == S::closing) return {state, V::reopen};
    if (segment == 'S' && opened) return {state, V::pass};  // to be challenged
    if (state == S::syn_sent && initiator)                  // nothing but SYNs before the answer
        return {state, is(segment, "Ss") ? V::pass : V::out_of_state};
    if (state == S::syn_sent) {
        if (is(segment, "SB")) return {S::syn_received, V::pass};
        return {state, is(segment, "At") ? V::pass : V::out_of_state};
    }
    if (state == S::syn_received) {
        if (segment == 'F') return {initiator ? S::fin_initiator : S::fin_responder, V::pass};
        if (initiator && is(segment, "AB")) return {S::established, V::pass};
        if (initiator) return {state, is(segment, "Sst") ? V::pass : V::out_of_state};
        return {state, is(segment, "sBAt") ? V::pass : V::out_of_state};
    }
    if (segment == 's' || segment == 't') return {state, V::out_of_state};
    if (segment == 'A') return {state, V::pass};
    if (segment == 'L')  // both FINs exist only from `closing` on
        return state == S::closing || state == S::closed ? Expected{S::closed, V::pass}
                                                         : Expected{state, V::out_of_state};
    if (segment == 'B') {  // a repeated answer means that its ACK was lost, or that the RST was
        if (state == S::established) return {state, V::pass};
        return {state, !initiator && state != S::closing ? V::pass : V::out_of_state};
    }
    // What is left are FINs; the second one, from the other side, makes it `closing`.
    if (state == S::established) return {initiator ? S::fin_initiator : S::fin_responder, V::pass};
    if (state == S::fin_initiator && !initiator) return {S::closing, V::pass};
    if (state == S::fin_responder && initiator) return {S::closing, V::pass};
    return {state, V::pass};
}

char letter(TcpClass kind) {
    switch (kind) {
        case TcpClass::invalid:
            return '!';
        case TcpClass::syn:
            return 'S';
        case TcpClass::syn_again:
            return 's';
        case TcpClass::syn_ack:
            return 'B';
        case TcpClass::fin:
            return 'F';
        case TcpClass::ack:
            return 'A';
        case TcpClass::last_ack:
            return 'L';
        case TcpClass::stray_ack:
            return 't';
        case TcpClass::rst:
            return 'R';
        case TcpClass::rst_inexact:
            return 'r';
        case TcpClass::rst_blind:
            return 'x';
        case TcpClass::count_:
            break;
    }
    return '?';
}

TEST(TcpTable, EveryEntryIsWhatTheOracleSays) {
    unsigned listed = 0;
    for (std::size_t state = 0; state < tcp_table.size(); ++state) {
        for (int side = 0; side < 2; ++side) {
            for (std::size_t kind = 0; kind < static_cast<std::size_t>(TcpClass::count_); ++kind) {
                const TcpStep& step = tcp_table[state][static_cast<std::size_t>(side)][kind];
                const char segment = letter(static_cast<TcpClass>(kind));
                const Expected want = oracle(static_cast<TcpState>(state), side, segment);
                EXPECT_EQ(step.next, want.next) << state << " " << side << " " << segment;
                EXPECT_EQ(step.verdict, want.verdict) << state << " " << side << " " << segment;
                listed += step.listed;
            }
        }
    }
    EXPECT_GT(listed, 70u);
}

// Which class each of the 64 flag sets has when every number fits, spelled out by hand.
char class_by_flags(unsigned flags) {
    const bool f = flags & 1, s = flags & 2, r = flags & 4, a = flags & 16;
    if (f + s + r > 1) return '!';
    if (r) return 'R';
    if (s) return a ? 'B' : 'S';
    if (!a) return '!';
    return f ? 'F' : 'A';
}

// A record in `state` with both sides numbered: initiator next sends 1100, responder 2100; both
// have acknowledged everything and offer 1000 bytes.
FlowPair numbered(TcpState state) {
    FlowPair pair;
    pair.key.tuple.proto = 6;
    pair.tcp = state;
    if (state == TcpState::none) return pair;
    pair.hot[0].tcp_seen = tcp_seen_sequence;
    pair.hot[0].sequence_end = 1100;
    if (state == TcpState::syn_sent) return pair;
    pair.hot[0].tcp_seen = pair.hot[1].tcp_seen = tcp_seen_sequence | tcp_seen_window;
    pair.hot[0].acknowledged = pair.hot[1].sequence_end = 2100;
    pair.hot[1].acknowledged = 1100;
    pair.hot[0].window_edge = 3100;
    pair.hot[1].window_edge = 2100;
    return pair;
}

TEST(Tcp, EveryStateSideAndFlagSet) {
    for (std::size_t s = 0; s < static_cast<std::size_t>(TcpState::count_); ++s) {
        for (std::uint8_t side = 0; side < 2; ++side) {
            for (unsigned flags = 0; flags < 64; ++flags) {
                const auto state = static_cast<TcpState>(s);
                FlowPair pair = numbered(state);
                TcpSegment segment;
                segment.flags = static_cast<std::uint8_t>(flags);
                segment.sequence = side == 0 ? 1100 : 2100;
                segment.acknowledgement = side == 0 ? 2100 : 1100;
                segment.window = 1000;
                char kind = class_by_flags(flags);
                // What the numbers add to the flags.
                const bool unknown =
                    state == TcpState::none || (state == TcpState::syn_sent && side == 1);
                if (kind == 'S' && !unknown) kind = 's';
                if (state == TcpState::syn_sent && side == 1 && kind == 'R' && !(flags & tcp_ack))
                    kind = 'x';
                const Expected want = oracle(state, side, kind);
                const TcpResult got = track(pair, side, segment);
                const std::string where = std::to_string(s) + " side " + std::to_string(side) +
                                          " flags " + std::to_string(flags);
                EXPECT_EQ(letter(got.kind), kind) << where;
                EXPECT_EQ(got.state, want.next) << where;
                EXPECT_EQ(pair.tcp, want.next) << where;
                EXPECT_EQ(got.verdict, want.verdict) << where;
            }
        }
    }
}

// A connection played by hand. Each side's numbers move on as it sends.
struct Play {
    FlowPair pair;
    std::uint32_t next[2] = {1000, 0x80000000u};  // the responder's wrap around soon
    std::uint32_t acknowledged[2] = {0, 0};
    std::uint16_t window = 1000;
    std::uint8_t scale = TcpSegment::no_scale;

    Play() { pair.key.tuple.proto = 6; }

    TcpSegment make(std::uint8_t side, std::string_view flags, std::uint32_t bytes = 0) const {
        TcpSegment out;
        for (char c : flags) {
            const auto at = std::string_view("FSRPAU").find(c);
            out.flags = static_cast<std::uint8_t>(out.flags | 1u << at);
        }
        out.sequence = next[side];
        out.acknowledgement = (out.flags & tcp_ack) != 0 ? next[side ^ 1] : 0;
        out.window = window;
        out.payload_bytes = bytes;
        if ((out.flags & tcp_syn) != 0) out.window_scale = scale;
        return out;
    }
    TcpResult send(std::uint8_t side, std::string_view flags, std::uint32_t bytes = 0) {
        const TcpSegment segment = make(side, flags, bytes);
        next[side] += segment.length();
        return track(pair, side, segment);
    }
    void open() {
        EXPECT_EQ(send(0, "S").state, TcpState::syn_sent);
        EXPECT_EQ(send(1, "SA").state, TcpState::syn_received);
        EXPECT_EQ(send(0, "A").state, TcpState::established);
    }
};

TEST(Tcp, HandshakeDataAndOrderlyClose) {
    Play play;
    play.open();
    EXPECT_TRUE(play.send(0, "PA", 500).pass());
    EXPECT_TRUE(play.send(1, "A").pass());
    EXPECT_TRUE(play.send(1, "PA", 900).pass());
    EXPECT_EQ(play.send(0, "FA").state, TcpState::fin_initiator);
    EXPECT_EQ(play.send(1, "A").state, TcpState::fin_initiator);
    EXPECT_EQ(play.send(1, "PA", 900).state, TcpState::fin_initiator)
        << "half closed: data goes on";
    EXPECT_EQ(play.send(0, "A").state, TcpState::fin_initiator);
    EXPECT_EQ(play.send(1, "FA").state, TcpState::closing);
    EXPECT_EQ(play.send(0, "A").state, TcpState::closed);
    EXPECT_TRUE(play.send(0, "A").pass()) << "the last ACK again";
}

TEST(Tcp, SimultaneousOpen) {
    Play play;
    EXPECT_EQ(play.send(0, "S").state, TcpState::syn_sent);
    EXPECT_EQ(play.send(1, "S").state, TcpState::syn_received);
    play.next[0] -= 1;
    EXPECT_EQ(play.send(0, "SA").state, TcpState::established);
    play.next[1] -= 1;
    EXPECT_TRUE(play.send(1, "SA").pass());
    EXPECT_TRUE(play.send(1, "PA", 10).pass());
    EXPECT_EQ(play.pair.tcp, TcpState::established);
}

TEST(Tcp, SimultaneousClose) {
    Play play;
    play.open();
    const TcpSegment fin1 = play.make(1, "FA");
    EXPECT_EQ(play.send(0, "FA").state, TcpState::fin_initiator);
    play.next[1] += 1;
    EXPECT_EQ(track(play.pair, 1, fin1).state, TcpState::closing);
    EXPECT_EQ(play.send(0, "A").state, TcpState::closing) << "only one FIN is acknowledged";
    EXPECT_EQ(play.send(1, "A").state, TcpState::closed);
}

TEST(Tcp, SynIsRetransmittedAndRetried) {
    Play play;
    play.send(0, "S");
    play.next[0] -= 1;
    const TcpResult again = play.send(0, "S");
    EXPECT_EQ(again.kind, TcpClass::syn_again);
    EXPECT_EQ(again.state, TcpState::syn_sent);
    EXPECT_TRUE(again.pass());
    play.next[0] += 5'000'000;
    EXPECT_EQ(play.send(0, "S").kind, TcpClass::syn);
    EXPECT_EQ(play.pair.hot[0].sequence_end, play.next[0]) << "numbered anew";
    EXPECT_EQ(play.send(1, "SA").state, TcpState::syn_received);
    EXPECT_EQ(play.send(0, "A").state, TcpState::established);
}

TEST(Tcp, ForgedAnswersDoNotOpen) {
    Play play;
    play.send(0, "S");
    TcpSegment forged = play.make(1, "SA");
    forged.acknowledgement += 12345;
    EXPECT_EQ(track(play.pair, 1, forged).kind, TcpClass::stray_ack);
    EXPECT_EQ(play.pair.tcp, TcpState::syn_sent);
    EXPECT_EQ(play.send(1, "SA").state, TcpState::syn_received);
    forged = play.make(0, "A");
    forged.acknowledgement += 12345;
    EXPECT_EQ(track(play.pair, 0, forged).kind, TcpClass::stray_ack);
    EXPECT_EQ(play.pair.tcp, TcpState::syn_received);
    EXPECT_EQ(play.send(0, "A").state, TcpState::established);
}

TEST(Tcp, RefusedConnection) {
    Play play;
    play.send(0, "S");
    TcpSegment refusal = play.make(1, "RA");
    refusal.sequence = 0;
    TcpSegment forged = refusal;
    forged.acknowledgement += 1;
    EXPECT_EQ(track(play.pair, 1, forged).verdict, TcpVerdict::out_of_state);
    EXPECT_EQ(play.pair.tcp, TcpState::syn_sent);
    EXPECT_EQ(track(play.pair, 1, refusal).state, TcpState::closed);
    EXPECT_EQ(play.send(0, "S").verdict, TcpVerdict::reopen);
}

TEST(Tcp, OnlyAPlausibleResetCloses) {
    for (std::uint8_t side = 0; side < 2; ++side) {
        Play play;
        play.open();
        play.send(side, "PA", 300);
        const std::uint32_t acknowledged = play.pair.hot[side ^ 1].acknowledged;
        const std::uint32_t edge = play.pair.hot[side ^ 1].window_edge;
        EXPECT_EQ(edge, acknowledged + 1000);
        TcpSegment reset = play.make(side, "R");
        for (std::uint32_t blind : {acknowledged - 1, edge + 1, acknowledged + 0x40000000u}) {
            reset.sequence = blind;
            EXPECT_EQ(track(play.pair, side, reset).verdict, TcpVerdict::out_of_state) << blind;
            EXPECT_EQ(play.pair.tcp, TcpState::established);
        }
        for (std::uint32_t inexact : {acknowledged + 301, edge}) {
            reset.sequence = inexact;
            const TcpResult result = track(play.pair, side, reset);
            EXPECT_TRUE(result.pass()) << "its receiver challenges it";
            EXPECT_EQ(result.state, TcpState::established);
        }
        for (std::uint32_t exact : {acknowledged, acknowledged + 300}) {
            FlowPair copy = play.pair;
            reset.sequence = exact;
            EXPECT_EQ(track(copy, side, reset).state, TcpState::closed) << exact;
        }
    }
}

TEST(Tcp, ChallengeAckEndsAHalfOpenConnection) {
    Play play;
    play.open();
    play.send(0, "PA", 100);
    play.send(1, "PA", 100);
    // The initiator restarts and opens with a new number; the responder challenges, the initiator
    // resets with exactly the number the challenge asked for.
    TcpSegment syn = play.make(0, "S");
    syn.sequence += 0x10000000;
    EXPECT_TRUE(track(play.pair, 0, syn).pass());
    const TcpSegment challenge = play.make(1, "A");
    EXPECT_TRUE(track(play.pair, 1, challenge).pass());
    TcpSegment reset = play.make(0, "R");
    reset.sequence = challenge.acknowledgement;
    EXPECT_EQ(track(play.pair, 0, reset).state, TcpState::closed);
    EXPECT_EQ(track(play.pair, 0, syn).verdict, TcpVerdict::reopen);
}

TEST(Tcp, ChallengeOfAForgottenConnectionIsAnswered) {
    // The record is gone, the responder's connection is not.
    Play play;
    play.send(0, "S");
    TcpSegment challenge = play.make(1, "A");
    challenge.acknowledgement = 0x12345678;
    EXPECT_TRUE(track(play.pair, 1, challenge).pass());
    TcpSegment reset = play.make(0, "R");
    reset.sequence = 0x12345678;
    EXPECT_TRUE(track(play.pair, 0, reset).pass());
    EXPECT_EQ(play.pair.tcp, TcpState::syn_sent) << "the new connection is still being opened";
    EXPECT_EQ(play.send(1, "SA").state, TcpState::syn_received);
    EXPECT_EQ(play.send(0, "A").state, TcpState::established);
}

TEST(Tcp, WindowsAreScaledOnlyWhenBothSidesSaySo) {
    for (const bool both : {true, false}) {
        Play play;
        play.scale = 7;
        play.send(0, "S");
        if (!both) play.scale = TcpSegment::no_scale;
        play.send(1, "SA");
        EXPECT_EQ(play.pair.hot[1].window_edge, 1001u + 1000u) << "a SYN's window is never scaled";
        play.send(0, "A");
        const Hot& own = play.pair.hot[0];
        EXPECT_EQ(own.window_edge - own.acknowledged, both ? 1000u << 7 : 1000u);
    }
}

TEST(Tcp, WindowScaleBeyondTheStandardIsCut) {
    Play play;
    play.scale = 200;
    play.open();
    const Hot& own = play.pair.hot[0];
    EXPECT_EQ(own.window_edge - own.acknowledged, 1000u << 14);
}

TEST(Tcp, NobodyMovesTheWindowWithInventedNumbers) {
    Play play;
    play.open();
    const Hot before = play.pair.hot[1];
    TcpSegment forged = play.make(1, "A");
    forged.acknowledgement += 50'000;
    EXPECT_TRUE(track(play.pair, 1, forged).pass());
    EXPECT_EQ(play.pair.hot[1].acknowledged, before.acknowledged);
    EXPECT_EQ(play.pair.hot[1].window_edge, before.window_edge);
    forged = play.make(0, "PA", 100);
    forged.sequence += 1'000'000;
    track(play.pair, 0, forged);
    EXPECT_EQ(play.pair.hot[0].sequence_end, play.next[0]);
    forged.flags |= tcp_fin;
    EXPECT_EQ(track(play.pair, 0, forged).state, TcpState::established) << "a FIN from nowhere";
}

TEST(Tcp, OldSynOfAnOpenConnectionIsDropped) {
    Play play;
    const TcpSegment first = play.make(0, "S");
    play.open();
    const TcpResult result = track(play.pair, 0, first);
    EXPECT_EQ(result.verdict, TcpVerdict::out_of_state);
    EXPECT_FALSE(result.listed);
    EXPECT_EQ(result.state, TcpState::established);
}

TEST(Tcp, MidflowIsAdoptedOnlyOnRequest) {
    Play play;
    TcpSegment data = play.make(0, "PA", 100);
    EXPECT_EQ(track(play.pair, 0, data).verdict, TcpVerdict::out_of_state);
    EXPECT_EQ(play.pair.tcp, TcpState::none);
    EXPECT_EQ(adopt_midflow(play.pair, 0, data).state, TcpState::established);
    play.next[0] += 100;
    EXPECT_TRUE(play.send(1, "PA", 100).pass());
    EXPECT_EQ(play.pair.hot[1].window_edge, play.next[0] + (1000u << 14))
        << "scale unknown: liberal";
    EXPECT_EQ(play.send(0, "FA").state, TcpState::fin_initiator);
}

TEST(Tcp, MidflowAdoptionTakesAnAnswerButNoReset) {
    Play reset;
    EXPECT_EQ(adopt_midflow(reset.pair, 0, reset.make(0, "R")).verdict, TcpVerdict::out_of_state);
    EXPECT_EQ(adopt_midflow(reset.pair, 0, reset.make(0, "S")).verdict, TcpVerdict::out_of_state);
    EXPECT_EQ(adopt_midflow(reset.pair, 0, reset.make(0, "SA")).verdict, TcpVerdict::out_of_state);
    EXPECT_EQ(adopt_midflow(reset.pair, 0, reset.make(0, "SF")).verdict, TcpVerdict::invalid);
    EXPECT_EQ(reset.pair.tcp, TcpState::none);
    Play answer;
    EXPECT_EQ(adopt_midflow(answer.pair, 1, answer.make(1, "SA")).state, TcpState::syn_received);
    answer.next[1] += 1;
    EXPECT_EQ(answer.send(0, "A").state, TcpState::established);
}

TEST(Tcp, ReadsHeaderAndWindowScale) {
    std::uint8_t bytes[64] = {0};
    bytes[4] = 1, bytes[7] = 2, bytes[8] = 3, bytes[13] = tcp_syn, bytes[14] = 0x12,
    bytes[15] = 0x34;
    bytes[12] = 7 << 4;
    const std::uint8_t options[8] = {1, 2, 4, 5, 180, 3, 3, 9};
    std::memcpy(bytes + 20, options, 8);
    TcpSegment segment;
    ASSERT_TRUE(read_tcp(bytes, 30, segment));
    EXPECT_EQ(segment.sequence, 0x01000002u);
    EXPECT_EQ(segment.acknowledgement, 0x03000000u);
    EXPECT_EQ(segment.window, 0x1234);
    EXPECT_EQ(segment.payload_bytes, 2u);
    EXPECT_EQ(segment.window_scale, 9);
    EXPECT_EQ(segment.length(), 3u);
    bytes[22] = 0;  // an option of length 0 ends the reading
    ASSERT_TRUE(read_tcp(bytes, 30, segment));
    EXPECT_EQ(segment.window_scale, TcpSegment::no_scale);
    EXPECT_FALSE(read_tcp(bytes, 19, segment));
    EXPECT_FALSE(read_tcp(bytes, 27, segment)) << "options beyond the end";
    bytes[12] = 4 << 4;
    EXPECT_FALSE(read_tcp(bytes, 30, segment)) << "header below 20 bytes";
}

}  // namespace
}  // namespace weir::flow
