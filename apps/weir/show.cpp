#include "apps/weir/show.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

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

// What is cut short is said beside it: programs read the rows.
void tell_of_more(const std::string& host, const View& view, bool is_narrowed) {
    const std::string advice = "; NAME (" + std::string(view.narrow) + ") shows more of one";
    std::fprintf(stderr, "%s has more of them%s\n", host.c_str(),
                 is_narrowed ? "" : advice.c_str());
}

std::vector<Value> rows_of(const Session& session, const View& view, const ShowOptions& options) {
    const std::string wanted = narrowed_to(session, view, options.name);
    const bool is_asked = view.is_asked && !wanted.empty();
    const Value asked = question(std::string(view.what) + (is_asked ? "." + wanted : ""));
    std::vector<Value> out;
    for (const auto& [host, answer] :
         session.ask_each(hosts_to_ask(session, view, options), asked)) {
        if (answer["more"].as_bool()) tell_of_more(host, view, is_asked);
        Value rows = Value::array();
        for (const Value& row : answer["rows"].items()) rows.push(with_summary(view, row));
        for (Value& row : joined_rows(view, host, rows)) {
            if (!is_asked && !wanted.empty() && !is_meant(row, view, wanted)) continue;
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

// What is known of nodes beside what the host says of each hop. No host is asked: the one that
// shows the path may be the only one that answers.
struct HopFacts {
    std::map<std::uint64_t, std::string> hosts;  // by number
    std::set<std::string> avoided;  // nodes in maintenance, deleted, or not healthy (OBJ-6)

    explicit HopFacts(const Session& session) {
        const Value all = session.get("/v1/host"), nodes = session.get("/v1/service-node");
        for (const Value& one : all["items"].items())
            hosts[one["id"].as_uint()] = one["name"].as_text();
        for (const Value& one : nodes["items"].items()) {
            const std::string& partner = one["partner_state"].as_text();  // empty: as it should be
            if (one["maintenance"].as_bool() || (!partner.empty() && partner != "healthy"))
                avoided.insert(one["name"].as_text());
        }
        const Value leaving = session.get("/v1/service-node-leaving");
        for (const Value& one : leaving["items"].items()) avoided.insert(one["name"].as_text());
    }
};

// MP: not in maintenance, and healthy as its manager says; CP: its ports are there, or a tunnel to
// its host; DP: it lets packets through.
void print_hops(const std::vector<Value>& paths, HopFacts facts) {
    const auto flag = [](bool good) { return std::string(good ? "yes" : "no"); };
    cli::Table table({"HOST", "PATH", "DIRECTION", "SI", "NODE", "ON", "MAC", "ACTION", "MP", "CP",
                      "DP", "LIVENESS", "DECREMENTS"});
    for (const Value& path : paths)
        for (const char* direction : {"forward", "reverse"}) {
            std::size_t si = path[direction].size();
            for (const Value& hop : path[direction].items()) {
                const std::string& node = hop["node"].as_text();
                table.add({path["host"].as_text(), path["name"].as_text(), direction,
                           std::to_string(si--), node, facts.hosts[hop["host_id"].as_uint()],
                           hop["mac"].as_text(), hop["action"].as_text(),
                           flag(!facts.avoided.contains(node)), flag(hop["placed"].as_bool()),
                           flag(hop["alive"].as_bool()), hop["liveness"].as_text(),
                           flag(hop["can_decrement_si"].as_bool())});
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
    if (view->name == "paths" && !options.name.empty()) print_hops(rows, HopFacts(session));
}

}  // namespace weir::command
