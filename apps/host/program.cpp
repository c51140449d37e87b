#include "apps/host/program.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "apps/host/agent_sockets.hpp"
#include "apps/host/control_loop.hpp"
#include "apps/host/controller_link.hpp"
#include "apps/host/host_config.hpp"
#include "apps/host/limit_news.hpp"
#include "apps/host/link_news.hpp"
#include "apps/host/local_server.hpp"
#include "apps/host/queries.hpp"
#include "apps/host/told_files.hpp"
#include "apps/host/vault_memory.hpp"
#include "base/log.hpp"
#include "model/json.hpp"
#include "ports/dpdk/dpdk_device.hpp"
#include "ports/dpdk/eal.hpp"
#include "ports/dpdk/mbuf_pool.hpp"
#include "ports/kernel/kernel_ports.hpp"
#include "ports/pcap/pcap_device.hpp"

namespace weir::host {
namespace {

constexpr std::chrono::milliseconds look_around_interval{50};
constexpr std::uint32_t packet_kilobytes = 11;  // of memory for each packet, all told
constexpr std::uint32_t dpdk_megabytes = 48;    // for everything else

Status make_directory(const std::string& path) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (!error) return {};
    return Error{Errc::io, path, {}, "cannot be made: " + error.message()};
}

// Tells the service manager, if there is one (sd_notify(3)).
void notify(const std::string& text) {
    const char* path = std::getenv("NOTIFY_SOCKET");
    if (!path || !*path) return;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::size_t length = std::min(std::strlen(path), sizeof address.sun_path - 1);
    std::memcpy(address.sun_path, path, length);
    if (address.sun_path[0] == '@') address.sun_path[0] = 0;
    const int file = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (file < 0) return;
    const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
    sendto(file, text.data(), text.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address),
           bytes);
    close(file);
}

// "node-down", "node=n1 node_id=1". What is told again is no news.
void log_event(const std::string& json) {
    const Result<model::Value> event = model::parse_json(json);
    if (!event) return log::warn("host.event", {{"unreadable", json}});
    std::string details;
    for (const auto& [key, value] : event->members()) {
        if (key == "event" || key == "at_ms" || key == "again") continue;
        details += (details.empty() ? "" : " ") + key + "=" +
                   (value.is_text() ? value.as_text() : model::dump_json(value));
    }
    const bool is_news = !(*event)["again"].as_bool();
    log::write(is_news ? log::Level::info : log::Level::debug, "host.event",
               {{"what", (*event)["event"].as_text()}, {"details", details}});
}

}  // namespace

struct HostProgram::Core {
    explicit Core(HostOptions o) : options(std::move(o)), last_good(options.state_dir) {}

    HostOptions options;
    LastGood last_good;
    ControlLoop loop;
    std::unique_ptr<ports::MbufPool> pool;
    std::unique_ptr<VaultMemory> memory;
    std::unique_ptr<Shell> shell;
    LinkNews links;
    LimitNews limits;
    std::unique_ptr<LocalServer> server;
    std::unique_ptr<AgentSockets> agents;
    std::unique_ptr<ToldFiles> files;
    std::unique_ptr<ControllerLink> link;
    model::Snapshot planned;
    bool ran_before = false;         // there is a configuration that ran last
    std::uint64_t lost_by_link = 0;  // events, as counted so far

    Status open();
    Status start_shell();
    Status start_serving();
    Status change(const model::Delta& delta);
    void event(const std::string& json);
    Result<std::unique_ptr<dataplane::Device>> open_device(const dataplane::DeviceSpec& spec);
    Status apply(model::Snapshot snapshot);
    Status load_config();
    bool adopt_lost_flows();
    model::Value answer(const model::Value& request);
    void follow_agents();
    void close();
};

HostProgram::HostProgram(std::unique_ptr<Core> core) : core_(std::move(core)) {}
HostProgram::~HostProgram() {
    core_->close();
}

