#include "model/core_resources.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/test_support.hpp"

namespace weir::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

// Two hosts, two segments, a router, a service plane, three guests and a node: all valid.
constexpr std::string_view base = R"(
{kind: host, name: h1, id: 1, tunnel_address: 192.0.2.1, underlay: {type: af_packet, interface: u1}}
---
{kind: host, name: h2, id: 2, tunnel_address: 192.0.2.2, underlay_gateway: 192.0.2.254}
---
{kind: segment, name: blue, vni: 100}
---
{kind: segment, name: red, vni: 200, mtu: 9000}
---
{kind: service-segment, name: plane, svni: 900, hosts: [h1], underlay_trusted: true}
---
{kind: port, name: g1, host: h1, segment: blue, mac: "02:00:00:00:00:01",
 addresses: [10.0.1.1, "2001:db8:1::1"], labels: {tier: web, zone: a}}
---
{kind: port, name: g2, host: h2, segment: blue, mac: "02:00:00:00:00:02", addresses: [10.0.1.2],
 labels: {tier: web}}
---
{kind: port, name: g3, host: h2, segment: red, mac: "02:00:00:00:00:01", addresses: [10.0.1.1],
 labels: {tier: db}}
---
{kind: port, name: n1, host: h1, service_segment: plane, mac: "02:00:00:00:00:01",
 addresses: [10.0.1.1], labels: {tier: web}}
---
kind: router
name: r1
interfaces:
- {segment: blue, addresses: [10.0.1.254/24, "2001:db8:1::ff/64"]}
- {segment: red, addresses: [10.0.2.254/24]}
routes:
- {prefix: 0.0.0.0/0, next_hop: 10.0.2.1}
- {prefix: "::/0", next_hop: "2001:db8:1::2"}
---
{kind: group, name: web, labels: {tier: web}}
)";

std::vector<std::string> with(std::string_view more) {
    return problems(std::string(base) + "---\n" + std::string(more));
}

std::string port(const std::string& name, const std::string& rest,
                 const std::string& mac = "02:00:00:00:00:09") {
    return "{kind: port, name: " + name + ", host: h1, mac: \"" + mac + "\", " + rest + "}\n";
}

TEST(CoreResources, AValidSetIsAccepted) {
    EXPECT_THAT(problems(base), IsEmpty());
}

TEST(CoreResources, NumbersAndTunnelAddressesAreUnique) {
    EXPECT_THAT(with("{kind: host, name: h3, id: 1, tunnel_address: 192.0.2.2}"),
                ElementsAre("host/h3: id: 1 belongs to host/h1",
                            "host/h3: tunnel_address: 192.0.2.2 belongs to host/h2"));
    EXPECT_THAT(with("{kind: segment, name: zz, vni: 100}"),
                ElementsAre("segment/zz: vni: 100 belongs to segment/blue"));
    EXPECT_THAT(with("{kind: service-segment, name: zz, svni: 200, underlay_trusted: true}"),
                ElementsAre("service-segment/zz: svni: 200 belongs to segment/red"));
    EXPECT_THAT(with("{kind: service-segment, name: zz, svni: 900, underlay_trusted: true}"),
                ElementsAre("service-segment/zz: svni: 900 belongs to service-segment/plane"));
}

// SEC-14
TEST(CoreResources, ServiceSegmentsAreSignedOrTrusted) {
    const std::string start = "{kind: service-segment, name: zz, svni: 901";
    const std::string key = ", auth_keys: [{id: 1, secret: 000102030405060708090a0b0c0d0e0f}]";
    EXPECT_THAT(with(start + "}"), ElementsAre(StartsWith("service-segment/zz: auth_keys: ")));
    EXPECT_THAT(with(start + ", auth_optional: true" + key + "}"),
                ElementsAre(StartsWith("service-segment/zz: auth_optional: ")));
    EXPECT_THAT(with(start + key + "}"), IsEmpty());
    EXPECT_THAT(with(start + ", underlay_trusted: true}"), IsEmpty());
    EXPECT_THAT(with(start + ", underlay_trusted: true, auth_optional: true" + key + "}"),
                IsEmpty());
}

