#include "features/firewall/compile.hpp"

#include <algorithm>
#include <set>

#include "dataplane/digest.hpp"

namespace weir::firewall {

std::uint32_t rule_id(const Rule& rule) {
    return rule.id != 0 ? rule.id : 0x80000000u | dataplane::Digest{}.add(rule.name).value32();
}

const CompiledRule& Tables::decide(std::uint32_t port, const net::Tuple& initiator,
                                   bool outgoing) const {
    const std::uint32_t found = ports[port].index->find(initiator, outgoing);
    return found != dataplane::RuleIndex::none ? *ports[port].rules[found] : otherwise;
}

const CompiledRule& Tables::decide_without_ports(std::uint32_t port, const net::Tuple& tuple,
                                                 bool outgoing) const {
    for (const CompiledRule* rule : ports[port].rules) {
        if (!rule->match.fits_ends(tuple, outgoing)) continue;
        if (rule->action != Action::allow || !rule->match.names_ports()) return *rule;
    }
    return otherwise;
}

bool Tables::still_holds(std::uint32_t port, std::uint32_t revision, std::uint32_t rule_id,
                         const net::Tuple& initiator, bool outgoing) const {
    const PortRules& now = ports[port];
    if (revision == now.revision) return true;
    if (now.all_changed || revision == 0 || revision != now.previous_revision) return false;
    if (rule_id == 0 && now.default_changed) return false;
    return std::none_of(
        now.changed.begin(), now.changed.end(),
        [&](const dataplane::FlowMatch& match) { return match.matches(initiator, outgoing); });
}

namespace {

using Order = std::vector<const Rule*>;

// Slots of rules that stay are kept; new rules take the lowest free ones.
std::map<std::uint32_t, std::uint32_t> give_slots(const Order& rules, const Tables* previous) {
    std::map<std::uint32_t, std::uint32_t> slots;
    std::set<std::uint32_t> used = {0};
    for (const Rule* rule : rules) {
        if (!previous) continue;
        const auto found = previous->slots.find(rule_id(*rule));
        if (found == previous->slots.end()) continue;
        slots.insert(*found);
        used.insert(found->second);
    }
    std::uint32_t next = 1;
    for (const Rule* rule : rules) {
        const auto [at, added] = slots.try_emplace(rule_id(*rule), 0);
        if (!added) continue;
        while (used.contains(next)) ++next;
        at->second = next;
        used.insert(next);
    }
    return slots;
}

std::unique_ptr<CompiledRule> compile_rule(const Rule& rule, std::uint32_t slot,
                                           const model::Snapshot& snapshot) {
    auto out = std::make_unique<CompiledRule>();
    out->id = rule_id(rule);
    out->slot = slot;
    out->name = rule.name;
    out->match = dataplane::compile_match(rule, snapshot);
    out->action = rule.action;
    out->logged = rule.logged;
    out->digest = dataplane::Digest{}
                      .add(out->id)
                      .add(out->match.digest())
                      .add(static_cast<std::uint64_t>(rule.action))
                      .add(rule.logged)
                      .value64();
    return out;
}

// The guest ports of this host that have the rule.
std::vector<bool> ports_of(const Rule& rule, const dataplane::CompileInput& input) {
    std::set<std::string> names;
    for (const auto& ref : rule.applied_to)
        if (const auto* group = input.snapshot.find<model::Group>(ref.name))
            for (std::string& name : model::group_members(input.snapshot, *group).ports)
                names.insert(std::move(name));
    std::vector<bool> out(input.ports.ports.size());
    for (const dataplane::PortEntry& port : input.ports.ports)
        out[port.index == net::no_port ? 0 : port.index] =
            port.role == dataplane::PortRole::guest &&
            (rule.applied_to.empty() || names.contains(port.name));
    return out;
}

// What changed from `before` to `now`, rule by rule; nothing may be promised when rules that both
// have changed places.
void compare(const PortRules& before, PortRules& now) {
    if (before.revision == now.revision) {  // keep the step that led here
        now.previous_revision = before.previous_revision;
        now.changed = before.changed;
        now.default_changed = before.default_changed;
        now.all_changed = before.all_changed;
        return;
    }
    now.previous_revision = before.revision;
    std::map<std::uint32_t, const CompiledRule*> old;
    for (const CompiledRule* rule : before.rules) old.emplace(rule->id, rule);
    std::vector<std::uint32_t> kept_now, kept_before;
    std::set<std::uint32_t> kept;
    for (const CompiledRule* rule : now.rules) {
        const auto found = old.find(rule->id);
        if (found != old.end() && found->second->digest == rule->digest) {
            kept_now.push_back(rule->id);
            kept.insert(rule->id);
        } else {
            now.changed.push_back(rule->match);
        }
    }
    for (const CompiledRule* rule : before.rules) {
        if (kept.contains(rule->id)) kept_before.push_back(rule->id);
        else now.changed.push_back(rule->match);
    }
    now.all_changed = kept_now != kept_before || now.changed.size() > 256;
}

// Ports that have the same rules share an index, and so do tables that follow one another.
void give_indices(Tables& out, const Tables* previous) {
    const auto same = [](const CompiledRule* a, const CompiledRule* b) {
        return a->digest == b->digest;
    };
    for (std::size_t i = 0; i < out.ports.size(); ++i) {
        PortRules& port = out.ports[i];
        for (std::size_t j = 0; j < i && !port.index; ++j)
            if (out.ports[j].rules == port.rules) port.index = out.ports[j].index;
        if (!port.index && previous && i < previous->ports.size() &&
            std::ranges::equal(previous->ports[i].rules, port.rules, same))
            port.index = previous->ports[i].index;
        if (port.index) continue;
        std::vector<const dataplane::FlowMatch*> matches;
        for (const CompiledRule* rule : port.rules) matches.push_back(&rule->match);
        port.index = std::make_shared<const dataplane::RuleIndex>(matches);
    }
}

void compile_ports(const dataplane::CompileInput& input, const Order& rules, Tables& out,
                   const Tables* previous) {
    out.ports.resize(input.ports.ports.size());
    for (std::size_t i = 0; i < rules.size(); ++i) {
        const std::vector<bool> on = ports_of(*rules[i], input);
        for (std::size_t port = 0; port < on.size(); ++port)
            if (on[port]) out.ports[port].rules.push_back(out.rules[i].get());
    }
    for (std::size_t i = 0; i < out.ports.size(); ++i) {
        PortRules& port = out.ports[i];
        dataplane::Digest digest;
        digest.add(static_cast<std::uint64_t>(out.otherwise.action)).add(port.rules.size());
        for (const CompiledRule* rule : port.rules) digest.add(rule->digest);
        port.revision = digest.value32();
        if (!previous || i >= previous->ports.size() || previous->ports[i].revision == 0) continue;
        port.default_changed = previous->otherwise.action != out.otherwise.action;
        compare(previous->ports[i], port);
    }
    give_indices(out, previous);
}

bool same(const Tables& a, const Tables& b) {
    const auto equal_port = [](const PortRules& x, const PortRules& y) {
        return x.revision == y.revision;
    };
    return a.slots == b.slots && a.rules.size() == b.rules.size() &&
           std::equal(a.ports.begin(), a.ports.end(), b.ports.begin(), b.ports.end(), equal_port) &&
           std::equal(a.rules.begin(), a.rules.end(), b.rules.begin(),
                      [](const auto& x, const auto& y) {
                          return x->name == y->name && x->digest == y->digest;
                      });
}

}  // namespace

Result<std::shared_ptr<const Tables>> compile(const dataplane::CompileInput& input,
                                              const std::shared_ptr<const Tables>& previous) {
    const Order rules = dataplane::in_order<Rule>(input.snapshot);
    if (rules.size() >= max_rules)
        return Error{Errc::limit, "firewall-rule", "", "more than 65535 rules on one host"};
    auto out = std::make_shared<Tables>();
    const Settings* settings = input.snapshot.find<Settings>("default");
    out->otherwise.name = "default";
    out->otherwise.action = settings ? settings->default_action : Action::allow;
    out->slots = give_slots(rules, previous.get());
    for (const Rule* rule : rules)
        out->rules.push_back(compile_rule(*rule, out->slots.at(rule_id(*rule)), input.snapshot));
    compile_ports(input, rules, *out, previous.get());
    if (previous && same(*previous, *out)) return previous;
    return std::shared_ptr<const Tables>(std::move(out));
}

}  // namespace weir::firewall
