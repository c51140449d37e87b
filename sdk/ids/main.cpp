// An intrusion detection service: Vectorscan's pattern matching behind the SDK. A vendor's engine
// would stand where Detector stands.
#include <signal.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

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

volatile sig_atomic_t stop_wanted = 0, signatures_wanted = 0;

void on_signal(int number) {
    (number == SIGHUP ? signatures_wanted : stop_wanted) = 1;
}

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
    std::ifstream in(path);
    if (!in) return path + ": " + std::strerror(errno);
    std::ostringstream text;
    text << in.rdbuf();
    auto signatures = ids::parse_signatures(text.str());
    if (auto* why = std::get_if<std::string>(&signatures)) return path + ": " + *why;
    auto database = ids::Database::compile(std::get<0>(std::move(signatures)));
    if (auto* why = std::get_if<std::string>(&database)) return path + ": " + *why;
    return database;
}

// Whole or not at all, so that readers never see half of it.
void write_status(const std::string& path, const std::string& status, std::string& written) {
    if (path.empty() || status == written) return;
    const std::string draft = path + ".new";
    std::ofstream out(draft, std::ios::trunc);
    out << status << "\n";
    out.close();
    if (out && std::rename(draft.c_str(), path.c_str()) == 0) written = status;
}

void run(service::Node& node, ids::Detector& detector, const Settings& settings) {
    constexpr int poll_ms = 100;
    std::string written;
    while (stop_wanted == 0) {
        if (const auto error = node.poll(poll_ms)) {
            std::cerr << "weir-ids: " << error->field << ": " << error->message << "\n";
            break;
        }
        if (signatures_wanted != 0) {
            signatures_wanted = 0;
            auto database = load(settings.signatures);
            if (auto* why = std::get_if<std::string>(&database))
                std::cerr << "weir-ids: keeping the old signatures: " << *why << "\n";
            else detector.replace(std::get<0>(std::move(database)));
        }
        write_status(settings.status, detector.status(node.counters()), written);
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
    std::ofstream alerts;
    ids::Detector::Log log;
    if (!settings.alerts.empty()) {
        alerts.open(settings.alerts, std::ios::app);
        if (!alerts) return fail(settings.alerts + ": " + std::strerror(errno));
        log = [&alerts](const std::string& line) { alerts << line << std::endl; };
    }
    ids::Detector detector(std::get<0>(std::move(database)), log);

    struct sigaction action {};
    action.sa_handler = on_signal;
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaction(number, &action, nullptr);

    auto opened = service::Node::open(settings.node, detector);
    if (auto* error = std::get_if<service::Error>(&opened))
        return fail(error->field + ": " + error->message);
    run(*std::get<0>(opened), detector, settings);
    return 0;
}
