// An intrusion detection service: Vectorscan's pattern matching behind the SDK. A vendor's engine
// would stand where Detector stands.
#include <cstring>
#include <iostream>
#include <string>

#include "example/program.hpp"
#include "ids/detector.hpp"
#include "weir/node.hpp"

namespace {

using namespace weir;

constexpr const char* usage =
    "weir-ids --interface NAME --signatures FILE [options]\n"
    "  --signatures FILE  lines `1001 drop /evil-[0-9]+/i`: number; alert, drop or reset; "
    "pattern;\n"
    "                     read again on SIGHUP\n"
    "  --alerts FILE      one JSON line per match\n"
    "  --status FILE      counters as JSON, a moment after they change; SIGUSR1 also prints them\n"
    "Flows of a match with drop or reset are ordered dropped; as a tap it orders the same.\n";

struct Settings {
    service::Options node;
    std::string signatures, alerts, status;
};

int fail(const std::string& why) {
    std::cerr << "weir-ids: " << why << "\n";
    return 1;
}

std::string read_settings(int argc, char** argv, Settings& settings) {
    std::string wrong = example::read_command_line(argc, argv,
                                                   {{{"--interface", &settings.node.interface},
                                                     {"--signatures", &settings.signatures},
                                                     {"--alerts", &settings.alerts},
                                                     {"--status", &settings.status}},
                                                    {}});
    if (!wrong.empty()) return wrong;
    if (settings.node.interface.empty()) return "--interface is needed";
    return settings.signatures.empty() ? "--signatures is needed" : "";
}

std::variant<ids::Database, std::string> load(const std::string& path) {
    std::string why_not;
    const auto text = example::read_file(path, why_not);
    if (!text) return why_not;
    auto signatures = ids::parse_signatures(*text);
    if (auto* why = std::get_if<std::string>(&signatures)) return path + ": " + *why;
    auto database = ids::Database::compile(std::get<0>(std::move(signatures)));
    if (auto* why = std::get_if<std::string>(&database)) return path + ": " + *why;
    return database;
}

example::Chores chores(const Settings& settings, const service::Node& node,
                       ids::Detector& detector) {
    const auto reload = [&]() -> std::string {
        auto database = load(settings.signatures);
        if (auto* why = std::get_if<std::string>(&database)) return *why;
        detector.replace(std::get<0>(std::move(database)));
        return "";
    };
    return {"weir-ids", settings.status, [&] { return detector.status(node.counters()); }, reload};
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
    auto database = load(settings.signatures);
    if (auto* why = std::get_if<std::string>(&database)) return fail(*why);
    std::string why_not;
    const auto log = example::open_log(settings.alerts, why_not);
    if (!why_not.empty()) return fail(why_not);
    ids::Detector detector(std::get<0>(std::move(database)), log);

    example::watch_signals();
    auto opened = service::Node::open(settings.node, detector);
    if (auto* error = std::get_if<service::Error>(&opened))
        return fail(error->field + ": " + error->message);
    service::Node& node = *std::get<0>(opened);
    example::serve(node, chores(settings, node, detector));
    return 0;
}
