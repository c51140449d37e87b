#pragma once
#include <cstdint>

#include "features/chain/node/flow_contexts.hpp"
#include "net/packet.hpp"

// How packets inside a router that translates addresses are told apart: by a number in a field that
// routers and translators leave as it is. IPv4: the identification, which means nothing in a
// datagram that is no fragment, and may be rewritten on its way (RFC 6864 §4, §5). IPv6: the flow
// label (RFC 6437), restored behind the node.
namespace weir::chain {

inline constexpr std::uint32_t no_mark = 0;
inline constexpr std::uint32_t most_marks = 65'535;  // on a host, divided over its workers

// The mark of a context: 1 … 65535; no_mark where its number is too high to have one.
std::uint32_t mark_of(std::uint32_t id, std::uint32_t workers);
// The context's number; no_context_id for marks of nobody.
std::uint32_t id_of_mark(std::uint32_t mark, std::uint32_t workers);

// Whether such a packet can carry a mark: parsed IP, and no fragment of IPv4.
bool can_be_marked(const net::Packet& p);

// Writes the mark and keeps in the context what stood there. Above the mark, a flow label has four
// bits of the context's cookie.
void write_mark(net::Packet& p, FlowContext& context, std::uint32_t mark);

// The mark that stands in a parsed IP packet.
std::uint32_t read_mark(const net::Packet& p);
// Whether the packet may be the context's: its cookie, protocol and one end are. A translator
// changes one end of a packet, not both.
bool fits_mark(const net::Packet& p, const FlowContext& context, bool reverse);
// The flow label as it was; an identification that no datagram of the context had before.
void restore_mark(net::Packet& p, FlowContext& context);

}  // namespace weir::chain
