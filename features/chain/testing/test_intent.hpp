#pragma once
#include <initializer_list>
#include <string>
#include <vector>

#include "features/chain/planned.hpp"
#include "features/chain/resources.hpp"
#include "model/core_resources.hpp"
#include "model/snapshot.hpp"

// Topology T0 of the spec's §11, cut down: hosts h1 … h4, guests g1 and g3 on h1, g2 on h2, service
// segment "plane", nodes by add_node(), services by name.
namespace weir::chain::test {

inline net::Ip ip(const char* text) {
    return net::Ip::parse(text).value();
}
inline net::Mac mac(std::uint8_t last) {
    return net::Mac{{0x02, 0, 0, 0, 0, last}};
}

inline model::Port guest(std::string name, std::string host, std::uint8_t number) {
    model::Port port;
    port.name = std::move(name);
    port.host = model::Ref<model::Host>(std::move(host));
    port.segment = model::Ref<model::Segment>("web");
    port.mac = mac(number);
    port.addresses = {net::Ip::from4(0xc0a80a00u + number)};
    port.labels = {{"app", "web"}};
    return port;
}

inline model::Snapshot topology() {
    model::Snapshot intent;
    for (std::uint32_t id = 1; id <= 4; ++id) {
        model::Host host;
        host.name = "h" + std::to_string(id);
        host.id = id;
        host.tunnel_address = net::Ip::from4(0x0a000000u + id);
        host.rack = id <= 2 ? "r1" : "r2";
        intent.put(host);
    }
    model::Segment web;
    web.name = "web";
    web.vni = 5001;
    intent.put(web);
    model::ServiceSegment plane;
    plane.name = "plane";
    plane.svni = 9001;
    plane.underlay_trusted = true;
    intent.put(plane);
    intent.put(guest("g1", "h1", 11));
    intent.put(guest("g2", "h2", 12));
    intent.put(guest("g3", "h1", 13));
    model::Group all;
    all.name = "web-guests";
    all.labels = {{"app", "web"}};
    intent.put(all);
    return intent;
}

inline Service& add_service(model::Snapshot& intent, const std::string& name, Transport transport,
                            Service&& service = {}) {
    service.name = name;
    service.transports = {transport};
    intent.put(service);
    ServiceProfile profile;
    profile.name = name + "-default";
    profile.service = model::Ref<Service>(name);
    intent.put(profile);
    return service;
}

inline void add_node(model::Snapshot& intent, std::uint32_t id, const std::string& host,
                     const std::string& service, NodeMode mode, std::uint16_t weight = 100) {
    ServiceNode node;
    node.name = "n" + std::to_string(id);
    node.id = id;
    node.service = model::Ref<Service>(service);
    node.host = model::Ref<model::Host>(host);
    node.mode = mode;
    node.service_segment = model::Ref<model::ServiceSegment>("plane");
    node.weight = weight;
    const std::vector<std::string> sides = mode == NodeMode::aware
                                               ? std::vector<std::string>{""}
                                               : std::vector<std::string>{"-left", "-right"};
    auto number = static_cast<std::uint8_t>(100 + 2 * id);
    for (const std::string& side : sides) {
        model::Port port;
        port.name = node.name + side;
        port.host = node.host;
        port.service_segment = node.service_segment;
        port.mac = mac(number++);
        intent.put(port);
        node.vnics.emplace_back(port.name);
    }
    intent.put(node);
}

inline ServiceChain make_chain(const std::string& name, std::uint32_t sci,
                               std::initializer_list<const char*> profiles) {
    ServiceChain chain;
    chain.name = name;
    chain.sci = sci;
    chain.service_segment = model::Ref<model::ServiceSegment>("plane");
    for (const char* profile : profiles) chain.forward.emplace_back(profile);
    return chain;
}

// C1 = [fw, ids] INVERSE BLOCK over n1@h3, n3@h1 (fw, aware) and n2@h4, n6@h3 (ids, l2), and a rule
// that sends TCP/80 of g1 through it.
inline model::Snapshot two_services() {
    model::Snapshot intent = topology();
    add_service(intent, "fw", Transport::nsh);
    add_service(intent, "ids", Transport::l2_bridge);
    add_node(intent, 1, "h3", "fw", NodeMode::aware);
    add_node(intent, 3, "h1", "fw", NodeMode::aware);
    add_node(intent, 2, "h4", "ids", NodeMode::l2);
    add_node(intent, 6, "h3", "ids", NodeMode::l2);
    intent.put(make_chain("c1", 1, {"fw-default", "ids-default"}));
    ServiceRule rule;
    rule.name = "web";
    rule.protocol = Protocol::tcp;
    rule.ports = {{80, 80}};
    rule.applied_to_ports = {model::Ref<model::Port>("g1")};
    rule.destinations = {model::Ref<model::Group>("web-guests")};
    rule.chain = model::Ref<ServiceChain>("c1");
    intent.put(rule);
    return intent;
}

// The same with n1@h3 and n2@h4 alone.
inline model::Snapshot remote_path() {
    model::Snapshot intent = two_services();
    intent.erase<ServiceNode>("n3");
    intent.erase<ServiceNode>("n6");
    return intent;
}

// Copies the resource, lets `change` edit it and puts it back.
template <class R, class F>
void edit(model::Snapshot& intent, const std::string& name, F&& change) {
    R resource = *intent.find<R>(name);
    change(resource);
    intent.put(std::move(resource));
}

}  // namespace weir::chain::test
