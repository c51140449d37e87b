#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "model/core_resources.hpp"
#include "model/describe.hpp"
#include "model/match.hpp"

namespace weir::firewall {

enum class Action : std::uint8_t { none = 0, allow, drop, reject };
constexpr auto enum_names(Action) {
    return model::EnumNames<Action, 3>{
        {{Action::allow, "allow"}, {Action::drop, "drop"}, {Action::reject, "reject"}}};
}

// Allows or denies new flows of the guest ports it is applied to.
struct Rule {
    std::string name;
    std::uint32_t id = 0;
    std::uint32_t section = 0;
    std::uint32_t priority = 1000;
    std::vector<model::Ref<model::Group>> sources;
    std::vector<net::Prefix> source_addresses;
    bool not_sources = false;
    std::vector<model::Ref<model::Group>> destinations;
    std::vector<net::Prefix> destination_addresses;
    bool not_destinations = false;
    model::IpVersion ip_version = model::IpVersion::any;
    model::Protocol protocol = model::Protocol::any;
    std::vector<model::PortRange> ports;
    std::vector<model::PortRange> source_ports;
    std::vector<std::uint8_t> icmp_types;
    model::Direction direction = model::Direction::in_out;
    std::vector<model::Ref<model::Group>> applied_to;
    Action action = Action::none;
    bool logged = false;
    bool enabled = true;

    static constexpr auto schema() {
        using namespace model;
        return resource(
            "firewall-rule",
            "Allows or denies new flows of guest ports; the first rule that fits decides.",
            key(&Rule::name, "name", "Unique among firewall rules."),
            field(&Rule::id, "id", "Number in records and counters; 0: given by Weir.", 0,
                  0x7fffffff),
            field(&Rule::section, "section", "Lower sections are looked at first.", 0, 65535),
            field(&Rule::priority, "priority",
                  "Lower numbers are looked at first; rules of equal priority by name.", 0,
                  1000000),
            field(&Rule::sources, "sources", "Groups the flow may come from.").count(0, 256),
            field(&Rule::source_addresses, "source_addresses",
                  "Networks the flow may come from, beside `sources`; both empty: any."),
            field(&Rule::not_sources, "not_sources", "Any source but those."),
            field(&Rule::destinations, "destinations", "Groups the flow may go to.").count(0, 256),
            field(&Rule::destination_addresses, "destination_addresses",
                  "Networks the flow may go to, beside `destinations`; both empty: any."),
            field(&Rule::not_destinations, "not_destinations", "Any destination but those."),
            field(&Rule::ip_version, "ip_version", "ip4, ip6 or any."),
            field(&Rule::protocol, "protocol", "Protocol above IP."),
            field(&Rule::ports, "ports",
                  "Destination ports, like 80 or 8000-8099; empty: any. tcp, udp and sctp only.")
                .count(0, 256),
            field(&Rule::source_ports, "source_ports", "Source ports; empty: any.").count(0, 256),
            field(&Rule::icmp_types, "icmp_types",
                  "ICMP types of the flow's first packet; empty: any. icmp only.")
                .count(0, 256),
            field(&Rule::direction, "direction",
                  "out: flows that the guest of the port opens; in: flows towards it."),
            field(&Rule::applied_to, "applied_to",
                  "Groups whose ports have the rule; empty: all guest ports.")
                .count(0, 256),
            field(
                &Rule::action, "action",
                "allow: the flow and its replies pass. drop: silently. reject: the sender is told "
                "(TCP reset, ICMP).")
                .required(),
            field(&Rule::logged, "logged", "Report each decision as an event."),
            field(&Rule::enabled, "enabled", "no: the rule is not there."));
    }
};

// What happens to flows that no rule fits.
struct Settings {
    std::string name;
    Action default_action = Action::allow;

    static constexpr auto schema() {
        using namespace model;
        return resource("firewall-settings",
                        "What holds for the firewall as a whole; the one named \"default\" counts.",
                        key(&Settings::name, "name", "\"default\"."),
                        field(&Settings::default_action, "default_action",
                              "What happens to flows that no rule fits."));
    }
};

// The number a rule has in records and counters: its own, or one made from its name.
std::uint32_t rule_id(const Rule& rule);

}  // namespace weir::firewall
