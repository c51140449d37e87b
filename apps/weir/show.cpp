#include "apps/weir/show.hpp"

#include <algorithm>
#include <cstdio>
#include <map>

#include "api/cli/table.hpp"
#include "apps/weir/verbs.hpp"
#include "base/closest.hpp"

namespace weir::command {
namespace {

using model::Value;

std::string path_state(const Value& path) {
    if (path["maintenance"].as_bool()) return "maintenance";
    if (!path["usable"].as_bool()) return "failed";
    return path["avoided"].as_bool() ? "avoided" : "active";
}

std::string nodes_text(const Value& hops) {
    std::string text;
    for (const Value& hop : hops.items())
        text += (text.empty() ? "" : ", ") + hop["node"].as_text() +
                (hop["state"].as_text() == "up" ? "" : " (down)");
    return text;
}

// What the table shows and the engine says in other words.
Value with_summary(const View& view, Value row) {
    if (view.name == "paths") {
        row.set("path_state", path_state(row));
        row.set("nodes", nodes_text(row["forward"]));
    }
    if (view.name == "proxy-contexts")
        row.set("tag", row.find("vlan") ? row["vlan"] : row["number"]);
    return row;
}

// A segment may be named as well as numbered.
std::string narrowed_to(const Session& session, const View& view, const std::string& name) {
    if (view.narrow != "svni" || name.empty() ||
        name.find_first_not_of("0123456789") == std::string::npos)
        return name;
    return cli::inline_text(session.get("/v1/service-segment/" + name)["svni"]);
}

// By its name, or for chains and their paths by the SCI.
bool is_meant(const Value& row, const View& view, const std::string& wanted) {
    const bool of_chain = view.name == "chains" || view.name == "paths";
    return cli::inline_text(row[view.narrow]) == wanted ||
           (of_chain && cli::inline_text(row["sci"]) == wanted);
}

std::vector<std::string> hosts_to_ask(const Session& session, const View& view,
                                      const ShowOptions& options) {
    if (!options.host.empty()) return {options.host};
    if (view.narrow != "port" || options.name.empty()) return session.hosts();
    return {session.get("/v1/port/" + options.name)["host"].as_text()};
}

std::vector<Value> rows_of(const Session& session, const View& view, const ShowOptions& options) {
    const std::string wanted = narrowed_to(session, view, options.name);
    const bool of_port = view.narrow == "port" && !wanted.empty();
    const Value asked =
        question(std::string(view.what) + (of_port ? "." + wanted : std::string()));
    std::vector<Value> out;
    for (const auto& [host, answer] :
         session.ask_each(hosts_to_ask(session, view, options), asked)) {
        Value rows = Value::array();
        for (const Value& row : answer["rows"].items()) rows.push(with_summary(view, row));
        for (Value& row : joined_rows(view, host, rows)) {
            if (!of_port && !wanted.empty() && !is_meant(row, view, wanted)) continue;
            if (options.state != "all" && row["path_state"].as_text() != options.state) continue;
            out.push_back(std::move(row));
        }
    }
    return out;
}

void print_rows(const View& view, const std::vector<Value>& rows) {
    std::vector<std::string> header{"HOST"};
    for (const ViewColumn& column : view.columns) header.emplace_back(column.header);
    cli::Table table(header);
    for (const Value& row : rows) {
        std::vector<std::string> cells{row["host"].as_text()};
        for (const ViewColumn& column : view.columns)
            cells.push_back(cli::inline_text(row[column.key]));
        table.add(std::move(cells));
    }
    std::fputs(table.text().c_str(), stdout);
}

// What is known of nodes beside their state on a path: of the intent, and of their own hosts.
struct NodeFacts {
    std::map<std::string, std::string> host, liveness;
    std::map<std::string, bool> maintenance, decrements;

    explicit NodeFacts(const Session& session) {
        std::map<std::string, bool> by_service;
        const Value services = session.get("/v1/service"), nodes = session.get("/v1/service-node");
        for (const Value& one : services["items"].items())
            by_service[one["name"].as_text()] = one["can_decrement_si"].as_bool();
        for (const Value& one : nodes["items"].items()) {
            const std::string& name = one["name"].as_text();
            host[name] = one["host"].as_text();
            maintenance[name] = one["maintenance"].as_bool();
            decrements[name] = by_service[one["service"].as_text()];
        }
        for (const auto& [name, answer] :
             session.ask_each(session.hosts(), question("liveness.nodes")))
            for (const Value& row : answer["rows"].items())
                liveness[row["node"].as_text()] = row["liveness"].as_text();
    }
};

// MP: not in maintenance; CP: its ports are there, or a tunnel to its host; DP: it lets packets
// through.
void print_hops(const std::vector<Value>& paths, NodeFacts facts) {
    const auto flag = [](bool good) { return std::string(good ? "yes" : "no"); };
    cli::Table table({"HOST", "PATH", "DIRECTION", "SI", "NODE", "ON", "MAC", "ACTION", "MP", "CP",
                      "DP", "LIVENESS", "DECREMENTS"});
    for (const Value& path : paths)
        for (const char* direction : {"forward", "reverse"}) {
            std::size_t si = path[direction].size();
            for (const Value& hop : path[direction].items()) {
                const std::string& node = hop["node"].as_text();
                table.add({path["host"].as_text(), path["name"].as_text(), direction,
                           std::to_string(si--), node, facts.host[node], hop["mac"].as_text(),
                           hop["action"].as_text(), flag(!facts.maintenance[node]),
                           flag(hop["placed"].as_bool()), flag(hop["alive"].as_bool()),
                           facts.liveness[node], flag(facts.decrements[node])});
            }
        }
    std::printf("\n%s", table.text().c_str());
}

}  // namespace

void show(const Session& session, const ShowOptions& options) {
    const View* view = find_view(options.what);
    if (!view) {
        std::vector<std::string> names;
        for (const View& one : views()) names.emplace_back(one.name);
        throw Failure{2,
                      {{Errc::invalid, options.what, "",
                        "there is no such view" + did_you_mean(options.what, names)}}};
    }
    if (options.state != "all" && view->name != "paths")
        throw Failure{2, {{Errc::invalid, "--state", "", "is for paths"}}};
    const auto rows = rows_of(session, *view, options);
    if (session.json() || session.yaml()) {
        Value list = Value::array();
        for (const Value& row : rows) list.push(row);
        return session.print(list);
    }
    if (rows.empty()) return void(std::printf("nothing to show\n"));
    print_rows(*view, rows);
    if (view->name == "paths" && !options.name.empty()) print_hops(rows, NodeFacts(session));
}

}  // namespace weir::command
