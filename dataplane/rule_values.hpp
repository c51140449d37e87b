#pragma once
#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/rule_index.hpp"

// What the words of a rule mean as intervals of numbers; for RuleIndex.
namespace weir::dataplane {

template <class Key>
struct Interval {
    Key first{}, last{};
    friend auto operator<=>(const Interval&, const Interval&) = default;
};

// Disjoint, sorted, none next to another. Empty: no flow has such a value.
struct RuleValues {
    std::vector<Interval<std::uint32_t>> small;  // IPv4 addresses, service keys, source ports
    std::vector<Interval<Address6>> large;       // IPv6 addresses
    friend auto operator<=>(const RuleValues&, const RuleValues&) = default;
};

// For source, destination, service, source port; nothing: the rule leaves that open.
std::array<std::optional<RuleValues>, 4> values_of(const FlowMatch& match);

}  // namespace weir::dataplane
