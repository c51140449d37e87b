#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "apps/controller/controller.hpp"
#include "apps/controller/installation.hpp"
#include "base/log.hpp"

namespace weir::controller {
namespace {

struct Arguments {
    std::string dir = "/var/lib/weir/controller";
    std::string name = "controller";
    std::vector<std::string> addresses;
    std::string role = "host";
    std::string out;
    std::string listen = "0.0.0.0:8443";
    std::string socket = "/run/weir/controller.sock";
    std::string metrics;
    std::string log_level = "info";
    std::string log_format = "text";
    unsigned threads = 2;
};

int fail(const Error& error) {
    std::cerr << "weir-controller: " << error.text() << "\n";
    return 1;
}

int init(const Arguments& arguments) {
    const auto status = create_installation(arguments.dir, arguments.name, arguments.addresses);
    if (!status) return fail(status.error());
    std::cout << "made an installation in " << arguments.dir << "\n"
              << "next: weir-controller issue --dir " << arguments.dir << " host NAME\n"
              << "      weir-controller run --dir " << arguments.dir << "\n";
    return 0;
}

int issue(const Arguments& arguments) {
    const auto role = rest::parse_role(arguments.role);
    if (!role) return fail(role.error());
    const auto where = issue_into(arguments.dir, {*role, arguments.name}, arguments.out);
    if (!where) return fail(where.error());
    std::cout << *where << "\n";
    return 0;
}

Status configure_log(const Arguments& arguments) {
    const auto level = log::parse_level(arguments.log_level);
    if (!level) return level.error();
    const auto format = log::parse_format(arguments.log_format);
    if (!format) return format.error();
    log::configure({"controller", *level, *format, {}});
    return {};
}

// Blocks the signals for every thread to come; wait_for_signal() then takes them.
void block_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    signal(SIGPIPE, SIG_IGN);
}

int wait_for_signal() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    int number = 0;
    sigwait(&set, &number);
    return number;
}

int run(const Arguments& arguments) {
    if (auto status = configure_log(arguments); !status) return fail(status.error());
    auto installation = load_installation(arguments.dir);
    if (!installation) return fail(installation.error());
    ControllerOptions options;
    auto store = cluster::open_sqlite(installation->store_path);
    if (!store) return fail(store.error());
    options.store = std::move(*store);
    options.features = features::all();
    options.token = installation->token;
    options.server.credentials = installation->credentials;
    options.server.threads = arguments.threads;
    using Kind = rest::Target::Kind;
    options.server.endpoints = {{Kind::tls, arguments.listen},
                                {Kind::unix_socket, arguments.socket}};
    if (!arguments.metrics.empty()) {
        options.server.endpoints.push_back({Kind::plain, arguments.metrics});
    }
    block_signals();
    const auto controller = Controller::start(std::move(options));
    if (!controller) return fail(controller.error());
    log::info("controller.ready",
              {{"listen", arguments.listen}, {"socket", arguments.socket}});
    const int number = wait_for_signal();
    log::info("controller.stopping", {{"signal", number}});
    return 0;
}

void add_dir(CLI::App* command, Arguments& arguments) {
    command->add_option("--dir", arguments.dir, "Directory of the installation")
        ->capture_default_str();
}

void describe(CLI::App& app, Arguments& arguments) {
    app.require_subcommand(1);
    app.footer(
        "Examples:\n"
        "  weir-controller init --dir /var/lib/weir/controller\n"
        "  weir-controller issue host h1          # ca.pem cert.pem key.pem for host h1\n"
        "  weir-controller run --listen 192.0.2.1:8443\n");
    auto* make = app.add_subcommand("init", "Make the authority, a certificate and a token");
    add_dir(make, arguments);
    make->add_option("--name", arguments.name, "Name of this controller")->capture_default_str();
    make->add_option("--address", arguments.addresses,
                     "Addresses or DNS names to put into its certificate");
    auto* give = app.add_subcommand("issue", "Issue a certificate to a host or an administrator");
    add_dir(give, arguments);
    give->add_option("role", arguments.role, "host or admin")->required();
    give->add_option("name", arguments.name, "Its name")->required();
    give->add_option("--out", arguments.out, "Where to write it (default: DIR/issued/ROLE-NAME)");
    auto* serve = app.add_subcommand("run", "Serve the API and the hosts");
    add_dir(serve, arguments);
    serve->add_option("--listen", arguments.listen, "IP:PORT for hosts and remote administrators")
        ->capture_default_str();
    serve->add_option("--socket", arguments.socket, "Unix socket for local administrators")
        ->capture_default_str();
    serve->add_option("--metrics", arguments.metrics,
                      "IP:PORT for Prometheus (plain HTTP; keep it off public networks)");
    serve->add_option("--threads", arguments.threads, "Threads that serve")
        ->check(CLI::Range(1, 64))
        ->capture_default_str();
    serve->add_option("--log-level", arguments.log_level, "debug, info, warn or error")
        ->capture_default_str();
    serve->add_option("--log-format", arguments.log_format, "text or json")->capture_default_str();
}

int main_of(int argc, char** argv) {
    CLI::App app("The controller of a Weir installation: API, validation, planning, store.",
                 "weir-controller");
    Arguments arguments;
    describe(app, arguments);
    CLI11_PARSE(app, argc, argv);
    if (app.got_subcommand("init")) return init(arguments);
    if (app.got_subcommand("issue")) return issue(arguments);
    return run(arguments);
}

}  // namespace
}  // namespace weir::controller

int main(int argc, char** argv) { return weir::controller::main_of(argc, argv); }