TEST(CoreResources, AHostIsReachable) {
    EXPECT_THAT(with("{kind: host, name: h3, id: 3, tunnel_address: 224.0.0.1}"),
                ElementsAre("host/h3: tunnel_address: 224.0.0.1 is not a unicast address"));
    EXPECT_THAT(with("{kind: host, name: h3, id: 3, tunnel_address: 192.0.2.3, "
                     "underlay_gateway: 198.51.100.1}"),
                ElementsAre("host/h3: underlay_gateway: 198.51.100.1 is not in 192.0.2.0/24"));
    EXPECT_THAT(with("{kind: host, name: h3, id: 3, tunnel_address: 192.0.2.3, "
                     "underlay_prefix_length: 64}"),
                ElementsAre("host/h3: underlay_prefix_length: is above 32"));
    EXPECT_THAT(with("{kind: host, name: h3, id: 3, tunnel_address: 2001:db8::3}"),
                ElementsAre("host/h3: tunnel_address: 2001:db8::3 is of another family than "
                            "192.0.2.1 of another host"));
    EXPECT_THAT(with("{kind: host, name: h3, id: 0, tunnel_address: '::', workers: 17}"),
                ElementsAre(HasSubstr("host/h3: id: 0 is below 1"),
                            HasSubstr("host/h3: workers: 17 is above 16"),
                            "host/h3: tunnel_address: must not be empty"));
}

TEST(CoreResources, APortIsInOneSegmentOnly) {
    EXPECT_THAT(with(port("p", "mtu: 0")), ElementsAre("port/p: segment: set segment or "
                                                       "service_segment"));
    EXPECT_THAT(with(port("p", "segment: blue, service_segment: plane")),
                ElementsAre("port/p: service_segment: a port is in a guest segment or in a service "
                            "segment, never in both"));
    EXPECT_THAT(with("{kind: port, name: p, host: h2, service_segment: plane, "
                     "mac: 02:00:00:00:00:09}"),
                ElementsAre("port/p: host: host/h2 does not take part in service-segment/plane"));
}

TEST(CoreResources, PortAddressesAreTheirOwn) {
    EXPECT_THAT(with(port("p", "segment: blue", "02:00:00:00:00:02")),
                ElementsAre("port/p: mac: 02:00:00:00:00:02 in blue belongs to port/g2"));
    EXPECT_THAT(with(port("p", "segment: blue, addresses: [10.0.1.9, 10.0.1.2]")),
                ElementsAre("port/p: addresses[1]: 10.0.1.2 in blue belongs to port/g2"));
    EXPECT_THAT(with(port("p", "segment: blue, addresses: [10.0.1.254]")),
                ElementsAre("router/r1: interfaces[0].addresses[0]: 10.0.1.254 in blue belongs to "
                            "port/p"));
    EXPECT_THAT(with(port("p", "segment: blue, addresses: [10.0.1.9, 10.0.1.9]")),
                ElementsAre("port/p: addresses[1]: 10.0.1.9 in blue belongs to port/p"));
    EXPECT_THAT(with(port("p", "segment: blue", "02:00:5a:00:00:01")),
                ElementsAre("port/p: mac: 02:00:5a:00:00:01 belongs to router/r1"));
}

TEST(CoreResources, PortAddressesAreUnicast) {
    EXPECT_THAT(with(port("p", "segment: blue", "03:00:00:00:00:09")),
                ElementsAre("port/p: mac: 03:00:00:00:00:09 is not a unicast address"));
    EXPECT_THAT(with(port("p", "segment: blue, addresses: [224.0.0.1, 0.0.0.0]")),
                ElementsAre("port/p: addresses[0]: 224.0.0.1 is not a unicast address",
                            "port/p: addresses[1]: must not be zero"));
}

TEST(CoreResources, APortFitsItsSegment) {
    EXPECT_THAT(with(port("p", "segment: blue, mtu: 1501")),
                ElementsAre("port/p: mtu: 1501 is above the 1500 of its segment"));
    EXPECT_THAT(with(port("p", "segment: red, mtu: 9000")), IsEmpty());
}

