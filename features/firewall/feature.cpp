#include "features/firewall/feature.hpp"

#include <map>

#include "features/firewall/compile.hpp"
#include "features/firewall/resources.hpp"
#include "model/registry.hpp"

namespace weir::firewall {

namespace {

void add_kinds(model::Registry& registry) {
    registry.add<Rule>();
    registry.add<Settings>();
    if (!registry.kind("group")) registry.add<model::Group>();
}

void plan(const model::Snapshot& intent, std::string_view host, model::Snapshot& out);

// A host would refuse the whole revision.
void check_numbers(const model::Snapshot& intent, std::vector<Error>& errors) {
    if (intent.all<Rule>().size() < max_rules) return;
    for (const auto& row : intent.all<model::Host>()) {
        model::Snapshot here;
        plan(intent, row.first, here);
        if (here.all<Rule>().size() < max_rules) continue;
        errors.push_back({Errc::limit, "firewall-rule/" + here.all<Rule>().rbegin()->first,
                          "applied_to",
                          "host " + row.first + " would have more than " +
                              std::to_string(max_rules - 1) + " rules"});
    }
}

std::vector<Error> validate(const model::Snapshot& intent) {
    std::vector<Error> errors;
    const auto refuse = [&](const std::string& name, const char* field, std::string message) {
        errors.push_back({Errc::invalid, "firewall-rule/" + name, field, std::move(message)});
    };
    std::map<std::uint32_t, std::string> ids;
    for (const auto& [name, rule] : intent.all<Rule>()) {
        const auto [at, added] = ids.try_emplace(rule_id(rule), name);
        if (!added)
            refuse(name, "id",
                   "also the number of firewall-rule/" + at->second + "; give one of them another");
        model::check_match(rule, [&, &object = name](const char* field, const char* why) {
            refuse(object, field, why);
        });
    }
    for (const auto& [name, settings] : intent.all<Settings>())
        if (name != "default")
            errors.push_back(
                {Errc::invalid, "firewall-settings/" + name, "name", "must be \"default\""});
    check_numbers(intent, errors);
    return errors;
}

// A host needs the rules of its own ports; groups travel whole, their members are compiled there.
void plan(const model::Snapshot& intent, std::string_view host, model::Snapshot& out) {
    for (const auto& [name, group] : intent.all<model::Group>()) out.put(group);
    for (const auto& [name, settings] : intent.all<Settings>()) out.put(settings);
    for (const auto& [name, rule] : intent.all<Rule>()) {
        bool here = rule.applied_to.empty();
        for (const auto& ref : rule.applied_to) {
            const auto* group = intent.find<model::Group>(ref.name);
            if (!group) continue;
            for (const std::string& port_name : model::group_members(intent, *group).ports) {
                const auto* port = intent.find<model::Port>(port_name);
                here |= port && port->host.name == host;
            }
        }
        if (here) out.put(rule);
    }
}

}  // namespace

const features::Feature feature = {"firewall", add_kinds, validate, plan};

}  // namespace weir::firewall
