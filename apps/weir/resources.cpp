#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>

#include "api/cli/table.hpp"
#include "apps/weir/verbs.hpp"

namespace weir::command {

namespace {

std::string read_input(const std::string& file) {
    if (file == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
    std::ifstream in(file);
    if (!in) throw Failure{2, {{Errc::io, file, "", "cannot be read"}}};
    return {std::istreambuf_iterator<char>(in), {}};
}

void print_change(const model::Value& change) {
    const std::string& type = change["type"].as_text();
    const char sign = type == "created" ? '+' : type == "deleted" ? '-' : '~';
    std::printf("%c %s/%s\n", sign, change["kind"].as_text().c_str(),
                change["name"].as_text().c_str());
    if (type != "changed") return;
    for (const model::Value& field : change["fields"].items())
        std::printf("    %s: %s -> %s\n", field["field"].as_text().c_str(),
                    cli::inline_text(field["before"]).c_str(),
                    cli::inline_text(field["after"]).c_str());
}

void print_outcome(const Session& session, const model::Value& outcome, bool dry_run) {
    if (session.json() || session.yaml()) return session.print(outcome);
    for (const model::Value& change : outcome["changes"].items()) print_change(change);
    const std::size_t n = outcome["changes"].size();
    const auto revision = static_cast<unsigned long long>(outcome["revision"].as_uint());
    const char* changes = n == 1 ? "change" : "changes";
    if (n == 0) std::printf("unchanged, revision %llu\n", revision);
    else if (dry_run)
        std::printf("%zu %s, not applied (dry run); revision is %llu\n", n, changes, revision);
    else std::printf("%zu %s applied, revision %llu\n", n, changes, revision);
}

std::string path_of(const std::string& kind, const std::string& name) {
    std::string path = "/v1/" + rest::escape(kind);
    if (!name.empty()) path += "/" + rest::escape(name);
    return path;
}

void print_lines(const model::Value& value, const std::string& indent) {
    for (const auto& member : value.members()) {
        if (member.value.is_object() && member.value.size() != 0) {
            std::printf("%s%s:\n", indent.c_str(), member.key.c_str());
            print_lines(member.value, indent + "  ");
        } else {
            std::printf("%s%-24s %s\n", indent.c_str(), (member.key + ":").c_str(),
                        cli::inline_text(member.value).c_str());
        }
    }
}

// The kind's description: its summary, and its fields in their order.
model::Value description_of(const Session& session, const std::string& kind) {
    const model::Value schema = session.get("/v1/schema");
    for (const model::Value& one : schema["kinds"].items())
        if (one["kind"].as_text() == kind) return one;
    return model::Value::object();
}

bool is_default(const model::Value& value, const model::Value& field);

// Fields of a structure that say more than their description does.
model::Value without_defaults(const model::Value& value, const model::Value& fields) {
    if (!value.is_object()) return value;
    model::Value out = model::Value::object();
    for (const auto& member : value.members()) {
        const auto& all = fields.items();
        const auto field = std::find_if(all.begin(), all.end(), [&](const model::Value& one) {
            return one["name"].as_text() == member.key;
        });
        if (field == all.end() || !is_default(member.value, *field))
            out.set(member.key, member.value);
    }
    return out;
}

bool is_default(const model::Value& value, const model::Value& field) {
    if (value.is_null() || value == field["default"]) return true;
    return field["type"].as_text() == "structure" && !field["list"].as_bool() &&
           without_defaults(value, field["fields"]).size() == 0;
}

// A column for every field that is not at its default everywhere; of what Weir made, for every one:
// there a default is news.
void print_table(const std::vector<model::Value>& items, const model::Value& description) {
    const model::Value& fields = description["fields"];
    const bool is_report = description["made_by_weir"].as_bool();
    std::vector<const model::Value*> shown;
    std::vector<std::string> header;
    for (const model::Value& field : fields.items()) {
        const std::string& name = field["name"].as_text();
        if (!is_report && std::all_of(items.begin(), items.end(), [&](const model::Value& item) {
                return is_default(item[name], field);
            }))
            continue;
        shown.push_back(&field);
        header.push_back(name);
        for (char& c : header.back())
            c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    cli::Table table(header);
    for (const model::Value& item : items) {
        std::vector<std::string> row;
        for (const model::Value* field : shown) {
            const model::Value& value = item[(*field)["name"].as_text()];
            row.push_back(cli::inline_text(without_defaults(value, (*field)["fields"])));
        }
        table.add(std::move(row));
    }
    std::fputs(table.text().c_str(), stdout);
}

}  // namespace

void apply(const Session& session, const std::string& file, bool dry_run, bool prune) {
    std::string path = "/v1/apply";
    if (dry_run) path += "?dry_run=true";
    if (prune) path += std::string(dry_run ? "&" : "?") + "prune=true";
    const model::Value outcome = session.send("POST", path, read_input(file), "application/yaml");
    print_outcome(session, outcome, dry_run);
}

void get(const Session& session, const std::string& kind, const std::string& name) {
    const model::Value answer = session.get(path_of(kind, name));
    if (session.json() || session.yaml()) return session.print(answer);
    std::vector<model::Value> one = {answer};
    const auto& items = name.empty() ? answer["items"].items() : one;
    if (session.names()) {
        for (const model::Value& item : items) std::printf("%s\n", item["name"].as_text().c_str());
        return;
    }
    const model::Value description = description_of(session, kind);
    if (!items.empty()) return print_table(items, description);
    const std::string& shown_by = description["shown_by"].as_text();
    if (shown_by.empty()) std::printf("no %s\n", kind.c_str());
    else std::printf("no store holds a %s: see %s\n", kind.c_str(), shown_by.c_str());
}

void describe(const Session& session, const std::string& kind, const std::string& name) {
    const model::Value answer = session.get(path_of(kind, name));
    if (session.json() || session.yaml()) return session.print(answer);
    print_lines(answer, "");
}

void erase(const Session& session, const std::string& kind, const std::string& name, bool dry_run) {
    print_outcome(session,
                  session.send("DELETE", path_of(kind, name) + (dry_run ? "?dry_run=true" : "")),
                  dry_run);
}

void kinds(const Session& session) {
    const model::Value schema = session.get("/v1/schema");
    if (session.json() || session.yaml()) return session.print(schema);
    if (session.names()) {
        for (const model::Value& kind : schema["kinds"].items())
            std::printf("%s\n", kind["kind"].as_text().c_str());
        return;
    }
    cli::Table table({"KIND", "IS"});
    for (const model::Value& kind : schema["kinds"].items())
        table.add({kind["kind"].as_text(), kind["summary"].as_text()});
    std::fputs(table.text().c_str(), stdout);
}

}  // namespace weir::command