TEST(CoreResources, ReferencesMustNameSomething) {
    EXPECT_THAT(with("{kind: port, name: p, host: h9, segment: green, mac: 02:00:00:00:00:09}"),
                ElementsAre("port/p: host: host/h9 does not exist",
                            "port/p: segment: segment/green does not exist"));
    EXPECT_THAT(with("{kind: group, name: g, segments: [blue, plane]}"),
                ElementsAre("group/g: segments[1]: segment/plane does not exist"));
    EXPECT_THAT(with("{kind: router, name: r9, interfaces: [{segment: '', addresses: [10.9.0.1/24]"
                     "}]}"),
                ElementsAre("router/r9: interfaces[0].segment: must not be empty"));
}

TEST(CoreResources, BrokenReferencesDoNotHideOtherErrors) {
    EXPECT_THAT(with(port("p", "segment: green") + "---\n{kind: segment, name: zz, vni: 100}"),
                ElementsAre("port/p: segment: segment/green does not exist",
                            "segment/zz: vni: 100 belongs to segment/blue"));
}

TEST(CoreResources, DevicesAreCompleteAndUsedOnce) {
    EXPECT_THAT(with(port("p", "segment: blue, device: {type: tap}")),
                ElementsAre("port/p: device.interface: is needed by this type of device"));
    EXPECT_THAT(with(port("p", "segment: blue, device: {type: vhost_user}")),
                ElementsAre("port/p: device.path: is needed by this type of device"));
    EXPECT_THAT(
        with(port("p", "segment: blue, device: {type: pcap}")),
        ElementsAre("port/p: device.rx_file: a pcap device needs rx_file, tx_file or both"));
    EXPECT_THAT(with(port("p", "segment: blue, device: {type: dpdk}")),
                ElementsAre("port/p: device.devargs: is needed by this type of device"));
    EXPECT_THAT(with(port("p", "segment: blue, device: {type: dpdk, devargs: '0000:03:00.0'}")),
                ElementsAre("port/p: device.devargs: \"0000:03:00.0\" is no virtual device: its "
                            "name starts with net_ and a driver"));
    EXPECT_THAT(
        with(port("p", "segment: blue, device: {type: dpdk, devargs: 'net_null0,size=64'}")),
        IsEmpty());
    EXPECT_THAT(with(port("p", "segment: blue, device: {type: vhost_user, path: /s, queues: 4}")),
                IsEmpty());
    EXPECT_THAT(with(port("p",
                          "segment: blue, device: {type: dpdk, devargs: "
                          "'net_memif0,role=server', queues: 2}")),
                ElementsAre("port/p: device.queues: a memif server has one queue: the other end "
                            "may open fewer than are asked for"));
    EXPECT_THAT(with(port("p", "segment: blue, device: {type: tap, interface: t, queues: 2}")),
                ElementsAre("port/p: device.queues: a device of this type has one queue"));
    EXPECT_THAT(with(port("p", "segment: blue, device: {type: tap, interface: a/b}")),
                ElementsAre("port/p: device.interface: must not hold a '/'"));
    EXPECT_THAT(with(port("p", "segment: blue, device: {type: af_packet, interface: u1}")),
                ElementsAre("port/p: device.interface: u1 belongs to host/h1"));
    EXPECT_THAT(with("{kind: port, name: p, host: h2, segment: blue, mac: 02:00:00:00:00:09, "
                     "device: {type: af_packet, interface: u1}}"),
                IsEmpty());
}

TEST(CoreResources, ASegmentIsOnOneRouter) {
    EXPECT_THAT(
        with("{kind: router, name: r2, interfaces: [{segment: blue, addresses: [10.9.0.1/24]}]}"),
        ElementsAre("router/r2: interfaces[0].segment: blue belongs to router/r1"));
}

