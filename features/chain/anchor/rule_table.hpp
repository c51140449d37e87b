#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "dataplane/rule_index.hpp"
#include "dataplane/stage.hpp"
#include "features/chain/words.hpp"

namespace weir::chain {

// A service rule, compiled.
struct CompiledRule {
    std::string name;
    std::uint32_t id = 0;
    std::uint32_t sci = 0;  // 0: do not redirect
    bool logged = false;
    // The chain that it names is not known here: what that did with packets it could not serve,
    // when it was known last; allow if it never was (OBJ-20).
    bool unknown_chain = false;
    FailurePolicy failure_policy = FailurePolicy::allow;
    dataplane::FlowMatch match;

    friend bool operator==(const CompiledRule&, const CompiledRule&) = default;
};

// The service rules of each guest port of this host, in the order they are looked at (OBJ-18).
class RuleTable {
public:
    // `previous`: the table before, which may know more of chains; or null.
    static RuleTable compile(const dataplane::CompileInput& input, const RuleTable* previous);

    // The first rule of the port that means the flow; null: none. `tuple` is the initiator's,
    // `outgoing`: the guest of the port is the initiator.
    const CompiledRule* find(std::uint32_t port, const net::Tuple& tuple, bool outgoing) const;
    // The bits of a tuple that find() looks at, besides its IP version.
    net::Tuple asked(std::uint32_t port) const {
        return port < ports_.size() ? ports_[port].index->asked() : net::Tuple{};
    }
    // Every rule up to the first that surely means a packet that does not show its ports:
    // visit(rule) → bool, false ends it. `outgoing` as above.
    template <class F>
    void visit_without_ports(std::uint32_t port, const net::Tuple& tuple, bool outgoing,
                             F&& visit) const {
        for (const std::uint32_t index : of_port(port)) {
            const CompiledRule& rule = rules_[index];
            if (!rule.match.fits_ends(tuple, outgoing)) continue;
            if (!visit(rule) || !rule.match.names_ports()) return;
        }
    }
    const std::vector<std::uint32_t>& of_port(std::uint32_t port) const;
    const std::vector<CompiledRule>& rules() const { return rules_; }
    bool excluded(std::uint32_t port) const {
        return port < ports_.size() && ports_[port].excluded;
    }
    // Of the port's rules and their order, without the chains they name.
    std::uint64_t digest(std::uint32_t port) const;

    friend bool operator==(const RuleTable&, const RuleTable&) = default;

private:
    void give_indices();
    void add(const CompiledRule& rule, const std::string& chain, const RuleTable* previous);

    struct PortRules {
        std::vector<std::uint32_t> rules;                   // indices, none if excluded
        bool excluded = false;                              // never an anchor (OBJ-19)
        std::shared_ptr<const dataplane::RuleIndex> index;  // of `rules`; never null
        friend bool operator==(const PortRules& a, const PortRules& b) {
            return a.rules == b.rules && a.excluded == b.excluded;
        }
    };
    std::vector<CompiledRule> rules_;  // by section, priority, name
    // Of the chains that these rules name, as they are or were last.
    std::map<std::string, FailurePolicy> policies_;
    std::vector<PortRules> ports_;  // by port index
};

}  // namespace weir::chain
