#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/flow_limits.hpp"
#include "flow/timeouts.hpp"
#include "net/address.hpp"
#include "net/packet.hpp"

namespace weir::dataplane {

class EpochHistory;

enum class PortRole : std::uint8_t { none = 0, guest, underlay, service };

// One port as the program sees it: the resource and what the shell opened, joined.
struct PortEntry {
    PortRole role = PortRole::none;  // none: no packet passes (not realised, or not ours)
    std::string name;
    std::uint32_t index = net::no_port;
    std::uint32_t incarnation = 0;
    std::uint32_t polling_worker = 0;
    std::uint32_t scope = 0;   // of its flow records
    std::uint32_t vni = 0;     // guest: the segment's VNI; service: the SVNI
    std::uint32_t mtu = 1500;  // largest IP packet of the guest
    net::Mac mac;
    std::vector<net::Ip> addresses;
    bool spoof_guard = true;
    bool learn_addresses = false;
    bool foreign = false;  // another engine's: packets for it are handed over
    std::uint32_t from_host = net::no_port;  // id of the host that it has moved here from
    // No part of the epoch: what is decided stays decided, a flow's next packet sets its timer.
    flow::Timeouts timeouts;
    FlowLimits flow_limits;
    std::uint32_t epoch = 0;  // digest of everything compiled for this port; never 0

    std::uint32_t place_epoch = 0;  // its part that is no stage's: segment, ways, addresses
    std::shared_ptr<const EpochHistory> history;  // of `epoch`; null: every older one is stale

    // AnchorPortId of the service metadata (spec R2): incarnation 8 | index 24.
    std::uint32_t anchor_id() const { return incarnation << 24 | (index & 0xffffff); }
};

// All ports of this host by index, and the host itself.
struct PortMap {
    std::string host_name;
    std::uint32_t host_id = 0;
    net::Ip tunnel_address;
    std::uint32_t underlay_port = net::no_port;
    std::vector<PortEntry> ports;  // by index; role none where there is nothing

    const PortEntry* at(std::uint32_t index) const {
        return index < ports.size() && ports[index].role != PortRole::none ? &ports[index]
                                                                           : nullptr;
    }
    const PortEntry* find(std::string_view name) const {
        for (const PortEntry& port : ports)
            if (port.role != PortRole::none && port.name == name) return &port;
        return nullptr;
    }
};

}  // namespace weir::dataplane
