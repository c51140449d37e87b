#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "dataplane/stage.hpp"

namespace weir::chain {

// On which service segments packets of each guest port of this host can be: those of the chains
// that its rules name. Whoever is on another one, with a chain of its own, has nothing of this port
// to give back (SEC-5).
class PortSegments {
public:
    static PortSegments compile(const dataplane::CompileInput& input);

    bool may_use(std::uint32_t port, std::uint32_t svni) const {
        return port < ports_.size() && std::ranges::binary_search(ports_[port], svni);
    }
    friend bool operator==(const PortSegments&, const PortSegments&) = default;

private:
    std::vector<std::vector<std::uint32_t>> ports_;  // SVNIs by port index, sorted
};

}  // namespace weir::chain
