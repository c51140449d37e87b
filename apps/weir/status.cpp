#include <chrono>
#include <cstdio>
#include <thread>

#include "api/cli/table.hpp"
#include "apps/weir/verbs.hpp"

namespace weir::command {

namespace {

std::string refusal_text(const model::Value& host) {
    const model::Value& refused = host["refused"];
    if (refused.is_null()) return {};
    Error error{Errc::invalid, refused["object"].as_text(), refused["field"].as_text(),
                refused["message"].as_text()};
    return std::to_string(refused["revision"].as_uint()) + ": " + error.text();
}

}  // namespace

void hosts(const Session& session) {
    const model::Value answer = session.get("/v1/hosts");
    if (session.json() || session.yaml()) return session.print(answer);
    cli::Table table({"HOST", "CONNECTED", "DESIRED", "APPLIED", "WAITING", "REFUSED"});
    for (const model::Value& host : answer["items"].items())
        table.add({host["name"].as_text(), host["connected"].as_bool() ? "yes" : "no",
                   std::to_string(host["desired"].as_uint()),
                   std::to_string(host["applied"].as_uint()),
                   std::to_string(host["waiting"].items().size()), refusal_text(host)});
    std::printf("revision %llu\n", static_cast<unsigned long long>(answer["revision"].as_uint()));
    std::fputs(table.text().c_str(), stdout);
}

std::string waiting_text(const model::Value& host) {
    const auto& waiting = host["waiting"].items();
    return waiting.empty() ? "" : ", waits for other hosts to be ready for " + waiting[0].as_text();
}

// Polls: a wait of seconds is no reason for a stream of its own.
model::Value applied_everywhere(const Session& session, std::uint64_t revision,
                                double timeout_s) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                        std::chrono::duration<double>(timeout_s));
    for (;;) {
        const model::Value answer = session.get("/v1/hosts");
        const std::uint64_t wanted = revision != 0 ? revision : answer["revision"].as_uint();
        std::vector<Error> late;
        for (const model::Value& host : answer["items"].items()) {
            const std::string name = "host/" + host["name"].as_text();
            if (!host["refused"].is_null() && host["refused"]["revision"].as_uint() >= wanted)
                throw Failure{
                    1, {{Errc::invalid, name, "", "refused revision " + refusal_text(host)}}};
            if (!host["connected"].as_bool())
                late.push_back({Errc::unavailable, name, "", "is not connected"});
            else if (host["applied"].as_uint() < wanted)
                late.push_back({Errc::unavailable, name, "",
                                "runs revision " + std::to_string(host["applied"].as_uint()) +
                                    waiting_text(host)});
        }
        if (late.empty()) {
            model::Value said = model::Value::object();
            said.set("revision", wanted);
            said.set("hosts", answer["items"]);
            return said;
        }
        if (Clock::now() >= end) {
            late.push_back(
                {Errc::unavailable, "wait", "",
                 "revision " + std::to_string(wanted) + " was not applied everywhere in time"});
            throw Failure{4, late};
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

void wait(const Session& session, std::uint64_t revision, double timeout_s) {
    const model::Value said = applied_everywhere(session, revision, timeout_s);
    if (!session.table()) return session.print(said);
    std::printf("revision %llu is applied on %zu hosts\n",
                static_cast<unsigned long long>(said["revision"].as_uint()), said["hosts"].size());
}

void events(const Session& session, std::uint64_t limit) {
    const model::Value answer = session.get("/v1/events?limit=" + std::to_string(limit));
    if (session.json() || session.yaml()) return session.print(answer["items"]);
    cli::Table table({"TIME", "HOST", "EVENT", "DETAILS"});
    for (const model::Value& event : answer["items"].items()) {
        model::Value details = model::Value::object();
        for (const auto& member : event.members())
            if (member.key != "id" && member.key != "time" && member.key != "type" &&
                member.key != "host" && member.key != "event" && member.key != "at_ms")
                details.set(member.key, member.value);
        table.add({event["time"].as_text(), event["host"].as_text(), event["type"].as_text(),
                   cli::inline_text(details)});
    }
    std::fputs(table.text().c_str(), stdout);
}

// Row by row what host-doctor says (dataplane/queries.md). A note is no complaint, a problem keeps
// something from working.
void doctor(const Session& session, const std::vector<std::string>& only) {
    const auto answers =
        session.ask_each(only.empty() ? session.hosts() : only, question("host-doctor"));
    model::Value all = model::Value::object();
    std::size_t warnings = 0, problems = 0;
    for (const auto& [host, answer] : answers) {
        all.set(host, answer["rows"]);
        if (session.table()) std::printf("%s\n", host.c_str());
        for (const model::Value& row : answer["rows"].items()) {
            const std::string& level = row["level"].as_text();
            warnings += level == "warning";
            problems += level == "problem";
            if (!session.table()) continue;
            std::printf("  %-8s %s: %s\n", level.c_str(), row["check"].as_text().c_str(),
                        row["found"].as_text().c_str());
            if (row["why"].as_text().empty()) continue;
            std::printf("           why it matters: %s\n", row["why"].as_text().c_str());
            if (row["advice"].as_text().empty()) continue;
            std::printf("           what to do:     %s\n", row["advice"].as_text().c_str());
        }
    }
    if (session.table())
        std::printf("problems: %zu, warnings: %zu, hosts: %zu\n", problems, warnings,
                    answers.size());
    else session.print(all);
    if (problems != 0) throw Failure{1, {}};
}

}  // namespace weir::command
