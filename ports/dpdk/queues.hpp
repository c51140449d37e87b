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

// Workers that are to have a queue each; the driver or the guest may have fewer.
std::uint32_t wanted_queues(const dataplane::DeviceSpec& spec);
// Pairs of queues to open a device with, before anything is known of it. A guest chooses by itself
// how many it uses, so its port has all there may be.
std::uint32_t opened_queues(const dataplane::DeviceSpec& spec);
// Of those, what the driver has.
std::uint16_t possible_queues(const dataplane::DeviceSpec& spec, const rte_eth_dev_info& info);

// Adds to `conf` that the device gives a flow's packets to the queue of the worker that owns it, if
// it can. `key` must last as long as `conf`.
using RssKey = std::array<std::uint8_t, 64>;
void ask_for_rss(const rte_eth_dev_info& info, RssKey& key, rte_eth_conf& conf);
// Tells it which queue that is, flow by flow. A device that cannot be told works as well, only
// slower: what arrives at another queue is handed to its owner.
void fill_rss_table(std::uint16_t port, const dataplane::DeviceSpec& spec, std::uint16_t queues,
                    const rte_eth_dev_info& info, rte_eth_conf& conf);

// Which pairs of queues the guest behind a vhost-user port has in use. look() is for the control
// thread, the numbers for everybody.
class GuestQueues {
public:
    explicit GuestQueues(std::uint16_t port) : port_(port) {}
    ~GuestQueues();
    GuestQueues(const GuestQueues&) = delete;
    GuestQueues& operator=(const GuestQueues&) = delete;

    // Listens to the driver; before the device is started.
    Status start(const dataplane::DeviceSpec& spec);
    // Asks the driver what has changed since.
    void look(bool link_up);
    // Pairs in use from the first one on, without a gap; at least one.
    std::uint32_t count() const { return count_.load(std::memory_order_relaxed); }
    // One behind the last pair the guest may send by; at least one.
    std::uint32_t end() const { return end_.load(std::memory_order_relaxed); }

private:
    struct Pair {
        bool to_guest = false, from_guest = false;
    };
    static int link_changed(std::uint16_t port, rte_eth_event_type, void* self, void*);
    void add_up();

    const std::uint16_t port_;
    bool started_ = false;
    std::array<Pair, limits::max_workers> pairs_{};
    std::atomic<std::uint32_t> count_{1}, end_{1};
    std::atomic<std::uint32_t> downs_{0};  // times the guest has left; by DPDK's thread
    std::uint32_t seen_downs_ = 0;
};

}  // namespace weir::ports
