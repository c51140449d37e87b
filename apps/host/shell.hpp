#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/host/engine_loader.hpp"
#include "apps/host/event_queue.hpp"
#include "apps/host/lasting_memory.hpp"
#include "apps/host/port_move.hpp"
#include "apps/host/port_set.hpp"
#include "apps/host/worker_group.hpp"
#include "base/limits.hpp"

namespace weir::host {

struct ShellOptions {
    std::string host_name;
    std::string run_dir;  // engines are copied here
    WorkerOptions workers;
    std::uint32_t flows_per_worker = limits::default_flows_per_worker;
    dataplane::PacketPool* pool = nullptr;
    LastingMemory* memory = nullptr;
    DeviceFactory open_device;
};

// What a host shall be: which ports with which devices, and the words for the engine.
struct HostConfig {
    std::uint64_t revision = 0;
    std::string canonical;  // model/canonical.hpp, of this host's snapshot
    std::vector<PortSpec> ports;
    // Ports of other hosts, with the devices they would have here: they may move.
    std::vector<PortSpec> elsewhere = {};  // by name

    const PortSpec* find_elsewhere(const std::string& name) const {
        const auto at = std::ranges::lower_bound(elsewhere, name, {}, &PortSpec::name);
        return at != elsewhere.end() && at->name == name ? &*at : nullptr;
    }
};

// Owns ports, memory and threads; knows no feature. All methods are for one control thread.
class Shell {
public:
    static Result<std::unique_ptr<Shell>> start(ShellOptions options);
    ~Shell();
    Shell(const Shell&) = delete;
    Shell& operator=(const Shell&) = delete;

    // The first engine; from then on swap_engine().
    Status load_engine(const std::string& library);

    // Opens new devices, publishes, attaches, polls; then closes what is not wanted any more.
    // Refused by the engine: everything stays as it was, and the error names object and field.
    Status apply(const HostConfig& config);

    // Replaces the engine under traffic, port by port. A failure leaves every port with an engine
    // that runs it: those not yet moved with the old one.
    Status swap_engine(const std::string& library);

    // Collects events and looks after links, less often when all are up; about twenty times a
    // second.
    void look_around();

    const HostConfig& applied() const { return applied_; }
    const ShellOptions& options() const { return options_; }
    WorkerGroup& workers() { return *workers_; }
    PortSet& ports() { return *ports_; }
    const std::vector<std::unique_ptr<LoadedEngine>>& engines() const { return engines_; }
    EventQueue& events() { return events_; }
    PortMoves& moves() { return moves_; }
    void event(const std::string& json);  // told to whom on_event() names
    // Called for every event, an engine's or the shell's own (JSON object).
    void on_event(std::function<void(const std::string& json)> handler) {
        on_event_ = std::move(handler);
    }

private:
    struct Calls;  // the functions behind weir_host_vtable
    explicit Shell(ShellOptions options);
    Status open();
    Result<LoadedEngine*> add_engine(const std::string& library);
    void drop_engine(const LoadedEngine* engine);
    void tell_workers_of_engines();
    Status publish_to(LoadedEngine& engine, const HostConfig& config);
    Result<std::vector<std::string>> open_new_ports(const HostConfig& config);
    void realise_ports();
    Status move_port(HostPort& port, LoadedEngine& to);
    Status prepare(LoadedEngine& engine);
    Status transfer(HostPort& port, LoadedEngine& to, const std::string& saved);
    Status take_back(HostPort& port, LoadedEngine& to, const std::string& saved);

    ShellOptions options_;
    weir_host_vtable vtable_{};
    EventQueue events_;
    std::function<void(const std::string&)> on_event_;
    std::unique_ptr<WorkerGroup> workers_;
    std::unique_ptr<PortSet> ports_;
    std::vector<std::unique_ptr<LoadedEngine>> engines_;
    PortMoves moves_{*this};
    HostConfig applied_;
    bool have_config_ = false;
    std::uint32_t looks_ = 0;
    std::uint32_t* next_instance_ = nullptr;
};

}  // namespace weir::host
