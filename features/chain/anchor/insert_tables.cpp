#include "features/chain/anchor/insert_tables.hpp"

#include <set>

#include "dataplane/digest.hpp"

namespace weir::chain {
namespace {

using dataplane::Digest;

bool may_change_chain(const Chain& chain) {
    for (const Path& path : chain.paths)
        for (const auto& hops : path.hops)
            for (const Hop& hop : hops)
                if (hop.privileges & bit(Privilege::change_chain)) return true;
    return false;
}

std::uint32_t revision_of(const InsertTables& tables, std::uint32_t port) {
    Digest digest;
    digest.add(tables.rules.digest(port));
    std::set<std::uint32_t> chains;
    for (const std::uint32_t index : tables.rules.of_port(port))
        chains.insert(tables.rules.rules()[index].sci);
    // Flows of chains that nodes may change are perhaps on any chain of the service segment.
    std::set<std::uint32_t> segments;
    for (const std::uint32_t sci : chains)
        if (const Chain* chain = tables.plane->chain(sci); chain && may_change_chain(*chain))
            segments.insert(chain->svni);
    for (const Chain& chain : tables.plane->chains)
        if (chains.contains(chain.sci) || segments.contains(chain.svni))
            digest.add(chain.digest(tables.plane->host_id));
    return digest.value32();
}

}  // namespace

std::shared_ptr<const InsertTables> compile_insert(
    const dataplane::CompileInput& input, const std::shared_ptr<const InsertTables>& previous) {
    auto tables = std::make_shared<InsertTables>();
    tables->plane = compile_plane(input, previous ? previous->plane : nullptr);
    tables->rules = RuleTable::compile(input, previous ? &previous->rules : nullptr);
    for (std::uint32_t port = 0; port < input.ports.ports.size(); ++port)
        tables->revisions.push_back(revision_of(*tables, port));
    for (const dataplane::PortEntry& port : input.ports.ports)
        tables->port_names.push_back(port.role == dataplane::PortRole::guest ? port.name : "");
    if (previous && previous->plane == tables->plane && previous->rules == tables->rules &&
        previous->revisions == tables->revisions && previous->port_names == tables->port_names)
        return previous;
    return tables;
}

}  // namespace weir::chain
