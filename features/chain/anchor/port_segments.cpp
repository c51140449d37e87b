#include "features/chain/anchor/port_segments.hpp"

#include <set>

#include "features/chain/resources.hpp"

namespace weir::chain {

PortSegments PortSegments::compile(const dataplane::CompileInput& input) {
    std::vector<std::set<std::uint32_t>> ports(input.ports.ports.size());
    for (const auto& row : input.snapshot.all<ServiceRule>()) {
        const ServiceChain* chain = input.snapshot.find(row.second.chain);
        const auto* segment = chain ? input.snapshot.find(chain->service_segment) : nullptr;
        if (!segment) continue;
        for (const auto& ref : row.second.applied_to_ports)
            if (const auto* port = input.ports.find(ref.name))
                ports[port->index].insert(segment->svni);
    }
    for (const auto& row : input.snapshot.all<ServiceExclusion>())
        for (const auto& ref : row.second.ports)
            if (const auto* port = input.ports.find(ref.name)) ports[port->index].clear();
    PortSegments out;
    for (const auto& one : ports) out.ports_.emplace_back(one.begin(), one.end());
    return out;
}

}  // namespace weir::chain
