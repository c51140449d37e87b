#include "example/rules.hpp"

#include <charconv>
#include <map>
#include <sstream>

namespace weir::example {

namespace {

using service::FlowOrder;
using service::Order;

bool read_number(const std::string& text, std::uint32_t most, std::uint32_t& number) {
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number);
    return parsed.ec == std::errc{} && parsed.ptr == end && number <= most;
}

// "[PORT] [order WORD [PARAMETER]]"; what is wrong, or empty.
std::string parse_order(std::istringstream& words, FlowOrder& order) {
    static const std::map<std::string, Order> orders = {
        {"allow", Order::allow}, {"drop", Order::drop},        {"reset", Order::reset},
        {"skip", Order::skip},   {"path", Order::change_path}, {"chain", Order::change_chain},
        {"tag", Order::tag},     {"restore", Order::restore},   {"overload", Order::overload}};
    std::string word, parameter, rest;
    words >> word >> parameter >> rest;
    const auto known = orders.find(word);
    if (known == orders.end())
        return "'" + word +
               "' is no order; there are: allow, drop, reset, skip, path, chain, tag, "
               "restore, overload";
    order.order = known->second;
    if (!parameter.empty() && !read_number(parameter, 0xffffffff, order.parameter))
        return "'" + parameter + "' is no number";
    if (!rest.empty()) return "'" + rest + "' is too much";
    const service::OrderError error = service::OrderSlip(2).write(order);
    return error == service::OrderError::none ? "" : service::name(error);
}

std::string parse_line(std::istringstream& words, Rule& rule) {
    std::string action, proto, word;
    words >> action >> proto >> word;
    if (action != "drop" && action != "pass")
        return "'" + action + "' is no action; there are: drop, pass";
    rule.verdict = action == "drop" ? service::Verdict::drop : service::Verdict::pass;
    rule.any_icmp = proto == "icmp";
    if (proto == "tcp") rule.proto = proto_tcp;
    else if (proto == "udp") rule.proto = proto_udp;
    else if (!rule.any_icmp) return "'" + proto + "' is no protocol; there are: tcp, udp, icmp";
    if (!word.empty() && word != "order") {
        if (rule.any_icmp) return "icmp has no ports";
        std::uint32_t port = 0;
        if (!read_number(word, 65535, port) || port == 0)
            return "'" + word + "' is no port (1 to 65535)";
        rule.port = static_cast<std::uint16_t>(port);
        word.clear();
        words >> word;
    }
    if (word == "order") return parse_order(words, rule.order);
    return word.empty() ? "" : "'" + word + "' is too much";
}

}  // namespace

std::variant<std::vector<Rule>, std::string> parse_rules(std::string_view text) {
    std::vector<Rule> rules;
    std::istringstream lines{std::string(text)};
    std::string line;
    for (int number = 1; std::getline(lines, line); ++number) {
        line = line.substr(0, line.find('#'));
        if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
        Rule rule{.text = line.substr(line.find_first_not_of(" \t"))};
        rule.text.erase(rule.text.find_last_not_of(" \t\r") + 1);
        std::istringstream words(line);
        if (const std::string why = parse_line(words, rule); !why.empty())
            return "line " + std::to_string(number) + ": " + why;
        rules.push_back(rule);
    }
    return rules;
}

bool matches(const Rule& rule, const Tuple& tuple) {
    if (rule.any_icmp) return tuple.proto == proto_icmp || tuple.proto == proto_icmpv6;
    if (tuple.proto != rule.proto) return false;
    return rule.port == 0 || tuple.src_port == rule.port || tuple.dst_port == rule.port;
}

}  // namespace weir::example
