#pragma once
#include <cstdint>

#include "features/chain/node/node_table.hpp"
#include "net/packet.hpp"

// Whether the appliance of a gwlb node is well, as load balancers find out: it accepts a TCP
// connection to its health port, or, without one, answers a ping.
namespace weir::chain {

inline constexpr std::uint16_t health_source_port = 0x88b5;

// Makes the packet a question: a SYN or an echo request with this number. False without room.
bool build_health_question(net::Packet&, const LocalNode&, std::uint32_t sequence);

enum class Answer : std::uint8_t {
    none,   // something else
    late,   // to another question
    well,   // SYN-ACK or echo reply
    unwell  // reset
};
// What a packet (parsed) of the appliance to the proxy answers to the last question.
Answer health_answer(const net::Packet&, const LocalNode&, std::uint32_t sequence);

// Overwrites a SYN-ACK with the reset that ends the check. False for a ping's answer.
bool close_check(net::Packet&, const LocalNode&);

}  // namespace weir::chain
