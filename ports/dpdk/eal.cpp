#include "ports/dpdk/eal.hpp"

#include <rte_config.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <sched.h>
#include <unistd.h>

#include <mutex>
#include <vector>

namespace weir::ports {
namespace {

Error eal_error(std::string message) {
    return {Errc::io, "dpdk", {}, std::move(message) + ": " + rte_strerror(rte_errno)};
}

// The main thread keeps the CPUs it has: "0@(0,1)" instead of DPDK's pinning.
std::string unpinned_cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) return "0";
    std::string cpus;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(cpu, &set)) cpus += (cpus.empty() ? "" : ",") + std::to_string(cpu);
    return "0@(" + cpus + ")";
}

std::vector<std::string> arguments(const EalOptions& options) {
    std::vector<std::string> args = {options.name,
                                     "--no-pci",
                                     "--no-telemetry",
                                     "--file-prefix",
                                     options.name + "-" + std::to_string(getpid()),
                                     "--lcores",
                                     unpinned_cores(),
                                     "--log-level",
                                     "error",
                                     "-m",
                                     std::to_string(options.memory_mb)};
    if (options.huge_pages) {
        args.emplace_back("--in-memory");  // DPDK does not allow it together with --no-huge
        args.emplace_back("--single-file-segments");  // what memif can share without copying
    } else {
        args.emplace_back("--no-huge");
        args.emplace_back("--no-shconf");
    }
    return args;
}

Status start(const EalOptions& options) {
    std::vector<std::string> args = arguments(options);
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0)
        return eal_error("DPDK did not start (needs root or CAP_NET_ADMIN and enough memory)");
    // Made for files that are switched off above; it would outlive the process.
    ::rmdir(rte_eal_get_runtime_dir());
    return {};
}

}  // namespace

Status start_eal(const EalOptions& options) {
    static std::mutex mutex;
    static bool started = false;
    const std::lock_guard lock(mutex);
    if (started) return {};
    const Status status = start(options);
    started = status.ok();
    return status;
}

Status register_eal_thread() {
    if (rte_thread_register() != 0) return eal_error("a worker could not be registered with DPDK");
    return {};
}

void unregister_eal_thread() {
    rte_thread_unregister();
}

}  // namespace weir::ports
