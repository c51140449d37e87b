// An example of a service: counts flows, logs what it saw with its place on the path, drops by a
// rule file. Everything that concerns Weir is in the library; everything here is a vendor's own.
#include <chrono>
#include <cstring>
#include <iostream>
#include <string>

#include "example/inspector.hpp"
#include "example/program.hpp"
#include "weir/node.hpp"

namespace {

using namespace weir;

constexpr const char* usage =
    "weir-example-service --interface NAME [options]\n"
    "  --rules FILE     lines `drop tcp 8080`, `drop udp`, `drop icmp`; with an order for the "
    "flow\n"
    "                   `pass tcp 443 order skip`, `drop tcp 23 order drop`; read again on SIGHUP\n"
    "  --log FILE       one JSON line per direction of a flow\n"
    "  --every-packet   one JSON line per packet instead\n"
    "  --status FILE    counters as JSON, a moment after they change; SIGUSR1 also prints them\n"
    "  --nat IN=OUT     IPv4 address IN leaves as OUT, and back (privilege rewrite_headers)\n"
    "  --decrement-si   lower the service index (the service says can_decrement_si)\n";

struct Settings {
    service::Options node;
    std::string rules, log, status, nat;
    bool every_packet = false;
};

int fail(const std::string& why) {
    std::cerr << "weir-example-service: " << why << "\n";
    return 1;
}

// Empty when the command line is fine, else what is wrong with it.
std::string read_command_line(int argc, char** argv, Settings& settings) {
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        std::string* value = nullptr;
        if (word == "--interface") value = &settings.node.interface;
        if (word == "--rules") value = &settings.rules;
        if (word == "--log") value = &settings.log;
        if (word == "--status") value = &settings.status;
        if (word == "--nat") value = &settings.nat;
        if (value != nullptr) {
            if (i + 1 == argc) return word + " needs a value";
            *value = argv[++i];
        } else if (word == "--every-packet") {
            settings.every_packet = true;
        } else if (word == "--decrement-si") {
            settings.node.decrements_si = true;
        } else {
            return "unknown option " + word;
        }
    }
    return settings.node.interface.empty() ? "--interface is needed" : "";
}

std::variant<std::vector<example::Rule>, std::string> load_rules(const std::string& path) {
    if (path.empty()) return std::vector<example::Rule>{};
    std::string why_not;
    const auto text = example::read_file(path, why_not);
    if (!text) return why_not;
    auto rules = example::parse_rules(*text);
    if (auto* why = std::get_if<std::string>(&rules)) return path + ": " + *why;
    return rules;
}

void run(service::Node& node, example::Inspector& inspector, const Settings& settings) {
    constexpr int poll_ms = 100;
    constexpr auto status_every = std::chrono::milliseconds(100);
    example::StatusFile status_file(settings.status);
    auto status_at = std::chrono::steady_clock::now();
    while (example::stop_wanted == 0) {
        if (const auto error = node.poll(poll_ms)) {
            std::cerr << "weir-example-service: " << error->field << ": " << error->message << "\n";
            break;
        }
        if (example::reload_wanted != 0) {
            example::reload_wanted = 0;
            auto rules = load_rules(settings.rules);
            if (auto* why = std::get_if<std::string>(&rules))
                std::cerr << "weir-example-service: keeping the old rules: " << *why << "\n";
            else inspector.replace_rules(std::get<0>(std::move(rules)));
        }
        if (example::status_wanted != 0) {
            example::status_wanted = 0;
            std::cout << inspector.status(node.counters()) << std::endl;
        }
        if (const auto now = std::chrono::steady_clock::now(); now >= status_at) {
            status_at = now + status_every;
            status_file.write(inspector.status(node.counters()));
        }
    }
    status_file.write(inspector.status(node.counters()));
}

}  // namespace

int main(int argc, char** argv) {
    Settings settings;
    if (argc == 2 && std::strcmp(argv[1], "--help") == 0) {
        std::cout << usage;
        return 0;
    }
    if (const std::string why = read_command_line(argc, argv, settings); !why.empty()) {
        std::cerr << usage;
        return fail(why);
    }
    auto rules = load_rules(settings.rules);
    if (auto* why = std::get_if<std::string>(&rules)) return fail(*why);
    std::string why_not;
    const auto log = example::open_log(settings.log, why_not);
    if (!why_not.empty()) return fail(why_not);
    example::Inspector inspector(std::get<0>(std::move(rules)), log, settings.every_packet);

    const auto translation = example::parse_translation(settings.nat);
    if (!settings.nat.empty() && !translation)
        return fail("--nat: not like 192.168.10.11=192.168.10.99");
    if (translation) inspector.translate_by(*translation);

    example::watch_signals({SIGTERM, SIGINT, SIGUSR1, SIGHUP});
    auto opened = service::Node::open(settings.node, inspector);
    if (auto* error = std::get_if<service::Error>(&opened))
        return fail(error->field + ": " + error->message);
    run(*std::get<std::unique_ptr<service::Node>>(opened), inspector, settings);
    return 0;
}
