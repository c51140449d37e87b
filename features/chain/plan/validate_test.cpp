#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "features/chain/feature.hpp"
#include "features/chain/node/node_table.hpp"
#include "features/chain/testing/test_intent.hpp"

namespace weir::chain {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Expects exactly one error, on this field of this object, whose text contains `why`.
void expect_error(const model::Snapshot& intent, std::string object, std::string field,
                  std::string why) {
    const auto errors = validate(intent);
    ASSERT_EQ(errors.size(), 1u) << (errors.empty() ? "nothing found" : errors[1].text());
    EXPECT_EQ(errors[0].object, object);
    EXPECT_EQ(errors[0].field, field);
    EXPECT_THAT(errors[0].message, HasSubstr(why));
}

struct Case {
    const char* name;
    void (*change)(model::Snapshot&);
    const char* object;
    const char* field;
    const char* why;
};

using model::Port;
using model::Ref;
using test::edit;

net::Ip ip(const char* text) {
    return net::Ip::parse(text).value();
}

// Makes n2 a router of a service of its own, then changes it.
void edit_router(model::Snapshot& s, void (*change)(ServiceNode&)) {
    test::add_service(s, "px", Transport::l3_routed);
    edit<ServiceNode>(s, "n2", [&](ServiceNode& n) {
        n.service = "px";
        n.mode = NodeMode::l3;
        n.proxy_addresses = {ip("10.9.1.1"), ip("10.9.2.1")};
        change(n);
    });
}

// The same for n1 and appliances.
void edit_appliance(model::Snapshot& s, void (*change)(ServiceNode&)) {
    test::add_service(s, "gw", Transport::gwlb_geneve);
    edit<Port>(s, "n1", [](Port& p) { p.addresses = {ip("10.9.1.2")}; });
    edit<ServiceNode>(s, "n1", [&](ServiceNode& n) {
        n.service = "gw";
        n.mode = NodeMode::gwlb;
        n.proxy_addresses = {ip("10.9.1.1")};
        change(n);
    });
}

const Case cases[] = {
    {"a chain that drains at no limit",
     [](auto& s) {
         edit<ServiceChain>(s, "c1",
                            [](ServiceChain& c) { c.limit_action = LatencyAction::drain; });
     },
     "service-chain/c1", "limit_action", "there is no limit to drain at"},
    {"a profile that drains at no limit",
     [](auto& s) {
         edit<ServiceProfile>(s, "fw-default",
                              [](ServiceProfile& p) { p.limit_action = LatencyAction::drain; });
     },
     "service-profile/fw-default", "limit_action", "there is no limit to drain at"},
    {"a chain whose packets wait for no time",
     [](auto& s) { edit<ServiceChain>(s, "c1", [](ServiceChain& c) { c.hold_packets = 4; }); },
     "service-chain/c1", "hold_ms", "packets that wait need a time to wait"},
    {"a chain where nothing waits for some time",
     [](auto& s) { edit<ServiceChain>(s, "c1", [](ServiceChain& c) { c.hold_ms = 50; }); },
     "service-chain/c1", "hold_packets", "0, so that nothing waits"},
    {"a node's port in a guest segment",
     [](auto& s) {
         edit<Port>(s, "n1", [](Port& p) { p.segment = "web", p.service_segment = {}; });
     },
     "service-node/n1", "vnics[0]", "port n1 is in guest segment web"},
    {"a node's port in another service segment",
     [](auto& s) { edit<Port>(s, "n1", [](Port& p) { p.service_segment = "other"; }); },
     "service-node/n1", "vnics[0]", "is in service segment other, the node is in plane"},
    {"a node's port on another host",
     [](auto& s) { edit<Port>(s, "n2-right", [](Port& p) { p.host = "h1"; }); }, "service-node/n2",
     "vnics[1]", "is on host h1, the node is on h4"},
    {"one port for two nodes",
     [](auto& s) {
         edit<ServiceNode>(s, "n6", [](ServiceNode& n) { n.vnics = {"n6-left", "n6-left"}; });
     },
     "service-node/n6", "vnics[1]", "port n6-left belongs to service-node/n6 already"},
    {"two nodes with one number",
     [](auto& s) { edit<ServiceNode>(s, "n3", [](ServiceNode& n) { n.id = 1; }); },
     "service-node/n3", "id", "number 1 belongs to service-node/n1 already"},
    {"an aware node with two ports",
     [](auto& s) {
         edit<ServiceNode>(s, "n1", [](ServiceNode& n) {
             n.vnics.push_back("n1");
             n.vnics[0] = "gone";
         });
     },
     "service-node/n1", "vnics", "one port"},
    {"a bump in the wire with one port",
     [](auto& s) { edit<ServiceNode>(s, "n2", [](ServiceNode& n) { n.vnics.pop_back(); }); },
     "service-node/n2", "vnics", "left and right"},
    {"a mode the service does not offer",
     [](auto& s) {
         edit<Service>(s, "ids", [](Service& v) { v.transports = {Transport::l3_routed}; });
         s.template erase<ServiceNode>("n2");
     },
     "service-node/n6", "mode", "does not list transport l2_bridge"},
    {"a router without Weir's addresses",
     [](auto& s) { edit_router(s, [](ServiceNode& n) { n.proxy_addresses.clear(); }); },
     "service-node/n2", "proxy_addresses", "at its left and at its right"},
    {"a router whose sides are of two families",
     [](auto& s) { edit_router(s, [](ServiceNode& n) { n.proxy_addresses[1] = ip("fd09::1"); }); },
     "service-node/n2", "proxy_addresses[1]", "of one family"},
    {"a router with one address on both sides",
     [](auto& s) {
         edit_router(s, [](ServiceNode& n) { n.proxy_addresses[1] = n.proxy_addresses[0]; });
     },
     "service-node/n2", "proxy_addresses[1]", "10.9.1.1 stands here twice"},
    {"a router that keeps tags",
     [](auto& s) { edit_router(s, [](ServiceNode& n) { n.contexts = NodeContexts::vlan; }); },
     "service-node/n2", "contexts", "a router keeps no tags"},
    {"a bump in the wire that is marked",
     [](auto& s) {
         edit<ServiceNode>(s, "n2", [](ServiceNode& n) { n.contexts = NodeContexts::mark; });
     },
     "service-node/n2", "contexts", "only for l3 nodes"},
    {"an aware node with an agent",
     [](auto& s) { edit<ServiceNode>(s, "n1", [](ServiceNode& n) { n.orders_from_uid = 7; }); },
     "service-node/n1", "orders_from_uid", "an aware node gives orders in its packets"},
    {"a router that ends connections of a chain with other ways back",
     [](auto& s) {
         edit_router(s, [](ServiceNode& n) { n.contexts = NodeContexts::proxy; });
         ServiceProfile px;
         px.name = px.service.name = "px";
         s.put(px);
         edit<ServiceChain>(s, "c1", [](ServiceChain& c) {
             c.forward = {"px"};
             c.reverse = {"fw"};
         });
     },
     "service-node/n2", "contexts", "chain c1 has reverse services of its own"},
    {"a router that rewrites headers",
     [](auto& s) {
         edit_router(s, [](ServiceNode&) {});
         edit<Service>(s, "px", [](Service& v) { v.privileges = {Privilege::rewrite_headers}; });
     },
     "service-node/n2", "contexts", "may rewrite headers"},
    {"a router whose own address is Weir's",
     [](auto& s) {
         edit_router(s, [](ServiceNode&) {});
         edit<Port>(s, "n2-left", [](Port& p) { p.addresses = {ip("10.9.1.1")}; });
     },
     "service-node/n2", "proxy_addresses[0]", "is the node's own address at port n2-left"},
    {"a bump in the wire with neighbours",
     [](auto& s) {
         edit<ServiceNode>(s, "n2", [](ServiceNode& n) { n.proxy_addresses = {ip("10.9.1.1")}; });
     },
     "service-node/n2", "proxy_addresses", "only for l3 and gwlb nodes"},
    {"an aware node with contexts",
     [](auto& s) {
         edit<ServiceNode>(s, "n1", [](ServiceNode& n) { n.contexts = NodeContexts::qinq; });
     },
     "service-node/n1", "contexts", "leave this out"},
    {"a service header for a bump in the wire",
     [](auto& s) {
         edit<ServiceNode>(s, "n2", [](ServiceNode& n) { n.nsh_metadata = NshMetadata::type1; });
     },
     "service-node/n2", "nsh_metadata", "only for aware nodes"},
    {"a health port of an aware node",
     [](auto& s) { edit<ServiceNode>(s, "n1", [](ServiceNode& n) { n.health_port = 80; }); },
     "service-node/n1", "health_port", "only for gwlb nodes"},
    {"an appliance without Weir's address",
     [](auto& s) { edit_appliance(s, [](ServiceNode& n) { n.proxy_addresses.clear(); }); },
     "service-node/n1", "proxy_addresses", "the one address that Weir speaks to it from"},
    {"an appliance without an address",
     [](auto& s) {
         edit_appliance(s, [](ServiceNode&) {});
         edit<Port>(s, "n1", [](Port& p) { p.addresses = {ip("fd09::2")}; });
     },
     "service-node/n1", "vnics[0]", "has no address of the family of 10.9.1.1"},
    {"an appliance with contexts",
     [](auto& s) { edit_appliance(s, [](ServiceNode& n) { n.contexts = NodeContexts::tuple; }); },
     "service-node/n1", "contexts", "the flow's cookie"},
    {"tenants that a node could not tell apart",
     [](auto& s) {
         edit<ServiceNode>(s, "n2", [](ServiceNode& n) { n.contexts = NodeContexts::tuple; });
         model::Segment blue;
         blue.name = "blue";
         blue.vni = 5002;
         s.put(blue);
         Port twin = *s.template find<Port>("g1");
         twin.name = "g1-blue";
         twin.segment = "blue";
         twin.mac = test::mac(77);
         s.put(twin);
         edit<ServiceRule>(s, "web", [](ServiceRule& r) { r.applied_to_ports.clear(); });
     },
     "service-node/n2", "contexts", "ports g1 and g1-blue of segments web and blue both have"},
    {"a node outside the span of its plane",
     [](auto& s) {
         edit<model::ServiceSegment>(s, "plane", [](model::ServiceSegment& p) {
             p.hosts = {"h1", "h3"};
         });
     },
     "service-node/n2", "host", "h4 takes no part in service segment plane"},
    {"a chain without nodes",
     [](auto& s) {
         s.template erase<ServiceNode>("n2");
         s.template erase<ServiceNode>("n6");
     },
     "service-chain/c1", "forward[1]", "service ids has no node in service segment plane"},
    {"more profiles of a service than it has nodes",
     [](auto& s) {
         edit<ServiceChain>(s, "c1", [](ServiceChain& c) {
             c.forward = {"fw-default", "fw-default", "fw-default"};
         });
     },
     "service-chain/c1", "forward[2]", "no node may be twice in a path"},
    {"a chain on a plane where its nodes are not",
     [](auto& s) {
         edit<ServiceChain>(
             s, "c1", [](ServiceChain& c) { c.service_segment = "other", c.forward.resize(1); });
     },
     "service-chain/c1", "forward[0]", "has no node in service segment other"},
    {"two chains with one number",
     [](auto& s) { s.put(test::make_chain("c2", 1, {"fw-default"})); }, "service-chain/c2", "sci",
     "number 1 belongs to service-chain/c1 already"},
    {"a rule with two actions",
     [](auto& s) { edit<ServiceRule>(s, "web", [](ServiceRule& r) { r.do_not_redirect = true; }); },
     "service-rule/web", "do_not_redirect", "not both"},
    {"a rule without action",
     [](auto& s) { edit<ServiceRule>(s, "web", [](ServiceRule& r) { r.chain = {}; }); },
     "service-rule/web", "chain", "set chain, or do_not_redirect"},
    {"ports without a protocol that has them",
     [](auto& s) {
         edit<ServiceRule>(s, "web", [](ServiceRule& r) { r.protocol = Protocol::any; });
     },
     "service-rule/web", "ports", "tcp, udp or sctp"},
    {"ICMP types of something else",
     [](auto& s) { edit<ServiceRule>(s, "web", [](ServiceRule& r) { r.icmp_types = {8}; }); },
     "service-rule/web", "icmp_types", "needs protocol icmp"},
    {"a negation of nothing",
     [](auto& s) { edit<ServiceRule>(s, "web", [](ServiceRule& r) { r.not_sources = true; }); },
     "service-rule/web", "not_sources", "needs sources or source_addresses"},
    {"a rule on a port of the service plane",
     [](auto& s) {
         edit<ServiceRule>(s, "web", [](ServiceRule& r) { r.applied_to_ports = {"n1"}; });
     },
     "service-rule/web", "applied_to_ports[0]", "only guest ports have services"},
    {"two rules with one number",
     [](auto& s) {
         edit<ServiceRule>(s, "web", [](ServiceRule& r) { r.id = 5; });
         ServiceRule other = *s.template find<ServiceRule>("web");
         other.name = "z";
         s.put(other);
     },
     "service-rule/z", "id", "number 5 belongs to service-rule/web already"},
};

class Refused : public ::testing::TestWithParam<Case> {};

TEST_P(Refused, NamesObjectFieldAndReason) {
    model::Snapshot intent = test::two_services();
    model::ServiceSegment other;
    other.name = "other";
    other.svni = 9002;
    other.underlay_trusted = true;
    intent.put(other);
    ASSERT_THAT(validate(intent), IsEmpty());
    GetParam().change(intent);
    expect_error(intent, GetParam().object, GetParam().field, GetParam().why);
}

std::string case_name(const ::testing::TestParamInfo<Case>& info) {
    std::string name;
    bool upper = true;
    for (const char* c = info.param.name; *c; ++c) {
        const bool letter = std::isalnum(static_cast<unsigned char>(*c)) != 0;
        if (letter) name += static_cast<char>(upper ? std::toupper(*c) : *c);
        upper = !letter;
    }
    return name;
}

INSTANTIATE_TEST_SUITE_P(Intent, Refused, ::testing::ValuesIn(cases), case_name);

TEST(Validation, AHostHasAsManyNodesAsItCanHold) {
    model::Snapshot intent = test::two_services();  // two of them on h3
    for (std::uint32_t id = 100; id < 100 + max_local_nodes - 2; ++id)
        test::add_node(intent, id, "h3", "fw", NodeMode::aware);
    EXPECT_THAT(validate(intent), IsEmpty());
    test::add_node(intent, 999, "h3", "fw", NodeMode::aware);
    expect_error(intent, "service-node/n999", "host", "host h3 would have more than 64");
    test::add_node(intent, 99, "h4", "fw", NodeMode::aware);
    EXPECT_EQ(validate(intent).size(), 1u) << "other hosts have room";
}

TEST(PortRange, ReadsPortsAndRangesOnly) {
    EXPECT_EQ(PortRange::parse("80").value(), (PortRange{80, 80}));
    EXPECT_EQ(PortRange::parse("80-90").value().text(), "80-90");
    for (const char* bad : {"", "-", "90-80", "65536", "80-", "-80", "8o", "80 ", "1-2-3"})
        EXPECT_FALSE(PortRange::parse(bad)) << bad;
}

}  // namespace
}  // namespace weir::chain