Result<std::unique_ptr<HostProgram>> HostProgram::start(HostOptions options) {
    auto core = std::make_unique<Core>(std::move(options));
    if (const Status opened = core->open(); !opened) {
        core->close();
        return opened.error();
    }
    return std::unique_ptr<HostProgram>(new HostProgram(std::move(core)));
}

Status HostProgram::Core::open() {
    for (const std::string& dir : {options.run_dir, options.state_dir})
        if (Status made = make_directory(dir); !made) return made;
    auto vault = VaultMemory::open(options.run_dir + "/vault");
    if (!vault) return vault.error();
    memory = std::move(*vault);

    ports::EalOptions eal;
    eal.name = "weir-" + options.name;
    eal.huge_pages = options.huge_pages;
    eal.memory_mb = options.packets * packet_kilobytes / 1024 + dpdk_megabytes;
    if (Status started = ports::start_eal(eal); !started) return started;
    auto made = ports::MbufPool::create("packets", options.packets);
    if (!made) return made.error();
    pool = std::move(*made);

    if (Status started = start_shell(); !started) return started;
    if (Status loaded = load_config(); !loaded) return loaded;
    const bool lost_flows = ran_before && adopt_lost_flows();
    if (Status serving = start_serving(); !serving) return serving;
    if (lost_flows) event(R"({"event":"flows-lost","adopted_for_s":120})");
    return {};
}

// Connections whose records the vault does not have any more go on (spec service-plane DP-11).
// Whether there may be some.
bool HostProgram::Core::adopt_lost_flows() {
    model::Value question = model::Value::object();
    question.set("what", "adopt-lost-flows");
    const model::Value answer = answer_query(*shell, question);
    const model::Value* rows = answer.find("rows");
    const auto adopts = [](const model::Value& row) { return row["adopts"].as_bool(); };
    return rows && std::ranges::any_of(rows->items(), adopts);
}

// What comes in from now on waits for the control thread: nothing is answered before run().
Status HostProgram::Core::start_serving() {
    const auto ask = [this](const model::Value& request) {
        return loop.call([&] { return answer(request); });
    };
    agents = std::make_unique<AgentSockets>(options.run_dir + "/agents", ask);
    files = std::make_unique<ToldFiles>(options.run_dir, std::vector<std::string>{"nodes"});
    follow_agents();
    const std::string socket =
        options.socket.empty() ? options.run_dir + "/host.sock" : options.socket;
    auto served = LocalServer::start(socket, options.metrics, ask);
    if (!served) return served.error();
    server = std::move(*served);
    if (options.controller.empty()) return {};

    LinkDuties duties;
    duties.running = [this] { return loop.call([this] { return planned; }); };
    duties.change = [this](const model::Delta& delta) {
        return loop.call([&] { return change(delta); });
    };
    duties.query = ask;
    auto linked = ControllerLink::start(options.controller, options.cert_dir, options.name,
                                        std::move(duties));
    if (!linked) return linked.error();
    link = std::move(*linked);
    return {};
}

Status HostProgram::Core::change(const model::Delta& delta) {
    Result<model::Snapshot> target = model::apply(registry(), planned, delta);
    if (!target) return target.error();
    target->revision = delta.target_revision;
    return apply(std::move(*target));
}

void HostProgram::Core::event(const std::string& json) {
    log_event(json);
    if (!link) return;
    link->send_event(json);
    const std::uint64_t lost = link->lost_events();
    shell->events().add_lost(lost - std::exchange(lost_by_link, lost));
}

Status HostProgram::Core::start_shell() {
    ShellOptions shell_options;
    shell_options.host_name = options.name;
    shell_options.run_dir = options.run_dir;
    shell_options.workers.workers = options.workers;
    shell_options.flows_per_worker = options.flows;
    shell_options.workers.busy_poll = options.busy_poll;
    shell_options.workers.started = &ports::register_eal_thread;
    shell_options.workers.stopped = &ports::unregister_eal_thread;
    shell_options.pool = pool.get();
    shell_options.memory = memory.get();
    shell_options.open_device = [this](const auto& spec) { return open_device(spec); };
    auto started = Shell::start(std::move(shell_options));
    if (!started) return started.error();
    shell = std::move(*started);
    shell->on_event([this](const std::string& json) { event(json); });
    return shell->load_engine(options.engine);
}

