#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "base/limits.hpp"
#include "base/result.hpp"

namespace weir::host {

struct HostOptions {
    std::string name;
    std::string run_dir;     // on tmpfs: what outlives the process but not the machine
    std::string state_dir;   // what outlives both
    std::string config;      // a file of resources instead of a controller
    std::string controller;  // "IP:PORT"
    std::string cert_dir;    // this host's certificate and its authority's
    std::string engine;      // libweir-engine.so
    std::string socket;      // local HTTP; empty: <run_dir>/host.sock
    std::string metrics;     // "IP:PORT"; empty: none
    std::uint32_t workers = 2;
    std::uint32_t flows = limits::default_flows_per_worker;  // records a worker's table holds
    std::uint32_t packets = 8192;  // of packet memory, each up to a jumbo frame
    bool busy_poll = false;
    bool huge_pages = false;
};

// weir-host: everything one host runs. Comes up, serves until it is told to stop, leaves in order.
class HostProgram {
public:
    static Result<std::unique_ptr<HostProgram>> start(HostOptions options);
    ~HostProgram();

    // Until stop(); the caller's thread becomes the control thread.
    void run();
    void stop();    // from any thread
    void reload();  // reads the file of resources again, from any thread

private:
    struct Core;
    explicit HostProgram(std::unique_ptr<Core> core);
    std::unique_ptr<Core> core_;
};

}  // namespace weir::host
