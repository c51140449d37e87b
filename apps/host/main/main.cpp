#include <pthread.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <string>
#include <thread>

#include "apps/host/doctor.hpp"
#include "apps/host/program.hpp"
#include "base/log.hpp"

namespace {

using weir::host::Finding;

int doctor() {
    bool problem = false;
    for (const Finding& finding : weir::host::examine_machine()) {
        problem |= finding.level == Finding::Level::problem;
        std::printf("%-8s %s: %s\n", std::string(finding_level_name(finding.level)).c_str(),
                    finding.check.c_str(), finding.found.c_str());
        if (finding.why.empty()) continue;
        std::printf("         why it matters: %s\n", finding.why.c_str());
        std::printf("         what to do:     %s\n", finding.advice.c_str());
    }
    return problem ? 1 : 0;
}

void add_run(CLI::App& app, weir::host::HostOptions& o, std::string& level, std::string& format) {
    CLI::App& run = *app.add_subcommand("run", "Run this host until SIGTERM.");
    run.add_option("--name", o.name, "Name of this host's resource.")->required();
    run.add_option("--run-dir", o.run_dir, "Flow records and sockets, on tmpfs.")->required();
    run.add_option("--state-dir", o.state_dir, "The last good snapshot.")->required();
    run.add_option("--engine", o.engine, "The engine's library.")->required();
    run.add_option("--config", o.config, "A file of resources; SIGHUP reads it again.");
    run.add_option("--controller", o.controller, "IP:PORT of the controller.");
    run.add_option("--cert-dir", o.cert_dir, "This host's certificate, key and authority.");
    run.add_option("--socket", o.socket, "Local HTTP; default: host.sock in the run directory.");
    run.add_option("--metrics", o.metrics, "IP:PORT to serve Prometheus metrics on.");
    run.add_option("--workers", o.workers, "Threads that handle packets.")
        ->check(CLI::Range(1, 16));
    run.add_option(
           "--flows", o.flows,
           "Flow records of each worker, 2^24 shared by all at most; another number: none is kept.")
        ->check(CLI::Range(1024, 16777216));
    run.add_option("--packets", o.packets, "Packet buffers.")->check(CLI::Range(1024, 262144));
    run.add_flag("--busy-poll", o.busy_poll, "Workers never sleep.");
    run.add_flag("--huge-pages", o.huge_pages, "Packet memory in huge pages.");
    run.add_option("--log-level", level, "debug, info, warn or error.");
    run.add_option("--log-format", format, "text or json.");
}

int fail(const weir::Error& error) {
    weir::log::error("host.failed", {{"why", error.text()}});
    return 1;
}

int run(const weir::host::HostOptions& options, const sigset_t& signals) {
    auto program = weir::host::HostProgram::start(options);
    if (!program) return fail(program.error());
    std::thread listener([&] {
        for (int signal = 0; sigwait(&signals, &signal) == 0;) {
            if (signal != SIGHUP) return (*program)->stop();
            (*program)->reload();
        }
    });
    (*program)->run();
    listener.join();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Weir's data plane of one host.", "weir-host");
    app.require_subcommand(1);
    weir::host::HostOptions options;
    std::string level = "info", format = "text";
    add_run(app, options, level, format);
    app.add_subcommand("doctor", "Look whether this machine can run Weir.");
    CLI11_PARSE(app, argc, argv);
    if (app.got_subcommand("doctor")) return doctor();

    const auto lowest = weir::log::parse_level(level);
    const auto form = weir::log::parse_format(format);
    if (!lowest) return fail(lowest.error());
    if (!form) return fail(form.error());
    weir::log::configure({"host " + options.name, *lowest, *form, {}});

    // Signals come to the listener alone; every thread is made with them blocked.
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    return run(options, signals);
}
