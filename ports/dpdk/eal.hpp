#pragma once
#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace weir::ports {

// How DPDK is started; once per process.
struct EalOptions {
    std::string name = "weir";      // tells processes of one machine apart
    std::uint32_t memory_mb = 192;  // all of DPDK's memory
    bool huge_pages = false;        // false: ordinary pages, no set-up of the machine needed
};

// Starts DPDK without PCI devices, shared files or its own pinned threads.
Status start_eal(const EalOptions& options);

// Every worker thread calls these around its work, so that packet memory has a cache for it.
Status register_eal_thread();
void unregister_eal_thread();

}  // namespace weir::ports
