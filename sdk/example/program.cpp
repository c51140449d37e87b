#include "example/program.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

namespace weir::example {
namespace {

void on_signal(int number) {
    if (number == SIGUSR1) status_wanted = 1;
    else if (number == SIGHUP) reload_wanted = 1;
    else stop_wanted = 1;
}

std::string system_error(const std::string& path) {
    return path + ": " + std::strerror(errno);
}

}  // namespace

volatile sig_atomic_t stop_wanted = 0, reload_wanted = 0, status_wanted = 0;

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

void watch_signals(std::initializer_list<int> numbers) {
    struct sigaction action {};
    action.sa_handler = on_signal;
    for (const int number : numbers) sigaction(number, &action, nullptr);
}

}  // namespace weir::example
