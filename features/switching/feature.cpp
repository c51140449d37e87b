#include "features/switching/feature.hpp"

#include <algorithm>

#include "features/switching/resources.hpp"
#include "model/registry.hpp"

namespace weir::switching {

namespace {

void add_kinds(model::Registry& registry) {
    registry.add<PortAddress>();
}

std::vector<Error> validate(const model::Snapshot&) {
    return {};
}

bool has(const model::Port& port, const net::Ip& address) {
    return std::find(port.addresses.begin(), port.addresses.end(), address) != port.addresses.end();
}

// Whether another port of the segment has the address: declared beats learned, first learned stays.
bool is_taken(const model::Snapshot& ports, const model::Port& by, const net::Ip& address) {
    for (const auto& [name, port] : ports.all<model::Port>())
        if (name != by.name && port.segment.name == by.segment.name && has(port, address))
            return true;
    return false;
}

// Learned addresses stand beside the declared ones in the ports that hosts get to know.
void plan(const model::Snapshot& intent, std::string_view, model::Snapshot& out) {
    for (const auto& [name, learned] : intent.all<PortAddress>()) {
        const auto* port = out.find<model::Port>(learned.port);
        if (!port || !port->learn_addresses || has(*port, learned.address)) continue;
        if (is_taken(out, *port, learned.address)) continue;
        model::Port with = *port;
        with.addresses.push_back(learned.address);
        out.put(std::move(with));
    }
}

// {"event":"address-learned","port":"g1","address":"10.0.0.9"}
bool report(const model::Value& event, std::string_view, model::Snapshot& reported) {
    if (event["event"].as_text() != "address-learned") return false;
    const auto address = net::Ip::parse(event["address"].as_text());
    const std::string& port = event["port"].as_text();
    if (!address || port.empty()) return false;
    std::size_t known = 0;
    for (const auto& [name, one] : reported.all<PortAddress>()) {
        if (one.port != port) continue;
        if (one.address == *address) return false;
        ++known;
    }
    if (known >= max_learned_addresses) return false;
    std::string text = address->text();
    std::replace(text.begin(), text.end(), ':', '-');
    PortAddress learned;
    learned.name = port + "." + text + (text.back() == '-' ? "0" : "");
    learned.port = port;
    learned.address = *address;
    reported.put(std::move(learned));
    return true;
}

}  // namespace

const features::Feature feature = {"switching", add_kinds, validate, plan, report};

}  // namespace weir::switching
