#pragma once
#include <signal.h>

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "weir/node.hpp"

// What the programs of the examples have in common: command line, files, signals, the loop.
namespace weir::example {

// What words of the command line set: those with a value behind them, and those that stand alone.
struct Options {
    std::map<std::string, std::string*> values;
    std::map<std::string, bool*> flags;
};
// Empty when the command line is fine, else what is wrong with it.
std::string read_command_line(int argc, char** argv, const Options& options);

// The whole of it; nothing: `why` it cannot be had.
std::optional<std::string> read_file(const std::string& path, std::string& why);

// Appends a line and flushes it; empty where `path` is. `why` is set if the file cannot be opened.
using LineLog = std::function<void(const std::string& line)>;
LineLog open_log(const std::string& path, std::string& why);

// Written whole or not at all, so that readers never see half of it, and only when it changed.
class StatusFile {
public:
    explicit StatusFile(std::string path) : path_(std::move(path)) {}  // empty: nothing is written
    void write(const std::string& status);

private:
    std::string path_, written_;
};

// What a program does besides its packets.
struct Chores {
    std::string name;         // of the program, in front of what it says on standard error
    std::string status_path;  // of a StatusFile
    std::function<std::string()> status;
    std::function<std::string()> reload;  // for SIGHUP; empty, or why the old is kept
};
// Before the node opens, so that none is missed: SIGTERM, SIGINT, SIGHUP, SIGUSR1.
void watch_signals();
// Packets until SIGTERM or SIGINT, or until the interface is gone. SIGUSR1 prints the status.
void serve(service::Node& node, const Chores& chores);

}  // namespace weir::example
