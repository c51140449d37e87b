#include "dataplane/rule_values.hpp"

#include <algorithm>

#include "net/wire.hpp"

namespace weir::dataplane {

namespace {

template <class Key>
constexpr Key highest = static_cast<Key>(~Key{0});

template <class Key>
void normalise(std::vector<Interval<Key>>& list) {
    std::sort(list.begin(), list.end());
    std::size_t kept = 0;
    for (const Interval<Key>& next : list) {
        const bool joins = kept > 0 && (list[kept - 1].last == highest<Key> ||
                                        next.first <= list[kept - 1].last + 1);
        if (joins) list[kept - 1].last = std::max(list[kept - 1].last, next.last);
        else list[kept++] = next;
    }
    list.resize(kept);
}

template <class Key>
std::vector<Interval<Key>> complement(const std::vector<Interval<Key>>& list) {
    std::vector<Interval<Key>> out;
    Key next = 0;
    for (const Interval<Key>& one : list) {
        if (one.first > next) out.push_back({next, static_cast<Key>(one.first - 1)});
        if (one.last == highest<Key>) return out;
        next = one.last + 1;
    }
    out.push_back({next, highest<Key>});
    return out;
}

template <class Key>
Interval<Key> interval_of(Key address, unsigned length, unsigned bits) {
    const Key host = length == 0 ? highest<Key> : (Key{1} << (bits - length)) - 1;
    return {static_cast<Key>(address & ~host), static_cast<Key>(address | host)};
}

RuleValues addresses(const std::vector<net::Prefix>& prefixes, bool negated) {
    RuleValues out;
    for (const net::Prefix& prefix : prefixes) {
        if (prefix.address.is4())
            out.small.push_back(interval_of(address_key4(prefix.address), prefix.length, 32));
        else out.large.push_back(interval_of(address_key6(prefix.address), prefix.length, 128));
    }
    normalise(out.small);
    normalise(out.large);
    if (negated) {
        out.small = complement(out.small);
        out.large = complement(out.large);
    }
    return out;
}

// The values that a protocol's second half of the service key may have.
std::vector<model::PortRange> second_halves(const FlowMatch& match, unsigned proto) {
    if (!match.ports.empty() && is_icmp(proto)) return {};
    if (!match.icmp_types.empty() && !is_icmp(proto)) return {};
    if (!match.ports.empty()) return match.ports;
    std::vector<model::PortRange> out;
    for (const std::uint8_t type : match.icmp_types) out.push_back({type, type});
    if (out.empty()) out.push_back({0, 0xffff});
    return out;
}

// The services of one direction and IP version.
void add_services(const FlowMatch& match, bool outgoing, bool ip6, RuleValues& out) {
    const auto key = [&](unsigned proto, std::uint16_t port) {
        return service_key(outgoing, ip6, static_cast<std::uint8_t>(proto), port);
    };
    if (match.protocol == model::Protocol::any && match.ports.empty() && match.icmp_types.empty()) {
        out.small.push_back({key(0, 0), key(0xff, 0xffff)});
        return;
    }
    for (unsigned proto = 0; proto < 256; ++proto) {
        if (!protocol_fits(match.protocol, proto)) continue;
        for (const model::PortRange& range : second_halves(match, proto))
            out.small.push_back({key(proto, range.first), key(proto, range.last)});
    }
}

RuleValues services(const FlowMatch& match) {
    RuleValues out;
    for (const bool outgoing : {false, true})
        for (const bool ip6 : {false, true}) {
            const auto other = ip6 ? model::IpVersion::ip4 : model::IpVersion::ip6;
            if ((outgoing ? match.out : match.in) && match.ip_version != other)
                add_services(match, outgoing, ip6, out);
        }
    normalise(out.small);
    return out;
}

RuleValues source_ports(const FlowMatch& match) {
    RuleValues out;
    for (const model::PortRange& range : match.source_ports)
        out.small.push_back({range.first, range.last});
    normalise(out.small);
    return out;
}

bool any_service(const FlowMatch& match) {
    return match.in && match.out && match.ip_version == model::IpVersion::any &&
           match.protocol == model::Protocol::any && match.ports.empty() &&
           match.icmp_types.empty();
}

}  // namespace

std::array<std::optional<RuleValues>, 4> values_of(const FlowMatch& match) {
    std::array<std::optional<RuleValues>, 4> out;
    if (!match.any_source) out[0] = addresses(match.sources, match.not_sources);
    if (!match.any_destination) out[1] = addresses(match.destinations, match.not_destinations);
    if (!any_service(match)) out[2] = services(match);
    if (!match.source_ports.empty()) out[3] = source_ports(match);
    return out;
}

}  // namespace weir::dataplane
