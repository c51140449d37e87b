#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "api/rest/message.hpp"
#include "apps/weir/verbs.hpp"
#include "model/json.hpp"

// Moves a service node to another host: the controller does it (docs/operate/migrate.md). This
// follows, and runs what the operator gave for the moment when the machine may be moved.
namespace weir::command {
namespace {

using model::Value;

// What was wrong with it, if anything.
std::string run_command(const Session& session, const MigrateOptions& options,
                        const Value& status) {
    setenv("WEIR_NODE", options.port.c_str(), 1);
    setenv("WEIR_FROM", status["from"].as_text().c_str(), 1);
    setenv("WEIR_TO", options.to.c_str(), 1);
    return run_shell(options.when_frozen, options.timeout_s, !session.table());
}

}  // namespace

void migrate_node(const Session& session, const MigrateOptions& options) {
    if (options.dry_run || options.force || options.has_stub || !options.before_freeze.empty())
        throw Failure{2,
                      {{Errc::invalid, "migrate", "node",
                        "--dry-run, --force, --stub and --before-freeze are for ports of guests"}}};
    const std::string path = "/v1/node-moves/" + rest::escape(options.port);
    Value order = Value::object();
    order.set("to", options.to);
    order.set("wait_frozen", !options.when_frozen.empty());
    order.set("patience_ms", patience_ms(options.timeout_s));
    Value status = session.send("POST", path, model::dump_json(order));
    std::string wrong;
    for (std::string said; !status["over"].as_bool(); status = session.get(path)) {
        const std::string state = status["state"].as_text();
        if (state == said) {
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
            continue;
        }
        said = state;
        if (session.table()) std::printf("%s\n", state.c_str());
        std::fflush(stdout);
        if (state != "frozen" || options.when_frozen.empty()) continue;
        wrong = run_command(session, options, status);
        tell_move(session, path, wrong.empty() ? "go-on" : "cancel");
    }
    if (!session.table()) session.print(status);
    std::string why;
    for (const Value& error : status["errors"].items()) why += error["message"].as_text();
    if (!wrong.empty()) why = "--when-frozen " + wrong + (why.empty() ? "" : ": " + why);
    if (!why.empty())
        throw Failure{1, {{Errc::unavailable, "service-node/" + options.port, {}, why}}};
    if (session.table())
        std::printf("node %s is on %s: frozen for %.1f ms, %llu contexts\n", options.port.c_str(),
                    options.to.c_str(), status["frozen_ms"].as_double(),
                    static_cast<unsigned long long>(status["contexts"].as_uint()));
}

}  // namespace weir::command
