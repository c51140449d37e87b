#include "example/rules.hpp"

#include <charconv>
#include <sstream>

namespace weir::example {

namespace {

std::string parse_line(std::istringstream& words, DropRule& rule) {
    std::string action, proto, port, rest;
    words >> action >> proto >> port >> rest;
    if (action != "drop") return "'" + action + "' is no action; there is: drop";
    if (!rest.empty()) return "'" + rest + "' is too much";
    rule.any_icmp = proto == "icmp";
    if (proto == "tcp")
        rule.proto = proto_tcp;
    else if (proto == "udp")
        rule.proto = proto_udp;
    else if (!rule.any_icmp)
        return "'" + proto + "' is no protocol; there are: tcp, udp, icmp";
    if (port.empty()) return {};
    if (rule.any_icmp) return "icmp has no ports";
    const char* end = port.data() + port.size();
    const auto parsed = std::from_chars(port.data(), end, rule.port);
    if (parsed.ec != std::errc{} || parsed.ptr != end || rule.port == 0)
        return "'" + port + "' is no port (1 to 65535)";
    return {};
}

}  // namespace

std::variant<std::vector<DropRule>, std::string> parse_rules(std::string_view text) {
    std::vector<DropRule> rules;
    std::istringstream lines{std::string(text)};
    std::string line;
    for (int number = 1; std::getline(lines, line); ++number) {
        line = line.substr(0, line.find('#'));
        if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
        DropRule rule{.text = line.substr(line.find_first_not_of(" \t"))};
        rule.text.erase(rule.text.find_last_not_of(" \t\r") + 1);
        std::istringstream words(line);
        if (const std::string why = parse_line(words, rule); !why.empty())
            return "line " + std::to_string(number) + ": " + why;
        rules.push_back(rule);
    }
    return rules;
}

bool matches(const DropRule& rule, const Tuple& tuple) {
    if (rule.any_icmp) return tuple.proto == proto_icmp || tuple.proto == proto_icmpv6;
    if (tuple.proto != rule.proto) return false;
    return rule.port == 0 || tuple.src_port == rule.port || tuple.dst_port == rule.port;
}

}  // namespace weir::example
