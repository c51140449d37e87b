#pragma once
#include <vector>

#include "model/value.hpp"

// What a trace says of the service plane, stage by stage notes taken together: who had the packet,
// and what he did with it (spec service-plane §12.3).
namespace weir::command {

// Rows {host, component, node, spi, si, d, event, reason, at_ns, dwell_us}, in the order of
// `steps`:
//   d          direction: 0 as the flow was opened, 1 against that
//   component  anchor (the insertion point and where the packet goes on), proxy (the host's leg to
//              the next hop), node, or guest
//   event      inserted, sent, received, forwarded, resumed, delivered, dropped
//   dwell_us   of a node's `forwarded`: since it received the packet, by its host's clock
// A node that did not send the packet on, while nothing else came of it, is `dropped` with the
// reason "no answer from NODE".
std::vector<model::Value> observations(const std::vector<model::Value>& steps);

}  // namespace weir::command
