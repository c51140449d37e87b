#include "dataplane/classifier.hpp"

#include <algorithm>

#include "dataplane/digest.hpp"
#include "dataplane/topology.hpp"
#include "net/wire.hpp"

namespace weir::dataplane {

namespace {

bool contains(const std::vector<net::Prefix>& prefixes, const net::Ip& ip) {
    return std::any_of(prefixes.begin(), prefixes.end(),
                       [&](const net::Prefix& prefix) { return prefix.contains(ip); });
}

bool contains(const std::vector<model::PortRange>& ranges, std::uint16_t port) {
    return std::any_of(ranges.begin(), ranges.end(),
                       [&](const model::PortRange& range) { return range.contains(port); });
}

bool version_matches(model::IpVersion wanted, const net::Ip& ip) {
    if (wanted == model::IpVersion::any) return true;
    return ip.is4() == (wanted == model::IpVersion::ip4);
}

}  // namespace

bool is_icmp(unsigned proto) {
    return proto == net::proto_icmp || proto == net::proto_icmp6;
}

bool protocol_fits(model::Protocol wanted, unsigned proto) {
    switch (wanted) {
        case model::Protocol::tcp:
            return proto == net::proto_tcp;
        case model::Protocol::udp:
            return proto == net::proto_udp;
        case model::Protocol::icmp:
            return is_icmp(proto);
        case model::Protocol::sctp:
            return proto == net::proto_sctp;
        case model::Protocol::any:
            break;
    }
    return true;
}

bool FlowMatch::fits_ends(const net::Tuple& tuple, bool outgoing) const {
    if (!(outgoing ? out : in)) return false;
    if (!version_matches(ip_version, tuple.src) || !protocol_fits(protocol, tuple.proto))
        return false;
    if (!any_source && contains(sources, tuple.src) == not_sources) return false;
    return any_destination || contains(destinations, tuple.dst) != not_destinations;
}

bool FlowMatch::matches(const net::Tuple& tuple, bool outgoing) const {
    if (!fits_ends(tuple, outgoing)) return false;
    if (!ports.empty() && (is_icmp(tuple.proto) || !contains(ports, tuple.dst_port))) return false;
    if (!source_ports.empty() && (is_icmp(tuple.proto) || !contains(source_ports, tuple.src_port)))
        return false;
    // An ICMP query's type stands in the destination port of its tuple (net/parse.hpp).
    if (!icmp_types.empty() &&
        (!is_icmp(tuple.proto) ||
         std::find(icmp_types.begin(), icmp_types.end(), tuple.dst_port) == icmp_types.end()))
        return false;
    return true;
}

std::uint64_t FlowMatch::digest() const {
    Digest d;
    const auto add_prefixes = [&](const std::vector<net::Prefix>& prefixes) {
        d.add(prefixes.size());
        for (const net::Prefix& p : prefixes) d.add(IpHash{}(p.address)).add(p.length);
    };
    add_prefixes(sources);
    add_prefixes(destinations);
    d.add(any_source).add(any_destination).add(not_sources).add(not_destinations).add(in).add(out);
    d.add(static_cast<std::uint64_t>(ip_version)).add(static_cast<std::uint64_t>(protocol));
    for (const auto* ranges : {&ports, &source_ports}) {
        d.add(ranges->size());
        for (const model::PortRange& r : *ranges) d.add(r.first).add(r.last);
    }
    d.add(icmp_types.size());
    for (const std::uint8_t type : icmp_types) d.add(type);
    return d.value64();
}

Members resolve(const model::Snapshot& snapshot,
                const std::vector<model::Ref<model::Group>>& groups,
                const std::vector<net::Prefix>& prefixes) {
    Members out;
    out.any = groups.empty() && prefixes.empty();
    out.prefixes = prefixes;
    for (const auto& ref : groups) {
        const auto* group = snapshot.find<model::Group>(ref.name);
        if (!group) continue;  // nobody
        const auto members = model::group_members(snapshot, *group);
        out.prefixes.insert(out.prefixes.end(), members.prefixes.begin(), members.prefixes.end());
    }
    std::sort(out.prefixes.begin(), out.prefixes.end());
    out.prefixes.erase(std::unique(out.prefixes.begin(), out.prefixes.end()), out.prefixes.end());
    return out;
}

}  // namespace weir::dataplane
