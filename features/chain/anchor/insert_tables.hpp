#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "features/chain/anchor/rule_table.hpp"
#include "features/chain/plane.hpp"

namespace weir::chain {

// What decides about insertion on this host.
struct InsertTables {
    std::shared_ptr<const Plane> plane;
    RuleTable rules;
    std::vector<std::string> port_names;   // by port index; empty: no guest port
    std::vector<std::uint32_t> revisions;  // by port index: digest of its rules and their chains

    std::uint32_t revision(std::uint32_t port) const {
        return port < revisions.size() ? revisions[port] : 1;
    }
    // The stage contract: raised only if something that concerns the port's flows changed.
    std::uint32_t port_epoch(std::uint32_t port) const { return revision(port); }
};

std::shared_ptr<const InsertTables> compile_insert(
    const dataplane::CompileInput& input, const std::shared_ptr<const InsertTables>& previous);

}  // namespace weir::chain
