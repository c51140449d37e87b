#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "apps/weir/session.hpp"

// What the command can do, a function per verb. Each prints to standard output and throws Failure.
namespace weir::command {

// resources.cpp
void apply(const Session&, const std::string& file, bool dry_run, bool prune);
void get(const Session&, const std::string& kind, const std::string& name);
void describe(const Session&, const std::string& kind, const std::string& name);
void erase(const Session&, const std::string& kind, const std::string& name, bool dry_run);
void kinds(const Session&);

// rotate.cpp
void rotate_key(const Session&, const std::string& segment, double rollover_s, double timeout_s);

// migrate.cpp
struct MigrateOptions {
    std::string port, to;
    std::string before_freeze, when_frozen;  // shell commands; empty: none
    bool dry_run = false, force = false;
    double stub_s = 30, timeout_s = 30;  // the latter for each of the commands
    bool has_stub = false;               // it was said
};
void migrate(const Session&, const MigrateOptions&);
// Leaves room for a command of `timeout_s` in the time for which a controller waits.
std::uint64_t patience_ms(double timeout_s);
// Tells a move something. If the move is over by then, its own errors say why.
void tell_move(const Session&, const std::string& path, const char* word);
// shell.cpp: by sh; empty if it ended well within `timeout_s`, else what was wrong. What takes
// longer is ended with all that it started. `to_error`: what it prints goes to standard error.
std::string run_shell(const std::string& command, double timeout_s, bool to_error = false);
// migrate_node.cpp; `port` is the node, of the rest `to`, `when_frozen` and `timeout_s` count.
void migrate_node(const Session&, const MigrateOptions&);

// status.cpp
void hosts(const Session&);
void wait(const Session&, std::uint64_t revision, double timeout_s);
// The same without a word: {revision, hosts}, once every host runs the revision (0: the newest).
model::Value applied_everywhere(const Session&, std::uint64_t revision, double timeout_s);
void events(const Session&, std::uint64_t limit);
void doctor(const Session&, const std::vector<std::string>& hosts);

// observe.cpp
struct FlowFilter {
    std::string where;    // host or port name; empty: everywhere
    std::string service;  // "tcp/80", "udp", "icmp"
    std::string address;
    std::uint64_t limit = 50;
};
void flows(const Session&, const FlowFilter&);
// show.cpp
struct ShowOptions {
    std::string what, name, host;  // view, what it is narrowed to, whose; the latter may be empty
    std::string state = "all";     // of paths
};
void show(const Session&, const ShowOptions&);
// explain.cpp
void explain(const Session&, const FlowFilter&);
void describe_flows(const Session&, const FlowFilter&);
void flush(const Session&, const FlowFilter&, bool adopt);
void drops(const Session&, const std::string& host);
void top(const Session&, double interval_s, std::uint64_t rounds);
void counters(const Session&, const std::string& host, const std::string& pattern);
void query(const Session&, const std::string& host, const std::string& what);

// trace.cpp
void trace(const Session&, const std::string& from, const std::string& to,
           const std::string& service, bool ip6, bool deliver);

// completion.cpp: what `source <(weir completion bash)` reads.
const char* bash_completion();

// "tcp/80" → protocol number and port (0: any). Throws on nonsense.
struct Service {
    std::string name;
    std::uint8_t proto = 0;
    std::uint16_t port = 0;
};
Service parse_service(const std::string& text);

}  // namespace weir::command
