#include "ports/dpdk/queues.hpp"

#include <rte_config.h>
#include <rte_errno.h>
#include <rte_eth_vhost.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "base/log.hpp"
#include "net/rss.hpp"

namespace weir::ports {

using dataplane::DeviceSpec;

std::uint32_t wanted_queues(const DeviceSpec& spec) {
    const std::uint32_t by_kind = spec.kind == "vhost_user" ? spec.workers : 1;
    return std::min({spec.queues == 0 ? by_kind : spec.queues, spec.workers,
                     std::uint32_t{limits::max_workers}});
}

std::uint32_t opened_queues(const DeviceSpec& spec) {
    return spec.kind == "vhost_user" ? std::uint32_t{limits::max_workers} : wanted_queues(spec);
}

std::uint16_t possible_queues(const DeviceSpec& spec, const rte_eth_dev_info& info) {
    const auto most = std::min<std::uint32_t>(info.max_rx_queues, info.max_tx_queues);
    return static_cast<std::uint16_t>(std::clamp(opened_queues(spec), 1u, std::max(most, 1u)));
}

void ask_for_rss(const rte_eth_dev_info& info, RssKey& key, rte_eth_conf& conf) {
    constexpr std::uint64_t flows = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;
    const std::size_t bytes = info.hash_key_size != 0 ? info.hash_key_size : net::rss_key_bytes;
    if ((info.flow_type_rss_offloads & flows) == 0 || bytes > key.size()) return;
    constexpr auto pattern = net::rss_key();
    for (std::size_t i = 0; i < bytes; ++i) key[i] = pattern[i % pattern.size()];
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf = {key.data(), static_cast<std::uint8_t>(bytes),
                                 info.flow_type_rss_offloads & flows};
}

void fill_rss_table(std::uint16_t port, const DeviceSpec& spec, std::uint16_t queues,
                    const rte_eth_dev_info& info, rte_eth_conf& conf) {
    const auto note = [&](int e, const char* what) {
        if (e < 0 && e != -ENOTSUP)
            log::warn("port.rss",
                      {{"device", spec.text()}, {"what", what}, {"why", rte_strerror(-e)}});
    };
    // Some drivers take the key when they are configured, some only now.
    note(rte_eth_dev_rss_hash_update(port, &conf.rx_adv_conf.rss_conf), "key");
    if (info.reta_size == 0) return;
    std::vector<rte_eth_rss_reta_entry64> rows((info.reta_size + RTE_ETH_RETA_GROUP_SIZE - 1u) /
                                               RTE_ETH_RETA_GROUP_SIZE);
    for (std::uint32_t i = 0; i < info.reta_size; ++i) {
        const std::uint32_t owner = i % net::rss_buckets % spec.workers;
        const std::uint32_t queue =
            dataplane::queue_of(owner, spec.polling_worker, spec.workers) % queues;
        rte_eth_rss_reta_entry64& row = rows[i / RTE_ETH_RETA_GROUP_SIZE];
        row.mask |= std::uint64_t{1} << i % RTE_ETH_RETA_GROUP_SIZE;
        row.reta[i % RTE_ETH_RETA_GROUP_SIZE] = static_cast<std::uint16_t>(queue);
    }
    note(rte_eth_dev_rss_reta_update(port, rows.data(), info.reta_size), "table");
}

GuestQueues::~GuestQueues() {
    if (!started_) return;
    // It may be running just now, on a thread of DPDK.
    while (rte_eth_dev_callback_unregister(port_, RTE_ETH_EVENT_INTR_LSC, link_changed, this) ==
           -EAGAIN)
        std::this_thread::yield();
}

Status GuestQueues::start(const DeviceSpec& spec) {
    if (rte_eth_dev_callback_register(port_, RTE_ETH_EVENT_INTR_LSC, link_changed, this) != 0)
        return Error{Errc::io, spec.text(), {}, "does not tell when its guest leaves"};
    started_ = true;
    return {};
}

int GuestQueues::link_changed(std::uint16_t port, rte_eth_event_type, void* self, void*) {
    rte_eth_link link{};
    if (rte_eth_link_get_nowait(port, &link) == 0 && link.link_status == RTE_ETH_LINK_DOWN)
        static_cast<GuestQueues*>(self)->downs_.fetch_add(1, std::memory_order_release);
    return 0;
}

// The driver forgets what a guest used when it leaves, and says nothing of it: all it says
// afterwards is of the next one.
void GuestQueues::look(bool link_up) {
    std::vector<rte_eth_vhost_queue_event> events;
    rte_eth_vhost_queue_event event{};
    while (link_up && rte_eth_vhost_get_queue_event(port_, &event) == 0) events.push_back(event);
    const std::uint32_t downs = downs_.load(std::memory_order_acquire);
    if (!link_up || downs != seen_downs_) pairs_ = {};
    seen_downs_ = downs;
    for (const rte_eth_vhost_queue_event& one : events) {
        if (one.queue_id >= pairs_.size()) continue;
        Pair& pair = pairs_[one.queue_id];
        (one.rx ? pair.from_guest : pair.to_guest) = one.enable;
    }
    add_up();
}

void GuestQueues::add_up() {
    const auto gap = std::find_if(pairs_.begin(), pairs_.end(), [](const Pair& pair) {
        return !pair.to_guest || !pair.from_guest;
    });
    const auto last = std::find_if(pairs_.rbegin(), pairs_.rend(),
                                   [](const Pair& pair) { return pair.from_guest; });
    const auto at_least_one = [](auto n) {
        return std::max(static_cast<std::uint32_t>(n), std::uint32_t{1});
    };
    count_.store(at_least_one(gap - pairs_.begin()), std::memory_order_relaxed);
    end_.store(at_least_one(pairs_.rend() - last), std::memory_order_relaxed);
}

}  // namespace weir::ports
