#include "ports/dpdk/queues.hpp"

#include <rte_config.h>
#include <rte_errno.h>
#include <rte_eth_vhost.h>

#include <algorithm>
#include <vector>

#include "net/rss.hpp"

namespace weir::ports {

using dataplane::DeviceSpec;

std::uint32_t wanted_queues(const DeviceSpec& spec) {
    const std::uint32_t by_kind = spec.kind == "vhost_user" ? spec.workers : 1;
    return std::min({spec.queues == 0 ? by_kind : spec.queues, spec.workers,
                     std::uint32_t{limits::max_workers}});
}

std::uint16_t possible_queues(const DeviceSpec& spec, const rte_eth_dev_info& info) {
    const auto most = std::min<std::uint32_t>(info.max_rx_queues, info.max_tx_queues);
    return static_cast<std::uint16_t>(std::clamp(wanted_queues(spec), 1u, std::max(most, 1u)));
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

Status fill_rss_table(std::uint16_t port, const DeviceSpec& spec, std::uint16_t queues,
                      const rte_eth_dev_info& info, rte_eth_conf& conf) {
    const auto refused = [&](int e, const char* what) {
        return Error{Errc::io, spec.text(), {}, std::string(what) + ": " + rte_strerror(-e)};
    };
    // Some drivers take the key when they are configured, some only now.
    if (int e = rte_eth_dev_rss_hash_update(port, &conf.rx_adv_conf.rss_conf);
        e < 0 && e != -ENOTSUP)
        return refused(e, "takes no key to spread flows by");
    if (info.reta_size == 0) return {};
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
    if (int e = rte_eth_dev_rss_reta_update(port, rows.data(), info.reta_size);
        e < 0 && e != -ENOTSUP)
        return refused(e, "takes no table of queues");
    return {};
}

GuestQueues::GuestQueues(std::uint16_t port) : port_(port) {
    rte_eth_dev_callback_register(port, RTE_ETH_EVENT_INTR_LSC, link_changed, this);
}

GuestQueues::~GuestQueues() {
    rte_eth_dev_callback_unregister(port_, RTE_ETH_EVENT_INTR_LSC, link_changed, this);
}

int GuestQueues::link_changed(std::uint16_t port, rte_eth_event_type, void* self, void*) {
    rte_eth_link link{};
    if (rte_eth_link_get_nowait(port, &link) == 0 && link.link_status == RTE_ETH_LINK_DOWN)
        static_cast<GuestQueues*>(self)->downs_.fetch_add(1, std::memory_order_release);
    return 0;
}

// The driver forgets what a guest used when it leaves, and says nothing of it.
void GuestQueues::look(bool link_up) {
    const std::uint32_t downs = downs_.load(std::memory_order_acquire);
    if (!link_up || downs != seen_downs_) pairs_ = {};
    seen_downs_ = downs;
    rte_eth_vhost_queue_event event{};
    while (link_up && rte_eth_vhost_get_queue_event(port_, &event) == 0) {
        if (event.queue_id >= pairs_.size()) continue;
        Pair& pair = pairs_[event.queue_id];
        (event.rx ? pair.from_guest : pair.to_guest) = event.enable;
    }
}

std::uint32_t GuestQueues::count() const {
    const auto end = std::find_if(pairs_.begin(), pairs_.end(), [](const Pair& pair) {
        return !pair.to_guest || !pair.from_guest;
    });
    return std::max(static_cast<std::uint32_t>(end - pairs_.begin()), 1u);
}

}  // namespace weir::ports
