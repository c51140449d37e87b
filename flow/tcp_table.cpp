#include "flow/tcp.hpp"

namespace weir::flow {

namespace {

using TcpClass::invalid, TcpClass::syn, TcpClass::syn_again, TcpClass::syn_ack, TcpClass::fin,
    TcpClass::ack, TcpClass::last_ack, TcpClass::stray_ack, TcpClass::rst, TcpClass::rst_inexact,
    TcpClass::rst_blind;
using TcpState::none, TcpState::syn_sent, TcpState::syn_received, TcpState::established,
    TcpState::fin_initiator, TcpState::fin_responder, TcpState::closing, TcpState::closed;

// A line of the table: from this state, a segment of this class from that side leads there.
struct Row {
    TcpState state;
    int side;  // 0 initiator, 1 responder, 2 either
    TcpClass segment;
    TcpState next;
    TcpVerdict verdict;
};
constexpr TcpVerdict pass = TcpVerdict::pass, reopen = TcpVerdict::reopen;

// What is not listed stays, is counted and is dropped as out_of_state (or invalid, for such flags).
constexpr Row rows[] = {
    {none, 0, syn, syn_sent, pass},  // the connection opens

    {syn_sent, 0, syn, syn_sent, pass},          // given up and tried again from the same port
    {syn_sent, 0, syn_again, syn_sent, pass},    // retransmitted
    {syn_sent, 1, syn, syn_received, pass},      // simultaneous open, RFC 9293 §3.5
    {syn_sent, 1, syn_ack, syn_received, pass},  // the answer
    {syn_sent, 1, ack, syn_sent, pass},          // responder holds an old connection: challenge ACK
    {syn_sent, 1, stray_ack, syn_sent, pass},  // … or answers an old SYN; the initiator resets it
    {syn_sent, 0, rst_blind, syn_sent, pass},  // answers the challenge: ends the old connection
    {syn_sent, 2, rst, closed, pass},          // refused, or given up

    {syn_received, 0, syn, syn_received, pass},          // tried again; the responder challenges it
    {syn_received, 0, syn_again, syn_received, pass},    // the answer was lost
    {syn_received, 1, syn_again, syn_received, pass},    // simultaneous open, retransmitted
    {syn_received, 1, syn_ack, syn_received, pass},      // retransmitted
    {syn_received, 0, syn_ack, established, pass},       // simultaneous open ends
    {syn_received, 0, ack, established, pass},           // the handshake ends
    {syn_received, 1, ack, syn_received, pass},          // early data of the responder, RFC 7413
    {syn_received, 2, stray_ack, syn_received, pass},    // proves nothing; its receiver resets it
    {syn_received, 0, fin, fin_initiator, pass},         // handshake ends with a FIN
    {syn_received, 1, fin, fin_responder, pass},         // early data and nothing more
    {syn_received, 2, rst, closed, pass},                // given up
    {syn_received, 2, rst_inexact, syn_received, pass},  // the receiver challenges it

    {established, 2, ack, established, pass},      // data
    {established, 2, syn_ack, established, pass},  // the handshake's last ACK was lost
    {established, 2, syn, established, pass},      // a side restarted: challenge, RFC 5961 §4.2
    {established, 0, fin, fin_initiator, pass},    // initiator's half closes
    {established, 1, fin, fin_responder, pass},    // responder's half closes
    {established, 2, rst, closed, pass},           // aborted
    {established, 2, rst_inexact, established, pass},  // the receiver challenges it

    {fin_initiator, 2, ack, fin_initiator, pass},          // the other half still carries data
    {fin_initiator, 0, fin, fin_initiator, pass},          // retransmitted
    {fin_initiator, 1, fin, closing, pass},                // the second half closes
    {fin_initiator, 1, syn_ack, fin_initiator, pass},      // the handshake's last ACK was lost
    {fin_initiator, 2, syn, fin_initiator, pass},          // a side restarted: challenge
    {fin_initiator, 2, rst, closed, pass},                 // aborted
    {fin_initiator, 2, rst_inexact, fin_initiator, pass},  // challenge

    {fin_responder, 2, ack, fin_responder, pass},          // the other half still carries data
    {fin_responder, 1, fin, fin_responder, pass},          // retransmitted
    {fin_responder, 0, fin, closing, pass},                // the second half closes
    {fin_responder, 1, syn_ack, fin_responder, pass},      // the handshake's last ACK was lost
    {fin_responder, 2, syn, fin_responder, pass},          // a side restarted: challenge
    {fin_responder, 2, rst, closed, pass},                 // aborted
    {fin_responder, 2, rst_inexact, fin_responder, pass},  // challenge

    {closing, 2, ack, closing, pass},          // retransmissions
    {closing, 2, fin, closing, pass},          // retransmitted
    {closing, 2, last_ack, closed, pass},      // both halves are closed and acknowledged
    {closing, 2, syn, closing, reopen},        // the ports are used again, RFC 9293 §3.6.1
    {closing, 2, rst, closed, pass},           // aborted
    {closing, 2, rst_inexact, closing, pass},  // challenge

    {closed, 2, ack, closed, pass},          // the last ACK again
    {closed, 2, last_ack, closed, pass},     // the last ACK again
    {closed, 2, fin, closed, pass},          // the last ACK was lost
    {closed, 1, syn_ack, closed, pass},      // the initiator's RST was lost
    {closed, 2, rst, closed, pass},          // the RST again
    {closed, 2, rst_inexact, closed, pass},  // the RST again
    {closed, 2, syn, closed, reopen},        // the ports are used again
    {closed, 2, syn_again, closed, reopen},  // … with the same sequence number
};

constexpr TcpTable expand() {
    TcpTable table{};
    for (std::size_t state = 0; state < table.size(); ++state) {
        for (auto& side : table[state]) {
            for (std::size_t kind = 0; kind < side.size(); ++kind)
                side[kind] = {static_cast<TcpState>(state), TcpVerdict::out_of_state, false};
            side[static_cast<std::size_t>(invalid)].verdict = TcpVerdict::invalid;
        }
    }
    for (const Row& row : rows)
        for (int side = 0; side < 2; ++side)
            if (row.side == 2 || row.side == side)
                table[static_cast<std::size_t>(row.state)][static_cast<std::size_t>(side)]
                     [static_cast<std::size_t>(row.segment)] = {row.next, row.verdict, true};
    return table;
}

}  // namespace

constinit const TcpTable tcp_table = expand();

}  // namespace weir::flow
