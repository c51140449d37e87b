#include "example/program.hpp"

#include <signal.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>

namespace weir::example {
namespace {

volatile sig_atomic_t stop_wanted = 0, reload_wanted = 0, status_wanted = 0;

void on_signal(int number) {
    if (number == SIGUSR1) status_wanted = 1;
    else if (number == SIGHUP) reload_wanted = 1;
    else stop_wanted = 1;
}

std::string system_error(const std::string& path) {
    return path + ": " + std::strerror(errno);
}

}  // namespace

std::string read_command_line(int argc, char** argv, const Options& options) {
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (const auto flag = options.flags.find(word); flag != options.flags.end()) {
            *flag->second = true;
            continue;
        }
        const auto value = options.values.find(word);
        if (value == options.values.end()) return "unknown option " + word;
        if (i + 1 == argc) return word + " needs a value";
        *value->second = argv[++i];
    }
    return "";
}

std::optional<std::string> read_file(const std::string& path, std::string& why) {
    std::ifstream in(path);
    if (!in) {
        why = system_error(path);
        return std::nullopt;
    }
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

LineLog open_log(const std::string& path, std::string& why) {
    if (path.empty()) return {};
    auto out = std::make_shared<std::ofstream>(path, std::ios::app);
    if (!*out) {
        why = system_error(path);
        return {};
    }
    return [out](const std::string& line) { *out << line << std::endl; };
}

void StatusFile::write(const std::string& status) {
    if (path_.empty() || status == written_) return;
    const std::string draft = path_ + ".new";
    std::ofstream out(draft, std::ios::trunc);
    out << status << "\n";
    out.close();
    if (out && std::rename(draft.c_str(), path_.c_str()) == 0) written_ = status;
}

void watch_signals() {
    struct sigaction action {};
    action.sa_handler = on_signal;
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1})
        sigaction(number, &action, nullptr);
}

void serve(service::Node& node, const Chores& chores) {
    using Clock = std::chrono::steady_clock;
    constexpr int poll_ms = 100;
    constexpr auto status_every = std::chrono::milliseconds(100);
    StatusFile status_file(chores.status_path);
    for (auto status_at = Clock::now(); stop_wanted == 0;) {
        if (const auto error = node.poll(poll_ms)) {
            std::cerr << chores.name << ": " << error->field << ": " << error->message << "\n";
            break;
        }
        if (reload_wanted != 0) {
            reload_wanted = 0;
            if (const std::string why = chores.reload(); !why.empty())
                std::cerr << chores.name << ": nothing is changed: " << why << "\n";
        }
        if (status_wanted != 0) {
            status_wanted = 0;
            std::cout << chores.status() << std::endl;
        }
        if (const auto now = Clock::now(); now >= status_at) {
            status_at = now + status_every;
            status_file.write(chores.status());
        }
    }
    status_file.write(chores.status());
}

}  // namespace weir::example
