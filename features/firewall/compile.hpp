#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/rule_index.hpp"
#include "dataplane/stage.hpp"
#include "features/firewall/resources.hpp"

namespace weir::firewall {

inline constexpr std::size_t max_rules = 65536;  // counter slots of one host; slot 0: the default

struct CompiledRule {
    std::uint32_t id = 0;    // 0: the default
    std::uint32_t slot = 0;  // of its counters, kept over changes of the rules
    std::string name;
    dataplane::FlowMatch match;
    Action action = Action::none;
    bool logged = false;
    std::uint64_t digest = 0;  // of all but name and slot
};

// What one guest port is judged by.
struct PortRules {
    std::vector<const CompiledRule*> rules;             // in order
    std::shared_ptr<const dataplane::RuleIndex> index;  // of `rules`; never null
    std::uint32_t revision = 0;  // digest of the rules, their order and the default

    // How `revision` came from `previous_revision`: flows that match none of `changed` would be
    // decided as before. `all_changed`: no such promise.
    std::uint32_t previous_revision = 0;
    std::vector<dataplane::FlowMatch> changed;
    bool default_changed = false;
    bool all_changed = true;
};

struct Tables {
    std::vector<std::unique_ptr<CompiledRule>> rules;  // by section, priority, name
    CompiledRule otherwise;                            // the default
    std::vector<PortRules> ports;                      // by port index
    std::map<std::uint32_t, std::uint32_t> slots;      // rule id → counter slot

    std::uint32_t port_epoch(std::uint32_t port) const {
        return port < ports.size() ? ports[port].revision : 0;
    }
    const std::vector<dataplane::FlowMatch>* port_changes(std::uint32_t port,
                                                          std::uint32_t from) const {
        if (port >= ports.size()) return nullptr;
        const PortRules& now = ports[port];
        const bool told =
            from != 0 && now.previous_revision == from && !now.all_changed && !now.default_changed;
        return told ? &now.changed : nullptr;
    }
    const CompiledRule& decide(std::uint32_t port, const net::Tuple& initiator,
                               bool outgoing) const;
    // For a packet that does not show its ports: the first rule that surely means it, or may mean
    // it and denies.
    const CompiledRule& decide_without_ports(std::uint32_t port, const net::Tuple& tuple,
                                             bool outgoing) const;
    // Whether a decision made under `revision` (by rule `rule_id`) surely still holds.
    bool still_holds(std::uint32_t port, std::uint32_t revision, std::uint32_t rule_id,
                     const net::Tuple& initiator, bool outgoing) const;
};

Result<std::shared_ptr<const Tables>> compile(const dataplane::CompileInput& input,
                                              const std::shared_ptr<const Tables>& previous);

}  // namespace weir::firewall
