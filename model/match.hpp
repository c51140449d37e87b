#pragma once
#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

// The words that every kind of rule uses to say which flows it means.
namespace weir::model {

template <class E, std::size_t N>
using EnumNames = std::array<std::pair<E, std::string_view>, N>;

// Relative to the guest port: out = the first packet of the flow leaves the guest (OBJ-18).
enum class Direction : std::uint8_t { in = 1, out, in_out };
constexpr auto enum_names(Direction) {
    using enum Direction;
    return EnumNames<Direction, 3>{{{in, "in"}, {out, "out"}, {in_out, "in_out"}}};
}

enum class IpVersion : std::uint8_t { any = 1, ip4, ip6 };
constexpr auto enum_names(IpVersion) {
    using enum IpVersion;
    return EnumNames<IpVersion, 3>{{{any, "any"}, {ip4, "ip4"}, {ip6, "ip6"}}};
}

enum class Protocol : std::uint8_t { any = 1, tcp, udp, icmp, sctp };  // icmp: of either IP version
constexpr auto enum_names(Protocol) {
    using enum Protocol;
    return EnumNames<Protocol, 5>{
        {{any, "any"}, {tcp, "tcp"}, {udp, "udp"}, {icmp, "icmp"}, {sctp, "sctp"}}};
}

// Ports of TCP, UDP or SCTP: "80" or "8000-8099".
struct PortRange {
    std::uint16_t first = 0, last = 0;

    static constexpr std::string_view notation = "port range";
    static constexpr bool takes_numbers = true;
    static Result<PortRange> parse(std::string_view text) {
        const auto dash = text.find('-');
        const auto low = number(text.substr(0, dash));
        const auto high = dash == text.npos ? low : number(text.substr(dash + 1));
        if (low < 0 || high < 0)
            return Error{Errc::invalid, "", "", "not a port (0 to 65535) or a range like 80-90"};
        if (low > high) return Error{Errc::invalid, "", "", "the range ends before it starts"};
        return PortRange{static_cast<std::uint16_t>(low), static_cast<std::uint16_t>(high)};
    }
    std::string text() const {
        return first == last ? std::to_string(first)
                             : std::to_string(first) + "-" + std::to_string(last);
    }
    bool contains(std::uint16_t port) const { return first <= port && port <= last; }
    friend auto operator<=>(const PortRange&, const PortRange&) = default;

private:
    static int number(std::string_view text) {
        int value = -1;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool whole = error == std::errc() && end == text.data() + text.size();
        return whole && value >= 0 && value <= 0xffff ? value : -1;
    }
};

constexpr bool has_ports(Protocol protocol) {
    return protocol == Protocol::tcp || protocol == Protocol::udp || protocol == Protocol::sctp;
}

// What bounds and references cannot say of the words of one rule: calls fail(field, why) for every
// mistake. `Rule` has the fields of firewall and service rules.
template <class Rule, class Fail>
void check_match(const Rule& rule, Fail&& fail) {
    const auto needs_ports = [&](const std::vector<PortRange>& ports, const char* field) {
        if (!ports.empty() && !has_ports(rule.protocol))
            fail(field, "needs protocol tcp, udp or sctp");
    };
    needs_ports(rule.ports, "ports");
    needs_ports(rule.source_ports, "source_ports");
    if (!rule.icmp_types.empty() && rule.protocol != Protocol::icmp)
        fail("icmp_types", "needs protocol icmp");
    if (rule.not_sources && rule.sources.empty() && rule.source_addresses.empty())
        fail("not_sources", "needs sources or source_addresses");
    if (rule.not_destinations && rule.destinations.empty() && rule.destination_addresses.empty())
        fail("not_destinations", "needs destinations or destination_addresses");
}

}  // namespace weir::model
