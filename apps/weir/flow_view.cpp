#include "apps/weir/flow_view.hpp"

#include <algorithm>

#include "api/cli/table.hpp"
#include "base/closest.hpp"

namespace weir::command {

using model::Value;

std::string service_text(const Value& flow) {
    const auto proto = flow["proto"].as_uint();
    const std::string name = proto == 6    ? "tcp"
                             : proto == 17 ? "udp"
                             : proto == 1  ? "icmp"
                             : proto == 58 ? "icmp6"
                                           : std::to_string(proto);
    return name;
}

std::string endpoint(const Value& flow, const char* address, const char* port) {
    const std::string& ip = flow[address].as_text();
    const auto proto = flow["proto"].as_uint();
    if (proto == 1 || proto == 58) return ip;  // its "ports" are type and identifier
    const std::string number = std::to_string(flow[port].as_uint());
    return (ip.find(':') == std::string::npos ? ip : "[" + ip + "]") + ":" + number;
}

std::string pair_text(const Value& pair) {
    if (pair.size() != 2) return {};
    return cli::inline_text(pair.items()[0]) + "/" + cli::inline_text(pair.items()[1]);
}

// "g1" or "h1": the port and its host, or the host alone.
std::vector<std::string> hosts_of(const Session& session, const std::string& where, Value& q) {
    std::vector<std::string> hosts = session.hosts();
    if (where.empty()) return hosts;
    if (std::find(hosts.begin(), hosts.end(), where) != hosts.end()) return {where};
    const Value ports = session.get("/v1/port");
    std::vector<std::string> names = hosts;
    for (const Value& port : ports["items"].items()) {
        if (port["name"].as_text() == where) {
            q.set("port", where);
            return {port["host"].as_text()};
        }
        names.push_back(port["name"].as_text());
    }
    throw Failure{1,
                  {{Errc::not_found, where, "",
                    "is neither a host nor a port" + did_you_mean(where, names)}}};
}

// A question about the flows of the filter, but for where they are.
Value question_of(std::string_view what, const FlowFilter& filter) {
    Value q = question(what);
    if (!filter.service.empty()) {
        const Service service = parse_service(filter.service);
        if (service.proto != 0) q.set("proto", std::uint32_t{service.proto});
        if (service.port != 0) q.set("l4_port", std::uint32_t{service.port});
    }
    if (!filter.address.empty()) q.set("address", filter.address);
    return q;
}

// Rows of all hosts that may have the wanted flows, each with its host.
std::vector<Value> find_flows(const Session& session, const FlowFilter& filter) {
    Value q = question_of("flows", filter);
    q.set("limit", filter.limit);
    const auto hosts = hosts_of(session, filter.where, q);
    std::vector<Value> out;
    for (const auto& [host, answer] : session.ask_each(hosts, q)) {
        for (const Value& row : answer["rows"].items()) {
            Value flow = row;
            flow.set("host", host);
            out.push_back(std::move(flow));
        }
    }
    return out;
}

}  // namespace weir::command
