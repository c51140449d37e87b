#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <map>
#include <random>
#include <thread>

#include "api/cli/table.hpp"
#include "apps/weir/verbs.hpp"

namespace weir::command {

namespace {

using model::Value;
using Rows = std::map<std::string, std::deque<Value>>;  // by host, in the order they happened there

std::string address_of(const Value& port, bool ip6) {
    for (const Value& address : port["addresses"].items())
        if ((address.as_text().find(':') != std::string::npos) == ip6) return address.as_text();
    throw Failure{1,
                  {{Errc::invalid, "port/" + port["name"].as_text(), "addresses",
                    std::string("has no IPv") + (ip6 ? "6" : "4") + " address"}}};
}

Value guest_port(const Session& session, const std::string& name) {
    Value port = session.get("/v1/port/" + rest::escape(name));
    if (port["segment"].as_text().empty())
        throw Failure{1,
                      {{Errc::invalid, "port/" + name, "",
                        "is no guest port; packets are traced from guest to guest"}}};
    return port;
}

// What became of the packet, in words.
std::string end_of(const std::vector<Value>& steps, const std::string& to) {
    if (steps.empty()) return "nothing was seen of the packet";
    const Value& last = steps.back();
    const std::string &stage = last["stage"].as_text(), &result = last["result"].as_text();
    const std::string where = " on " + last["host"].as_text();
    if (result == "deliver.traced") return "delivered to " + to + where;
    if (stage == "to_node" && result == "sent")
        return "given to node " + last["notes"]["node"].as_text() + where +
               ", which did not send it on";
    if (result == "sent") return "last seen leaving " + stage + where;
    return "dropped at " + stage + where + ": " + result;
}

// Packets change workers once, at the door: no result of the stage, but worth a line.
std::string result_of(const Value& step) {
    const bool moves = step["stage"].as_text() == "parse" && step["result"].as_text() == "sent";
    return moves ? "to its worker" : step["result"].as_text();
}

// The packet in the notation of scenarios; the host fills in the MAC addresses.
std::string packet_text(const Value& from, const Value& to, const Service& service, bool ip6) {
    const std::string src = address_of(from, ip6), dst = address_of(to, ip6);
    if (service.proto == 1 || service.proto == 58)
        return std::string(ip6 ? "icmp6 " : "icmp ") + src + " > " + dst + " echo id=7 seq=1";
    std::random_device random;
    const std::string source_port = std::to_string(49152 + random() % 16384);
    const auto endpoint = [&](const std::string& ip, const std::string& port) {
        return (ip6 ? "[" + ip + "]" : ip) + ":" + port;
    };
    std::string text = service.name + " " + endpoint(src, source_port) + " > " +
                       endpoint(dst, std::to_string(service.port == 0 ? 80 : service.port));
    if (service.proto == 6) text += " syn seq=1 win=64240";
    return text;
}

// Asks every host until two rounds bring the same: the packet has come to its end.
Rows collect(const Session& session, std::uint32_t trace_id) {
    Value ask = question("trace-log");
    ask.set("trace_id", trace_id);
    std::vector<std::string> hosts;  // that answer: the packet may not need the others
    for (const auto& [host, answer] : session.ask_each(session.hosts(), ask)) hosts.push_back(host);
    Rows rows;
    std::size_t count = 0, same = 0;
    for (int round = 0; round < 40 && same < 3; ++round) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        rows.clear();
        std::size_t now = 0;
        for (const std::string& host : hosts) {
            const Value answer = session.ask(host, ask);
            std::vector<Value> sorted = answer["rows"].items();
            std::stable_sort(sorted.begin(), sorted.end(), [](const Value& a, const Value& b) {
                return a["at_ns"].as_uint() < b["at_ns"].as_uint();
            });
            rows[host] = {sorted.begin(), sorted.end()};
            now += sorted.size();
        }
        same = now == count && now != 0 ? same + 1 : 0;
        count = now;
    }
    return rows;
}

// Hosts' clocks need not agree: the order over hosts is that of the tunnels the packet took.
std::vector<Value> in_order(Rows rows, const std::string& first) {
    std::vector<Value> out;
    std::string host = first;
    while (!rows[host].empty()) {
        Value row = rows[host].front();
        rows[host].pop_front();
        const bool tunnelled =
            row["stage"].as_text() == "encap" && row["result"].as_text() == "sent";
        const std::string peer = row["notes"]["peer"].as_text();
        out.push_back(std::move(row));
        if (tunnelled && !peer.empty()) host = peer;
    }
    for (auto& [name, left] : rows)
        for (Value& row : left) out.push_back(std::move(row));
    return out;
}

}  // namespace

void trace(const Session& session, const std::string& from, const std::string& to,
           const std::string& service_text, bool ip6) {
    const Value source = guest_port(session, from);
    const Value destination = guest_port(session, to);
    const Service service = parse_service(service_text);
    const std::string packet =
        packet_text(source, destination, service, ip6 || service.proto == 58);
    const std::string host = source["host"].as_text();
    const std::uint32_t trace_id = std::random_device{}() | 1u;

    Value start = question("trace");
    start.set("port", from);
    start.set("packet", packet);
    start.set("trace_id", trace_id);
    session.ask(host, start);
    const std::vector<Value> steps = in_order(collect(session, trace_id), host);
    if (session.json() || session.yaml()) {
        Value all = Value::object();
        all.set("packet", packet);
        all.set("delivered",
                !steps.empty() && steps.back()["result"].as_text() == "deliver.traced");
        all.set("end", end_of(steps, to));
        Value& list = all.set("steps", Value::array());
        for (const Value& step : steps) list.push(step);
        return session.print(all);
    }
    std::printf("%s\n", packet.c_str());
    cli::Table table({"HOST", "CONTEXT", "STAGE", "RESULT", "NOTES"});
    for (const Value& step : steps)
        table.add({step["host"].as_text(), step["context"].as_text(), step["stage"].as_text(),
                   result_of(step), cli::inline_text(step["notes"])});
    std::fputs(table.text().c_str(), stdout);
    std::printf("%s\n", end_of(steps, to).c_str());
}

}  // namespace weir::command