TEST(CoreResources, NetworksOfARouterDoNotOverlap) {
    const std::string segments =
        "{kind: segment, name: s1, vni: 1}\n---\n{kind: segment, name: s2, vni: 2}\n---\n"
        "{kind: segment, name: s3, vni: 3}\n---\n";
    EXPECT_THAT(with(segments + "{kind: router, name: r2, interfaces: ["
                                "{segment: s1, addresses: [10.1.0.1/16, 10.1.0.9/24]}, "
                                "{segment: s2, addresses: [10.0.0.1/16, 10.1.9.1/24]}, "
                                "{segment: s3, addresses: [10.2.0.1/16]}]}"),
                ElementsAre("router/r2: interfaces[1].addresses[1]: 10.1.9.0/24 overlaps "
                            "10.1.0.0/16 of interfaces[0].addresses[0]"));
    EXPECT_THAT(with(segments + "{kind: router, name: r2, interfaces: ["
                                "{segment: s1, addresses: ['2001:db8::1/32']}, "
                                "{segment: s2, addresses: ['2001:db8:5::1/48']}]}"),
                ElementsAre(testing::HasSubstr("2001:db8:5::/48 overlaps 2001:db8::/32")));
    EXPECT_THAT(with(segments + "{kind: router, name: r2, interfaces: ["
                                "{segment: s1, addresses: [0.0.0.1/0]}, "
                                "{segment: s2, addresses: ['2001:db8:5::1/48']}]}"),
                IsEmpty());
}

TEST(CoreResources, RoutesLeadSomewhere) {
    auto route = [&](const std::string& routes) {
        return with(
            "{kind: segment, name: s1, vni: 1}\n---\n{kind: router, name: r2, interfaces: "
            "[{segment: s1, addresses: [10.1.0.1/16]}], routes: [" +
            routes + "]}");
    };
    EXPECT_THAT(route("{prefix: 10.9.0.0/16, next_hop: 10.1.0.2}"), IsEmpty());
    EXPECT_THAT(route("{prefix: 10.9.0.0/16, next_hop: 10.2.0.2}"),
                ElementsAre("router/r2: routes[0].next_hop: 10.2.0.2 is in no network of an "
                            "interface"));
    EXPECT_THAT(route("{prefix: '2001:db8::/32', next_hop: 10.1.0.2}"),
                ElementsAre("router/r2: routes[0].next_hop: 10.1.0.2 is not of the family of "
                            "2001:db8::/32"));
    EXPECT_THAT(route("{prefix: 10.9.0.0/16, next_hop: 10.1.0.2}, "
                      "{prefix: 10.9.0.0/16, next_hop: 10.1.0.3}"),
                ElementsAre("router/r2: routes[1].prefix: 10.9.0.0/16 belongs to router/r2"));
}

// What `members` says, one word each.
std::vector<std::string> members(const Group& group) {
    Snapshot snapshot;
    EXPECT_THAT(problems(base, &snapshot), IsEmpty());
    const GroupMembers found = group_members(snapshot, group);
    std::vector<std::string> out = found.ports;
    for (const net::Prefix& prefix : found.prefixes) out.push_back(prefix.text());
    return out;
}

TEST(GroupMembers, AreTheUnionOfLabelsSegmentsAndAddresses) {
    EXPECT_THAT(members({"g", {{"tier", "web"}}, {}, {}}),
                ElementsAre("g1", "g2", "10.0.1.1/32", "10.0.1.2/32", "2001:db8:1::1/128"));
    EXPECT_THAT(members({"g", {{"tier", "web"}, {"zone", "a"}}, {}, {}}),
                ElementsAre("g1", "10.0.1.1/32", "2001:db8:1::1/128"));
    EXPECT_THAT(members({"g", {}, {"red"}, {}}), ElementsAre("g3", "10.0.1.1/32"));
    EXPECT_THAT(members({"g", {}, {}, {*net::Prefix::parse("10.9.0.0/16")}}),
                ElementsAre("10.9.0.0/16"));
    EXPECT_THAT(members({"g", {{"zone", "a"}}, {"red"}, {}}),
                ElementsAre("g1", "g3", "10.0.1.1/32", "2001:db8:1::1/128"));
    EXPECT_THAT(members({"g", {}, {}, {}}), IsEmpty());
    EXPECT_THAT(members({"g", {{"tier", "nothing"}}, {}, {}}), IsEmpty());
}

TEST(CoreResources, TheMtuOfAPortIsItsOwnOrThatOfItsSegment) {
    Snapshot snapshot;
    problems(base, &snapshot);
    Port port = *snapshot.find<Port>("g3");
    EXPECT_EQ(mtu_of(snapshot, port), 9000);
    port.mtu = 1400;
    EXPECT_EQ(mtu_of(snapshot, port), 1400);
    EXPECT_EQ(mtu_of(snapshot, *snapshot.find<Port>("n1")), 1700);
}

}  // namespace
}  // namespace weir::model
