#pragma once
#include <signal.h>

#include <functional>
#include <initializer_list>
#include <optional>
#include <string>

// What the programs of the examples have in common, and nothing of Weir: files and signals.
namespace weir::example {

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

// Set by SIGTERM and SIGINT, SIGHUP, SIGUSR1.
extern volatile sig_atomic_t stop_wanted, reload_wanted, status_wanted;
void watch_signals(std::initializer_list<int> numbers);

}  // namespace weir::example
