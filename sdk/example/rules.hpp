#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "example/tuple.hpp"
#include "weir/handler.hpp"

namespace weir::example {

// One line of a rule file: `drop tcp 8080`, `drop udp`, `drop icmp`, and with an order for the flow
// `pass tcp 443 order skip`, `drop tcp 23 order drop`. Port 0: every port.
struct Rule {
    std::string text;
    service::Verdict verdict = service::Verdict::drop;
    service::FlowOrder order{};
    bool any_icmp = false;
    std::uint8_t proto = 0;
    std::uint16_t port = 0;  // either end of the connection
    std::uint64_t hits = 0;
};

// Rules in the order of the file, or "line 3: …: why". Empty lines and lines with # are comments.
std::variant<std::vector<Rule>, std::string> parse_rules(std::string_view text);

bool matches(const Rule& rule, const Tuple& tuple);

}  // namespace weir::example
