#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>

#include "api/cli/table.hpp"
#include "apps/weir/flow_view.hpp"
#include "apps/weir/verbs.hpp"
#include "features/firewall/resources.hpp"
#include "model/json.hpp"

namespace weir::command {

namespace {

using model::Value;

// Names for the numbers that records carry.
struct Names {
    std::map<std::uint64_t, std::string> firewall, service, chains;
    explicit Names(const Session& session) {
        const Value rules = session.get("/v1/firewall-rule");
        for (const Value& rule : rules["items"].items()) {
            firewall::Rule one;
            one.name = rule["name"].as_text();
            one.id = static_cast<std::uint32_t>(rule["id"].as_uint());
            firewall[firewall::rule_id(one)] = one.name;
        }
        const Value all_chains = session.get("/v1/service-chain");
        for (const Value& chain : all_chains["items"].items())
            chains[chain["sci"].as_uint()] = chain["name"].as_text();
    }
    static std::string find(const std::map<std::uint64_t, std::string>& in, std::uint64_t id,
                            const char* none) {
        const auto at = in.find(id);
        return at != in.end() ? at->second : id == 0 ? none : "#" + std::to_string(id);
    }
};

void print_json(const Session& session, const std::vector<Value>& rows) {
    Value list = Value::array();
    for (const Value& row : rows) list.push(row);
    session.print(list);
}

// The nodes of a flow's path in order, for both directions, as its host knows them.
std::vector<std::pair<const char*, std::string>> nodes_of(const Session& session,
                                                          const Value& flow) {
    const Value answer = session.ask(flow["host"].as_text(), question("insert.paths"));
    const auto in_order = [](const Value& hops) {
        std::string text;
        for (const Value& hop : hops.items())
            text += (text.empty() ? "" : ", ") + hop["node"].as_text();
        return text;
    };
    for (const Value& path : answer["rows"].items()) {
        if (path["spi"].as_uint() != flow["insertion"]["spi"].as_uint()) continue;
        return {{"nodes there", in_order(path["forward"])},
                {"nodes back", in_order(path["reverse"])}};
    }
    return {};
}

// "weir_drops_total{reason=flow.new}" → its value.
std::map<std::string, std::uint64_t> counters_in(const Value& answer) {
    std::map<std::string, std::uint64_t> out;
    for (const Value& row : answer["rows"].items()) {
        std::string key = row["metric"].as_text();
        if (row["labels"].size() != 0) key += "{" + cli::inline_text(row["labels"]) + "}";
        out[key] += row["value"].as_uint();
    }
    return out;
}

}  // namespace

Service parse_service(const std::string& text) {
    Service out;
    const auto slash = text.find('/');
    out.name = text.substr(0, slash);
    static const std::map<std::string, std::uint8_t> protocols = {
        {"tcp", 6}, {"udp", 17}, {"icmp", 1}, {"icmp6", 58}};
    const auto found = protocols.find(out.name);
    bool good = found != protocols.end();
    if (good) out.proto = found->second;
    if (good && slash != std::string::npos) {
        const char *begin = text.data() + slash + 1, *end = text.data() + text.size();
        const auto read = std::from_chars(begin, end, out.port);
        good = read.ec == std::errc{} && read.ptr == end && out.port != 0 && out.proto != 1 &&
               out.proto != 58;
    }
    if (!good)
        throw Failure{2, {{Errc::invalid, text, "", "expected tcp/PORT, udp/PORT, icmp or icmp6"}}};
    return out;
}

void flows(const Session& session, const FlowFilter& filter) {
    const auto rows = find_flows(session, filter);
    if (session.json() || session.yaml()) return print_json(session, rows);
    if (rows.empty()) return void(std::printf("no such flow\n"));
    const Names names(session);
    cli::Table table({"HOST", "PORT", "PROTO", "INITIATOR", "RESPONDER", "STATE", "PACKETS", "RULE",
                      "SERVICE", "AGE"});
    for (const Value& flow : rows) {
        const Value& insertion = flow["insertion"];
        const std::string verdict = pair_text(insertion["verdict"]);
        const bool redirected = verdict.find("redirect") != std::string::npos;
        table.add(
            {flow["host"].as_text(), flow["port"].as_text(), service_text(flow),
             endpoint(flow, "src", "src_port"), endpoint(flow, "dst", "dst_port"),
             flow["state"].as_text(), pair_text(flow["packets"]),
             Names::find(names.firewall, flow["firewall"]["rule_id"].as_uint(), "default"),
             redirected
                 ? Names::find(names.chains, insertion["sci"].as_uint(), "-") + " path " +
                       std::to_string(insertion["spi"].as_uint())
                 : (verdict == "none/none" || verdict == "no-service/no-service" ? "-" : verdict),
             cli::duration_text(flow["age_s"].as_double())});
    }
    std::fputs(table.text().c_str(), stdout);
}

void describe_flows(const Session& session, const FlowFilter& filter) {
    const auto rows = find_flows(session, filter);
    if (session.json() || session.yaml()) return print_json(session, rows);
    const Names names(session);
    for (const Value& flow : rows) {
        const Value& insertion = flow["insertion"];
        const auto line = [](const char* key, const std::string& value) {
            std::printf("  %-22s %s\n", key, value.c_str());
        };
        std::printf("flow %llu at port %s on %s\n",
                    static_cast<unsigned long long>(flow["id"].as_uint()),
                    flow["port"].as_text().c_str(), flow["host"].as_text().c_str());
        line("from", service_text(flow) + " " + endpoint(flow, "src", "src_port") + " to " +
                         endpoint(flow, "dst", "dst_port"));
        line("opened", flow["opened"].as_text());
        line("state", flow["state"].as_text());
        line("age, idle", cli::duration_text(flow["age_s"].as_double()) + ", " +
                              cli::duration_text(flow["idle_s"].as_double()));
        line("packets there/back", pair_text(flow["packets"]));
        line("bytes there/back", pair_text(flow["bytes"]));
        line("firewall",
             flow["firewall"]["verdict"].as_text() + " by rule " +
                 Names::find(names.firewall, flow["firewall"]["rule_id"].as_uint(), "default"));
        line("service there/back", pair_text(insertion["verdict"]));
        if (insertion["sci"].as_uint() != 0) {
            line("service chain", Names::find(names.chains, insertion["sci"].as_uint(), "-"));
            line("service path", std::to_string(insertion["spi"].as_uint()) + ", epoch " +
                                     std::to_string(insertion["path_epoch"].as_uint()));
            for (const auto& [key, nodes] : nodes_of(session, flow)) line(key, nodes);
            line("skipped hops", pair_text(insertion["skip"]));
        }
    }
    if (rows.empty()) std::printf("no such flow\n");
}

void flush(const Session& session, const FlowFilter& filter, bool adopt) {
    Value q = question_of("flush-flows", filter);
    q.set("adopt", adopt);
    const auto hosts = hosts_of(session, filter.where, q);
    for (const auto& [host, answer] : session.ask_each(hosts, q)) {
        std::uint64_t removed = 0;
        for (const Value& row : answer["rows"].items()) removed += row["removed"].as_uint();
        std::printf("%s: %llu flow records removed\n", host.c_str(),
                    static_cast<unsigned long long>(removed));
    }
}

void drops(const Session& session, const std::string& only) {
    const std::vector<std::string> hosts =
        only.empty() ? session.hosts() : std::vector<std::string>{only};
    std::vector<Value> rows;
    for (const auto& [host, answer] : session.ask_each(hosts, question("counters"))) {
        for (const auto& [key, value] : counters_in(answer)) {
            const std::string prefix = "weir_drops_total{reason=";
            if (value == 0 || !key.starts_with(prefix)) continue;
            Value row = Value::object();
            row.set("host", host);
            row.set("reason", key.substr(prefix.size(), key.size() - prefix.size() - 1));
            row.set("packets", value);
            rows.push_back(std::move(row));
        }
    }
    if (session.json() || session.yaml()) return print_json(session, rows);
    if (rows.empty()) return void(std::printf("no packet was dropped\n"));
    cli::Table table({"HOST", "REASON", "PACKETS"});
    for (const Value& row : rows)
        table.add({row["host"].as_text(), row["reason"].as_text(),
                   std::to_string(row["packets"].as_uint())});
    std::fputs(table.text().c_str(), stdout);
}

void counters(const Session& session, const std::string& host, const std::string& pattern) {
    Value all = Value::object();
    cli::Table table({"COUNTER", "VALUE"});
    for (const auto& [key, value] : counters_in(session.ask(host, question("counters")))) {
        if (!pattern.empty() && key.find(pattern) == std::string::npos) continue;
        all.set(key, value);
        table.add({key, std::to_string(value)});
    }
    if (session.json() || session.yaml()) return session.print(all);
    if (table.empty()) return void(std::printf("no such counter\n"));
    std::fputs(table.text().c_str(), stdout);
}

void query(const Session& session, const std::string& host, const std::string& what) {
    auto parsed = what.starts_with("{") ? model::parse_json(what) : Result<Value>(question(what));
    if (!parsed) throw Failure{2, {parsed.error()}};
    session.print(session.ask(host, *parsed));
}

}  // namespace weir::command
