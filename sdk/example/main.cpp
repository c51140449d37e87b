// An example of a service: counts flows, logs what it saw with its place on the path, drops by a
// rule file. Everything that concerns Weir is in the library; everything here is a vendor's own.
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

std::string read_settings(int argc, char** argv, Settings& settings) {
    std::string wrong = example::read_command_line(
        argc, argv,
        {{{"--interface", &settings.node.interface},
          {"--rules", &settings.rules},
          {"--log", &settings.log},
          {"--status", &settings.status},
          {"--nat", &settings.nat}},
         {{"--every-packet", &settings.every_packet},
          {"--decrement-si", &settings.node.decrements_si}}});
    if (wrong.empty() && settings.node.interface.empty()) wrong = "--interface is needed";
    return wrong;
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

example::Chores chores(const Settings& settings, const service::Node& node,
                       example::Inspector& inspector) {
    const auto reload = [&]() -> std::string {
        auto rules = load_rules(settings.rules);
        if (auto* why = std::get_if<std::string>(&rules)) return *why;
        inspector.replace_rules(std::get<0>(std::move(rules)));
        return "";
    };
    return {"weir-example-service", settings.status,
            [&] { return inspector.status(node.counters()); }, reload};
}

}  // namespace

int main(int argc, char** argv) {
    Settings settings;
    if (argc == 2 && std::strcmp(argv[1], "--help") == 0) {
        std::cout << usage;
        return 0;
    }
    if (const std::string why = read_settings(argc, argv, settings); !why.empty()) {
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

    example::watch_signals();
    auto opened = service::Node::open(settings.node, inspector);
    if (auto* error = std::get_if<service::Error>(&opened))
        return fail(error->field + ": " + error->message);
    service::Node& node = *std::get<0>(opened);
    example::serve(node, chores(settings, node, inspector));
    return 0;
}
