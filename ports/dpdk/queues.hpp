#pragma once
#include <rte_ethdev.h>

#include <array>
#include <atomic>
#include <cstdint>

#include "base/limits.hpp"
#include "base/result.hpp"
#include "dataplane/device.hpp"

// Several queues of one port, each with a worker of its own (dataplane::queue_of).
namespace weir::ports {

// How many a device is to be opened with before it is known; a guest may use fewer.
std::uint32_t wanted_queues(const dataplane::DeviceSpec& spec);
// Of those, what the driver has.
std::uint16_t possible_queues(const dataplane::DeviceSpec& spec, const rte_eth_dev_info& info);

// Adds to `conf` that the device gives a flow's packets to the queue of the worker that owns it, if
// it can. `key` must last as long as `conf`.
using RssKey = std::array<std::uint8_t, 64>;
void ask_for_rss(const rte_eth_dev_info& info, RssKey& key, rte_eth_conf& conf);
// Tells it which queue that is, flow by flow. `conf`: what it was configured with.
Status fill_rss_table(std::uint16_t port, const dataplane::DeviceSpec& spec, std::uint16_t queues,
                      const rte_eth_dev_info& info, rte_eth_conf& conf);

// Which pairs of queues the guest behind a vhost-user port has in use. For the control thread.
class GuestQueues {
public:
    explicit GuestQueues(std::uint16_t port);
    ~GuestQueues();
    GuestQueues(const GuestQueues&) = delete;
    GuestQueues& operator=(const GuestQueues&) = delete;

    // Asks the driver what has changed since.
    void look(bool link_up);
    // Pairs in use from the first one on; at least one.
    std::uint32_t count() const;

private:
    struct Pair {
        bool to_guest = false, from_guest = false;
    };
    static int link_changed(std::uint16_t port, rte_eth_event_type, void* self, void*);

    const std::uint16_t port_;
    std::array<Pair, limits::max_workers> pairs_{};
    std::atomic<std::uint32_t> downs_{0};  // times the guest has left; by DPDK's thread
    std::uint32_t seen_downs_ = 0;
};

}  // namespace weir::ports
