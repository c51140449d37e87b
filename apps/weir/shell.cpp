#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <thread>

#include "apps/weir/verbs.hpp"

namespace weir::command {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto look_again = std::chrono::milliseconds(5);
constexpr auto grace = std::chrono::seconds(2);  // between the first and the last signal

// Of its own, with all that it starts; where there is a terminal, that is for this group meanwhile,
// so that Ctrl-C ends the command and not who waits for it.
class Foreground {
public:
    explicit Foreground(pid_t group) : is_ours_(tcgetpgrp(STDIN_FILENO) == getpgrp()) {
        if (is_ours_) tcsetpgrp(STDIN_FILENO, group);
    }
    ~Foreground() {
        if (!is_ours_) return;
        const auto before = std::signal(SIGTTOU, SIG_IGN);
        tcsetpgrp(STDIN_FILENO, getpgrp());
        std::signal(SIGTTOU, before);
    }
    Foreground(const Foreground&) = delete;
    Foreground& operator=(const Foreground&) = delete;

private:
    const bool is_ours_;
};

[[noreturn]] void be_shell(const std::string& command, bool to_error) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (to_error) dup2(STDERR_FILENO, STDOUT_FILENO);
    execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
    _exit(127);
}

// Whether it ended before that.
bool ends_until(pid_t pid, Clock::time_point until, int& status) {
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (Clock::now() >= until) return false;
        std::this_thread::sleep_for(look_again);
    }
    return true;
}

void end_group(pid_t group, int& status) {
    kill(-group, SIGTERM);
    const bool has_ended = ends_until(group, Clock::now() + grace, status);
    kill(-group, SIGKILL);  // what it started, too
    if (!has_ended) waitpid(group, &status, 0);
}

}  // namespace

std::string run_shell(const std::string& command, double timeout_s, bool to_error) {
    std::fflush(nullptr);
    const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                          std::chrono::duration<double>(timeout_s));
    const pid_t pid = fork();
    if (pid < 0) return std::string("was not started: ") + std::strerror(errno);
    if (pid == 0) be_shell(command, to_error);
    setpgid(pid, pid);  // whoever of the two comes first
    const Foreground foreground(pid);
    int status = 0;
    if (!ends_until(pid, until, status)) {
        end_group(pid, status);
        char text[64];
        std::snprintf(text, sizeof text, "took longer than %g s and was ended", timeout_s);
        return text;
    }
    if (WIFSIGNALED(status))
        return "was ended by signal " + std::to_string(WTERMSIG(status));
    return WEXITSTATUS(status) == 0 ? ""
                                    : "ended with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace weir::command
