#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/address.hpp"

namespace weir::dataplane {

// FlowHandles of a port's flows where it was, and where it is now; sorted by the former.
using HandleMap = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

// A guest port that was here and is on another host now. What still comes for it goes there until
// a time (spec service-plane MB-6: the stub).
struct MovedPort {
    std::string name;
    std::uint32_t index = 0;      // it had here
    std::uint32_t anchor_id = 0;  // AnchorPortId it had here
    std::uint32_t vni = 0;
    net::Mac mac;
    std::uint32_t to_host = 0;    // id
    std::uint32_t to_anchor = 0;  // AnchorPortId it has there
    std::uint64_t until_ns = 0;
    std::shared_ptr<const HandleMap> handles;

    // 0: the flow is not known there.
    std::uint32_t handle(std::uint32_t here) const {
        const auto at = std::lower_bound(handles->begin(), handles->end(), std::pair(here, 0u));
        return at != handles->end() && at->first == here ? at->second : 0;
    }
};

}  // namespace weir::dataplane
