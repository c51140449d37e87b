#pragma once
#include <array>
#include <cstdint>

#include "flow/record.hpp"

// The TCP state machine of a record: RFC 9293 as seen by somebody in the middle.
namespace weir::flow {

inline constexpr std::uint8_t tcp_fin = 0x01, tcp_syn = 0x02, tcp_rst = 0x04, tcp_psh = 0x08,
                              tcp_ack = 0x10, tcp_urg = 0x20;

// What a segment asks for. The sequence numbers have already been judged when the table is read.
enum class TcpClass : std::uint8_t {
    invalid = 0,  // flags that no TCP sends: see class_of_flags()
    syn,          // SYN with a sequence number this side has not used yet
    syn_again,    // SYN at or below what this side has sent: a retransmission or a late copy
    syn_ack,
    fin,
    ack,          // data or a plain acknowledgement
    last_ack,     // … after which both FINs are acknowledged
    stray_ack,    // ACK or SYN+ACK that acknowledges nothing the opening handshake sent
    rst,          // RST with the sequence number the other side expects
    rst_inexact,  // RST inside the window: the receiver answers with a challenge ACK (RFC 5961
                  // §3.2)
    rst_blind,    // RST outside the window
    count_
};

enum class TcpVerdict : std::uint8_t {
    pass = 1,
    out_of_state,  // does not belong to this connection as it stands: drop
    invalid,       // no TCP sends such a segment: drop
    reopen,        // a SYN for a connection that is over: erase the record and treat it as new
};

struct TcpStep {
    TcpState next = TcpState::none;
    TcpVerdict verdict = TcpVerdict::pass;
    bool listed = false;  // false: "stay and count"
};
using TcpTable =
    std::array<std::array<std::array<TcpStep, static_cast<std::size_t>(TcpClass::count_)>, 2>,
               static_cast<std::size_t>(TcpState::count_)>;
extern const TcpTable tcp_table;  // [state][direction][class]

// What track() needs of one segment; host byte order.
struct TcpSegment {
    std::uint32_t sequence = 0;
    std::uint32_t acknowledgement = 0;
    std::uint16_t window = 0;  // as on the wire, unscaled
    std::uint8_t flags = 0;
    std::uint32_t payload_bytes = 0;
    std::uint8_t window_scale = no_scale;  // of the option in a SYN; no_scale: not there

    static constexpr std::uint8_t no_scale = 0xff;
    // Bytes of sequence space, SYN and FIN included.
    std::uint32_t length() const {
        return payload_bytes + ((flags & tcp_syn) != 0) + ((flags & tcp_fin) != 0);
    }
};

// Reads the TCP header at `header` (`bytes` long with payload); false when it is cut short or its
// data offset is impossible. `payload_bytes` follows from `bytes`.
bool read_tcp(const std::uint8_t* header, std::uint32_t bytes, TcpSegment& out);

struct TcpResult {
    TcpState state = TcpState::none;  // now
    TcpVerdict verdict = TcpVerdict::pass;
    TcpClass kind = TcpClass::invalid;
    bool listed = false;  // the table names this step; else it was "stay and count"
    bool pass() const { return verdict == TcpVerdict::pass; }
};

// Bits of Hot::tcp_seen.
inline constexpr std::uint8_t tcp_seen_sequence = 1;  // sequence_end stands for something
inline constexpr std::uint8_t tcp_seen_window = 2;    // acknowledged and window_edge do
inline constexpr std::uint8_t tcp_seen_fin = 4;  // this side's FIN was seen; sequence_end covers it
inline constexpr std::uint8_t tcp_seen_fin_acked = 8;  // … and was acknowledged
inline constexpr std::uint8_t tcp_seen_scale = 16;     // the side's SYN carried a window scale

// Data this far beyond the window still teaches.
inline constexpr std::int32_t tcp_window_slack = 65535;

// The class that flags alone decide; sequence numbers refine it (SYN, ACK, RST).
TcpClass class_of_flags(std::uint8_t flags);

// Takes one segment of a flow: moves the state on, learns sequence numbers and windows when it
// passes. A record in state `none` takes only a SYN of direction 0; see adopt_midflow().
TcpResult track(FlowPair& pair, std::uint8_t direction, const TcpSegment& segment);

// The same for a packet of a flow that has a record; false: it does not pass, or may be the first
// of another connection (a SYN of the side that answers, of which nobody has seen a question).
bool track_packet(FlowPair& pair, std::uint8_t direction, const std::uint8_t* header,
                  std::uint32_t bytes);

// Makes a fresh record stand for a connection whose start nobody saw: established, and liberal
// about sequence numbers until both sides have been seen.
TcpResult adopt_midflow(FlowPair& pair, std::uint8_t direction, const TcpSegment& segment);

}  // namespace weir::flow
