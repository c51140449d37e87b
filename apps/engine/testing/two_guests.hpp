#pragma once
#include <string>

namespace weir::engine {

// Host h1 with the guests g1 (10.1.0.1) and g2 (10.1.0.2) of one segment. More may follow.
inline const std::string two_guests = R"(
{kind: host, name: h1, id: 1, tunnel_address: 10.0.0.1}
---
{kind: segment, name: web, vni: 5001}
---
{kind: port, name: g1, host: h1, segment: web, mac: "02:00:00:00:0a:01", addresses: [10.1.0.1],
 device: {type: memory}}
---
{kind: port, name: g2, host: h1, segment: web, mac: "02:00:00:00:0b:01", addresses: [10.1.0.2],
 device: {type: memory}}
)";

}  // namespace weir::engine
