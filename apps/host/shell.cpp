#include "apps/host/shell.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"

namespace weir::host {
namespace {

constexpr std::uint32_t host_layout = 1;
constexpr std::uint32_t looks_per_refresh = 4;  // of links, which costs system calls

struct HostRecord {
    std::uint32_t next_instance;
};

Error no_memory(const char* pool) {
    return {Errc::io, "host memory", pool, "cannot be had; is the run directory writable?"};
}

}  // namespace

// The other side of weir_host_vtable; `host` is the Shell.
struct Shell::Calls {
    static Shell& shell(void* host) { return *static_cast<Shell*>(host); }
    static Worker& worker(void* host, std::uint32_t index) {
        return shell(host).workers_->worker(index);
    }
    static void transmit(void* host, std::uint32_t w, std::uint32_t port, Packet** packets,
                         std::uint32_t count) {
        worker(host, w).transmit(port, packets, count);
    }
    static std::uint32_t allocate(void* host, std::uint32_t w, Packet** out, std::uint32_t count) {
        return shell(host).options_.pool->allocate(w, out, count);
    }
    static void release(void* host, std::uint32_t w, Packet** packets, std::uint32_t count) {
        worker(host, w).release(packets, count);
    }
    static void hand_to_worker(void* host, std::uint32_t from, std::uint32_t to, Packet** packets,
                               std::uint32_t count) {
        worker(host, from).hand_to_worker(to, packets, count);
    }
    static void hand_to_engine(void* host, std::uint32_t w, Packet** packets, std::uint32_t count) {
        worker(host, w).hand_to_engine(packets, count);
    }
    static void* pool(void* host, const char* name, std::size_t bytes, std::uint32_t layout,
                      std::uint32_t* adoption) {
        return shell(host).options_.memory->pool(name, bytes, layout, adoption);
    }
    static void event(void* host, const char* json, std::size_t bytes) {
        shell(host).events_.push(json, bytes);
    }
};

Shell::Shell(ShellOptions options) : options_(std::move(options)) {
    vtable_ = {weir_abi_version,       options_.workers.workers, this,
               &Calls::transmit,       &Calls::allocate,         &Calls::release,
               &Calls::hand_to_worker, &Calls::hand_to_engine,   &Calls::pool,
               &Calls::event,          options_.flows_per_worker};
}

Shell::~Shell() {
    workers_->stop();
    engines_.clear();
    workers_.reset();
    ports_.reset();
}

Result<std::unique_ptr<Shell>> Shell::start(ShellOptions options) {
    std::unique_ptr<Shell> shell(new Shell(std::move(options)));
    shell->workers_ = std::make_unique<WorkerGroup>(shell->options_.workers, *shell->options_.pool);
    if (const Status opened = shell->open(); !opened) return opened.error();
    return shell;
}

Status Shell::open() {
    std::uint32_t adoption = 0;
    void* table = options_.memory->pool("shell.ports", PortTable::bytes(),
                                        PortTable::layout_version, &adoption);
    if (!table) return no_memory("shell.ports");
    void* record = options_.memory->pool("shell.host", sizeof(HostRecord), host_layout, &adoption);
    if (!record) return no_memory("shell.host");
    void* stubs = options_.memory->pool("shell.stubs", StubTable::bytes(),
                                        StubTable::layout_version, &adoption);
    if (!stubs) return no_memory("shell.stubs");
    moves_.remember(StubTable(stubs));
    next_instance_ = &static_cast<HostRecord*>(record)->next_instance;
    ports_ = std::make_unique<PortSet>(*workers_, PortTable(table), options_.open_device);
    return workers_->start();
}

Result<LoadedEngine*> Shell::add_engine(const std::string& library) {
    auto engine = LoadedEngine::load(library, options_.run_dir);
    if (!engine) return engine.error();
    if (++*next_instance_ == 0) ++*next_instance_;
    if (const Status made = (*engine)->create(vtable_, options_.host_name, *next_instance_); !made)
        return made.error();
    engines_.push_back(std::move(*engine));
    tell_workers_of_engines();
    log::info("engine.loaded", {{"library", library},
                                {"build", engines_.back()->build_id()},
                                {"instance", engines_.back()->instance()}});
    return engines_.back().get();
}

void Shell::drop_engine(const LoadedEngine* engine) {
    const auto at = std::find_if(engines_.begin(), engines_.end(),
                                 [&](const auto& one) { return one.get() == engine; });
    if (at == engines_.end()) return;
    const std::unique_ptr<LoadedEngine> leaving = std::move(*at);
    engines_.erase(at);
    tell_workers_of_engines();
    workers_->on_all(
        [&](Worker& worker) { leaving->api().leave(leaving->handle(), worker.index()); });
    log::info("engine.unloaded",
              {{"build", leaving->build_id()}, {"instance", leaving->instance()}});
}

void Shell::tell_workers_of_engines() {
    std::vector<EngineRef> refs;
    for (const auto& engine : engines_) refs.push_back({&engine->api(), engine->handle()});
    workers_->on_all([&](Worker& worker) { worker.set_engines(refs); });
}

Status Shell::load_engine(const std::string& library) {
    if (!engines_.empty())
        return Error{Errc::conflict, "engine", {}, "one is loaded already; swap it"};
    const auto engine = add_engine(library);
    if (!engine) return engine.error();
    return {};
}

Status Shell::publish_to(LoadedEngine& engine, const HostConfig& config) {
    TextSink error;
    const std::uint64_t ticket =
        engine.api().publish(engine.handle(), config.canonical.data(), config.canonical.size(),
                             config.revision, error.sink());
    if (ticket == 0) return engine_error(error.text());
    return wait_settled(*workers_, engine, ticket);
}

// Names of the ports that were not there before.
Result<std::vector<std::string>> Shell::open_new_ports(const HostConfig& config) {
    std::vector<std::string> fresh;
    for (const PortSpec& spec : config.ports) {
        if (moves_.has_left(spec.name)) continue;
        if (ports_->find(spec.name)) {
            moves_.confirm(spec.name);
            continue;
        }
        if (const auto added = ports_->add(spec); !added) {
            for (const std::string& name : fresh) ports_->remove(name, false);
            return added.error();
        }
        fresh.push_back(spec.name);
    }
    return fresh;
}

Status Shell::apply(const HostConfig& config) {
    if (engines_.empty()) return Error{Errc::unavailable, "engine", {}, "none is loaded"};
    moves_.believe(config);
    const auto fresh = open_new_ports(config);
    if (!fresh) return fresh.error();
    for (const auto& engine : engines_) {
        if (Status published = publish_to(*engine, config); !published) {
            if (have_config_ && engine != engines_.front())
                log::error("engine.disagrees", {{"build", engine->build_id()}});
            for (const std::string& name : *fresh) ports_->remove(name, false);
            return published;
        }
    }

    std::vector<std::string> unwanted;
    for (const auto& [name, port] : ports_->all()) {
        if (moves_.is_arriving(name)) continue;
        const auto wanted = std::find_if(config.ports.begin(), config.ports.end(),
                                         [&](const PortSpec& spec) { return spec.name == name; });
        if (wanted == config.ports.end() || *wanted != port.spec) unwanted.push_back(name);
    }
    for (const std::string& name : unwanted) {
        const auto changed = std::find_if(config.ports.begin(), config.ports.end(),
                                          [&](const PortSpec& spec) { return spec.name == name; });
        ports_->remove(name, changed != config.ports.end());
        if (changed == config.ports.end()) continue;
        if (const auto added = ports_->add(*changed); !added) return added.error();
    }
    applied_ = config;
    have_config_ = true;
    realise_ports();
    return {};
}

// A port the engine does not take is a state of that port; the snapshot is applied all the same.
void Shell::realise_ports() {
    if (const Status status = ports_->realise_all(*engines_.front()); !status)
        log::error("ports.refused", {{"why", status.error().text()}});
    for (const auto& engine : engines_)  // more than one: a swap that could not be undone
        if (const Status status = ports_->introduce_all(*engine); engines_.size() > 1 && !status)
            log::error("ports.unknown", {{"why", status.error().text()}});
}

void Shell::look_around() {
    if (++looks_ % looks_per_refresh == 0 || !ports_->all_up()) ports_->refresh();
    moves_.look_around(monotonic_ns());
    std::string json;
    while (events_.pop(json)) event(json);
}

void Shell::event(const std::string& json) {
    if (on_event_) on_event_(json);
}

}  // namespace weir::host
