#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <map>
#include <random>
#include <thread>
#include <utility>

#include "api/cli/table.hpp"
#include "apps/weir/observations.hpp"
#include "apps/weir/verbs.hpp"
#include "net/trace_id.hpp"

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

// At its guest's port, where a traced packet ends unless the guest is to have it.
bool is_delivered(const Value& step) {
    return step["stage"].as_text() == "deliver";
}

// What became of the packet, in words.
std::string end_of(const std::vector<Value>& steps, const std::string& to) {
    if (steps.empty()) return "nothing was seen of the packet";
    const Value& last = steps.back();
    const std::string &stage = last["stage"].as_text(), &result = last["result"].as_text();
    const std::string where = " on " + last["host"].as_text();
    if (is_delivered(last)) return "delivered to " + to + where;
    if (stage == "to_node" && result == "sent")
        return "no answer from node " + last["notes"]["node"].as_text() + where;
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

// Whether a node was given the packet and has not sent it on.
bool some_node_has_it(const Rows& rows) {
    int inside = 0;
    for (const auto& [host, steps] : rows) {
        for (const Value& step : steps) {
            const std::string& stage = step["stage"].as_text();
            inside += stage == "to_node" && step["result"].as_text() == "sent";
            inside -= stage == "from_node" && step["notes"].find("node") != nullptr;
        }
    }
    return inside > 0;
}

// Asks every host until nothing more comes: the packet has come to its end. A node has a second.
Rows collect(const Session& session, std::uint32_t trace_id) {
    Value ask = question("trace-log");
    ask.set("trace_id", trace_id);
    std::vector<std::string> hosts;  // that answer: the packet may not need the others
    for (const auto& [host, answer] : session.ask_each(session.hosts(), ask)) hosts.push_back(host);
    using Clock = std::chrono::steady_clock;
    constexpr std::chrono::milliseconds quiet{150}, node_quiet{1100}, longest{5000};
    Rows rows;
    std::size_t count = 0;
    const auto began = Clock::now();
    for (auto last = began; Clock::now() - began < longest;) {
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
        if (now != std::exchange(count, now) || now == 0) last = Clock::now();
        if (Clock::now() - last >= (some_node_has_it(rows) ? node_quiet : quiet)) break;
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

void print_observations(const std::vector<Value>& rows) {
    cli::Table table({"HOST", "WHO", "DID", "SPI", "SI", "D", "DWELL", "DETAILS"});
    for (const Value& row : rows) {
        Value details = Value::object();
        for (const char* key : {"rule", "chain", "path", "next", "port", "call_point", "reason"})
            if (!row[key].is_null()) details.set(key, row[key]);
        const auto number = [&](const char* key) {
            return row[key].is_null() ? std::string() : std::to_string(row[key].as_uint());
        };
        const std::string dwell = number("dwell_us");
        table.add({row["host"].as_text(),
                   row["node"].is_null() ? row["component"].as_text() : row["node"].as_text(),
                   row["event"].as_text(), number("spi"), number("si"), number("d"),
                   dwell.empty() ? "" : dwell + " us", cli::inline_text(details)});
    }
    if (!rows.empty()) std::printf("\n%s", table.text().c_str());
}

}  // namespace

void trace(const Session& session, const std::string& from, const std::string& to,
           const std::string& service_text, bool ip6, bool deliver) {
    const Value source = guest_port(session, from);
    const Value destination = guest_port(session, to);
    const Service service = parse_service(service_text);
    const std::string packet =
        packet_text(source, destination, service, ip6 || service.proto == 58);
    const std::string host = source["host"].as_text();
    const std::uint32_t number = (std::random_device{}() | 1u) & ~net::trace_delivers;
    const std::uint32_t trace_id = number | (deliver ? net::trace_delivers : 0u);

    Value start = question("trace");
    start.set("port", from);
    start.set("packet", packet);
    start.set("trace_id", trace_id);
    session.ask(host, start);
    const std::vector<Value> steps = in_order(collect(session, trace_id), host);
    if (session.json() || session.yaml()) {
        Value all = Value::object();
        all.set("packet", packet);
        all.set("delivered", !steps.empty() && is_delivered(steps.back()));
        all.set("end", end_of(steps, to));
        Value& list = all.set("steps", Value::array());
        for (const Value& step : steps) list.push(step);
        Value& seen = all.set("observations", Value::array());
        for (Value& row : observations(steps)) seen.push(std::move(row));
        return session.print(all);
    }
    std::printf("%s\n", packet.c_str());
    cli::Table table({"HOST", "CONTEXT", "STAGE", "RESULT", "NOTES"});
    for (const Value& step : steps)
        table.add({step["host"].as_text(), step["context"].as_text(), step["stage"].as_text(),
                   result_of(step), cli::inline_text(step["notes"])});
    std::fputs(table.text().c_str(), stdout);
    print_observations(observations(steps));
    std::printf("%s\n", end_of(steps, to).c_str());
}

}  // namespace weir::command
