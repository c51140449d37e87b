#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "api/rest/message.hpp"
#include "apps/weir/verbs.hpp"
#include "model/json.hpp"

// Moves a port to another host: the controller does it (docs/operate/migrate.md). This follows,
// says how far it has come, and runs what the operator gave for the moments that concern the guest.
namespace weir::command {
namespace {

using model::Value;

class Migration {
public:
    Migration(const Session& session, const MigrateOptions& options)
        : session_(session),
          options_(options),
          path_("/v1/moves/" + rest::escape(options.port)) {}

    void run() {
        Value order = Value::object();
        order.set("to", options_.to);
        order.set("dry_run", options_.dry_run);
        order.set("force", options_.force);
        order.set("wait_ready", !options_.before_freeze.empty());
        order.set("wait_frozen", !options_.when_frozen.empty());
        order.set("stub_ms", static_cast<std::uint64_t>(options_.stub_s * 1000));
        order.set("patience_ms", patience_ms(options_.timeout_s));
        Value status = session_.send("POST", path_, model::dump_json(order));
        while (!status["over"].as_bool()) {
            follow(status);
            status = session_.get(path_);
        }
        conclude(status);
    }

private:
    void follow(const Value& status) {
        const std::string& state = status["state"].as_text();
        if (state == said_) return std::this_thread::sleep_for(std::chrono::milliseconds(5));
        said_ = state;
        if (session_.table()) {
            std::printf("%s%s\n", state.c_str(), details(status).c_str());
            std::fflush(stdout);
        }
        if (state == "ready") run_command("--before-freeze", options_.before_freeze, status);
        if (state == "frozen") run_command("--when-frozen", options_.when_frozen, status);
    }

    static std::string details(const Value& status) {
        const std::uint64_t passes = status["passes"].as_uint();
        if (passes == 0) return {};
        return " (" + std::to_string(passes) + " passes, " +
               std::to_string(status["flows"].as_uint()) + " flows, " +
               std::to_string(status["bytes"].as_uint()) + " bytes)";
    }

    // A command that fails undoes the move: the guest is still where it was.
    void run_command(const char* option, const std::string& command, const Value& status) {
        setenv("WEIR_PORT", options_.port.c_str(), 1);
        setenv("WEIR_FROM", status["from"].as_text().c_str(), 1);
        setenv("WEIR_TO", options_.to.c_str(), 1);
        const std::string wrong = run_shell(command, options_.timeout_s, !session_.table());
        if (!wrong.empty()) command_failed_ = std::string(option) + " " + wrong;
        tell_move(session_, path_, wrong.empty() ? "go-on" : "cancel");
    }

    void conclude(const Value& status) {
        std::vector<Error> errors;
        for (const Value& one : status["errors"].items())
            errors.push_back({Errc::invalid, one["object"].as_text(), one["field"].as_text(),
                              one["message"].as_text()});
        if (!command_failed_.empty())
            errors.push_back({Errc::invalid, "command", "", command_failed_});
        if (!session_.table()) session_.print(status);
        if (!errors.empty()) throw Failure{1, errors};
        if (!session_.table()) return;
        if (options_.dry_run) {
            std::printf("port %s can move from %s to %s\n", options_.port.c_str(),
                        status["from"].as_text().c_str(), options_.to.c_str());
            return;
        }
        std::printf("port %s is on %s: %llu flows in %llu passes, frozen for %.1f ms\n",
                    options_.port.c_str(), options_.to.c_str(),
                    static_cast<unsigned long long>(status["flows"].as_uint()),
                    static_cast<unsigned long long>(status["passes"].as_uint()),
                    status["freeze_ms"].as_double());
    }

    const Session& session_;
    const MigrateOptions& options_;
    const std::string path_;
    std::string said_, command_failed_;
};

}  // namespace

std::uint64_t patience_ms(double timeout_s) {
    constexpr std::uint64_t more = 5'000;
    return static_cast<std::uint64_t>(timeout_s * 1000) + more;
}

void tell_move(const Session& session, const std::string& path, const char* word) {
    try {
        session.send("POST", path + "/" + word);
    } catch (const Failure&) {
        if (!session.get(path)["over"].as_bool()) throw;
    }
}

void migrate(const Session& session, const MigrateOptions& options) {
    Migration(session, options).run();
}

}  // namespace weir::command