Result<std::unique_ptr<dataplane::Device>> HostProgram::Core::open_device(
    const dataplane::DeviceSpec& spec) {
    if (spec.kind == "tap") return ports::open_tap(spec, *pool);
    if (spec.kind == "af_packet") return ports::open_packet_socket(spec, *pool);
    if (spec.kind == "vhost_user" || spec.kind == "dpdk")
        return ports::open_dpdk_device(spec, *pool);
    if (spec.kind == "pcap") return ports::open_pcap_device(spec, *pool);
    return invalid("device.type", "\"" + spec.kind + "\" is no device weir-host can open");
}

Status HostProgram::Core::apply(model::Snapshot snapshot) {
    if (Status applied = shell->apply(config_of(snapshot, options.name)); !applied) {
        log::error("host.refused",
                   {{"revision", snapshot.revision}, {"why", applied.error().text()}});
        return applied;
    }
    planned = std::move(snapshot);
    if (const Status saved = last_good.save(planned); !saved)
        log::error("host.state", {{"why", saved.error().text()}});
    log::info("host.applied", {{"revision", planned.revision}});
    follow_agents();
    return {};
}

model::Value HostProgram::Core::answer(const model::Value& request) {
    model::Value answer = answer_query(*shell, request);
    if (agents && request["what"].as_text() == "counters") agents->add_counters(answer);
    return answer;
}

// Sockets for those who may speak to what this revision runs, files for those who read of it.
void HostProgram::Core::follow_agents() {
    if (!agents) return;
    model::Value question = model::Value::object();
    question.set("what", "agents");
    agents->follow(answer_query(*shell, question)["rows"]);
    question.set("what", "files");
    const model::Value told = answer_query(*shell, question);
    if (const model::Value* rows = told.find("rows")) files->follow(*rows);
}

// The file if there is one, else (or if it is wrong) what ran last.
Status HostProgram::Core::load_config() {
    Result<model::Snapshot> last = last_good.load();
    ran_before = last.ok();
    if (last) {
        if (const Status applied = apply(std::move(*last)); !applied)
            log::error("host.last_good", {{"why", applied.error().text()}});
    }
    if (options.config.empty()) return {};
    Result<model::Snapshot> read = read_config_file(options.config, options.name);
    if (!read) {
        log::error("config.refused", {{"file", options.config}, {"why", read.error().text()}});
        return planned.revision > 0 ? Status() : Status(read.error());
    }
    read->revision = planned.revision + 1;
    return apply(std::move(*read));
}

void HostProgram::run() {
    Core& core = *core_;
    log::info("host.ready",
              {{"revision", core.planned.revision}, {"workers", core.options.workers}});
    notify("READY=1\nSTATUS=revision " + std::to_string(core.planned.revision));
    core.loop.run(look_around_interval, [&] {
        core.shell->look_around();
        core.files->look(monotonic_ns());
        core.links.look(core.shell->ports().all(), monotonic_ns(),
                        [&](const std::string& json) { core.shell->event(json); });
        core.limits.look(
            monotonic_ns(), [&] { return limit_hits(*core.shell); },
            [&](const std::string& json) { core.shell->event(json); });
    });
    notify("STOPPING=1");
}

// First those who hand work to the control thread, then the thread itself.
void HostProgram::stop() {
    if (core_->link) core_->link->stop();
    core_->agents->stop();
    core_->server->stop();
    core_->loop.stop();
}

void HostProgram::reload() {
    core_->loop.post([this] {
        if (core_->options.config.empty()) return;
        if (const Status loaded = core_->load_config(); !loaded)
            log::error("config.refused", {{"why", loaded.error().text()}});
    });
}

void HostProgram::Core::close() {
    shell.reset();
    if (memory) memory->close();
    pool.reset();
    log::info("host.stopped");
}

}  // namespace weir::host
