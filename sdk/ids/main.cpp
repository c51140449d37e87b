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
    "  --status FILE      counters as JSON, a moment after they change\n"
    "Flows of a match with drop or reset are ordered dropped; as a tap it orders the same.\n";

struct Settings {
    service::Options node;
    std::string signatures, alerts, status;
};

int fail(const std::string& why) {
    std::cerr << "weir-ids: " << why << "\n";
    return 1;
}

// Empty when the command line is fine, else what is wrong with it.
std::string read_command_line(int argc, char** argv, Settings& settings) {
    for (int i = 1; i < argc; i += 2) {
        const std::string word = argv[i];
        std::string* value = nullptr;
        if (word == "--interface") value = &settings.node.interface;
        if (word == "--signatures") value = &settings.signatures;
        if (word == "--alerts") value = &settings.alerts;
        if (word == "--status") value = &settings.status;
        if (value == nullptr) return "unknown option " + word;
        if (i + 1 == argc) return word + " needs a value";
        *value = argv[i + 1];
    }
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

void run(service::Node& node, ids::Detector& detector, const Settings& settings) {
    constexpr int poll_ms = 100;
    example::StatusFile status_file(settings.status);
    while (example::stop_wanted == 0) {
        if (const auto error = node.poll(poll_ms)) {
            std::cerr << "weir-ids: " << error->field << ": " << error->message << "\n";
            break;
        }
        if (example::reload_wanted != 0) {
            example::reload_wanted = 0;
            auto database = load(settings.signatures);
            if (auto* why = std::get_if<std::string>(&database))
                std::cerr << "weir-ids: keeping the old signatures: " << *why << "\n";
            else detector.replace(std::get<0>(std::move(database)));
        }
        status_file.write(detector.status(node.counters()));
    }
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
    auto database = load(settings.signatures);
    if (auto* why = std::get_if<std::string>(&database)) return fail(*why);
    std::string why_not;
    const auto log = example::open_log(settings.alerts, why_not);
    if (!why_not.empty()) return fail(why_not);
    ids::Detector detector(std::get<0>(std::move(database)), log);

    example::watch_signals({SIGTERM, SIGINT, SIGHUP});
    auto opened = service::Node::open(settings.node, detector);
    if (auto* error = std::get_if<service::Error>(&opened))
        return fail(error->field + ": " + error->message);
    run(*std::get<0>(opened), detector, settings);
    return 0;
}
