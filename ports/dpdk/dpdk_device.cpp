#include "ports/dpdk/dpdk_device.hpp"

#include <rte_config.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ether.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <utility>

#include "base/prefetch.hpp"
#include "net/wire.hpp"
#include "ports/dpdk/mbuf_packet.hpp"
#include "ports/dpdk/queues.hpp"

namespace weir::ports {
namespace {

using dataplane::DeviceSpec;
using dataplane::DeviceState;
using dataplane::PortDrop;
using dataplane::PortTallies;
using net::Packet;

constexpr std::uint16_t rx_descriptors = 128;
constexpr std::uint16_t tx_descriptors = 512;

Error device_error(const DeviceSpec& spec, const std::string& what, int code) {
    return {Errc::io, spec.text(), {}, what + ": " + rte_strerror(code < 0 ? -code : code)};
}

// The driver's name and arguments. Names that are ours never repeat within one process.
std::pair<std::string, std::string> driver_of(const DeviceSpec& spec) {
    static std::atomic<unsigned> serial{0};
    if (spec.kind == "dpdk") {  // the user's name and arguments
        const std::size_t name = std::min(spec.devargs.find(','), spec.devargs.size());
        return {spec.devargs.substr(0, name),
                spec.devargs.substr(std::min(name + 1, spec.devargs.size()))};
    }
    const std::string number = std::to_string(serial.fetch_add(1));
    const std::string queues = ",queues=" + std::to_string(opened_queues(spec));
    if (spec.kind == "virtio_user")
        return {"net_virtio_user" + number, "path=" + spec.path + ",server=1" + queues +
                                                (spec.mac.empty() ? "" : ",mac=" + spec.mac)};
    return {"net_vhost" + number,
            "iface=" + spec.path + queues + ",linear-buffer=1,client=" + (spec.client ? "1" : "0")};
}

class DpdkDevice final : public dataplane::Device {
public:
    DpdkDevice(DeviceSpec spec, std::string driver, std::uint16_t port)
        : spec_(std::move(spec)), driver_(std::move(driver)), port_(port), mtu_(spec_.mtu) {}
    ~DpdkDevice() override;

    Status start(MbufPool& pool);

    std::uint32_t receive(std::uint32_t worker, Packet** out, std::uint32_t max) override;
    std::uint32_t transmit(std::uint32_t worker, Packet** packets, std::uint32_t count) override;
    DeviceState state() override;
    std::uint32_t mtu() const override { return mtu_; }
    std::string_view kind() const override { return spec_.kind; }
    std::uint32_t queues() const override {
        return guest_ ? std::min(guest_->count(), wanted_) : queue_count_;
    }
    dataplane::PortStats stats() const override;

private:
    // What the one worker writes that has this pair of queues as its first.
    struct alignas(64) Queue {
        dataplane::PortTallies tallies;
        std::uint32_t turn = 0;  // which of its pairs is asked next, where it has more than one
    };

    Status configure();
    Status start_queues(MbufPool& pool);
    void settle_mtu();
    std::uint16_t number_of(std::uint32_t worker) const {
        return static_cast<std::uint16_t>(
            dataplane::queue_of(worker, spec_.polling_worker, spec_.workers));
    }
    std::uint16_t next_of(std::uint16_t first);
    std::uint32_t keep_frames(PortTallies& tallies, Packet** packets, std::uint32_t count);
    static void refuse(PortTallies& tallies, Packet& p, PortDrop why);
    bool fit_to_send(PortTallies& tallies, Packet& p);
    bool leave_checksum(const Packet& p, rte_mbuf& m) const;

    const DeviceSpec spec_;
    const std::string driver_;
    const std::uint16_t port_;
    std::uint16_t queue_count_ = 1;
    const std::uint32_t wanted_ = wanted_queues(spec_);  // workers that are to have a queue
    std::array<Queue, limits::max_workers> queues_;
    std::optional<GuestQueues> guest_;  // vhost_user
    std::uint32_t mtu_ = 0;
    std::atomic<bool> link_up_{false};
    bool leaves_checksums_ = false;  // the other end completes TCP checksums
};

DpdkDevice::~DpdkDevice() {
    guest_.reset();
    rte_eth_dev_stop(port_);
    rte_eth_dev_close(port_);
    rte_eal_hotplug_remove("vdev", driver_.c_str());
}

Status DpdkDevice::start(MbufPool& pool) {
    if (Status configured = configure(); !configured) return configured;
    if (Status queues = start_queues(pool); !queues) return queues;
    if (spec_.kind == "dpdk") settle_mtu();
    if (spec_.kind == "vhost_user") {
        guest_.emplace(port_);
        if (Status listening = guest_->start(spec_); !listening) return listening;
    }
    if (int e = rte_eth_dev_start(port_); e < 0) return device_error(spec_, "cannot be started", e);
    // What is for whom is the engine's to say. Not every driver filters at all.
    if (spec_.kind == "dpdk") rte_eth_promiscuous_enable(port_);
    return {};
}

Status DpdkDevice::configure() {
    rte_eth_dev_info info{};
    if (int e = rte_eth_dev_info_get(port_, &info); e < 0)
        return device_error(spec_, "says nothing about itself", e);
    queue_count_ = possible_queues(spec_, info);
    rte_eth_conf conf{};
    RssKey key{};
    if (queue_count_ > 1) ask_for_rss(info, key, conf);
    leaves_checksums_ = spec_.kind == "virtio_user";
    if (leaves_checksums_) conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
    if (int e = rte_eth_dev_configure(port_, queue_count_, queue_count_, &conf); e < 0)
        return device_error(spec_, "cannot be configured", e);
    if (conf.rxmode.mq_mode == RTE_ETH_MQ_RX_RSS)
        fill_rss_table(port_, spec_, queue_count_, info, conf);
    return {};
}

Status DpdkDevice::start_queues(MbufPool& pool) {
    std::uint16_t rx = rx_descriptors, tx = tx_descriptors;
    if (int e = rte_eth_dev_adjust_nb_rx_tx_desc(port_, &rx, &tx); e < 0)
        return device_error(spec_, "takes no queues", e);
    for (std::uint16_t q = 0; q < queue_count_; ++q) {
        if (int e = rte_eth_rx_queue_setup(port_, q, rx, SOCKET_ID_ANY, nullptr, pool.handle());
            e < 0)
            return device_error(spec_, "no receive queue", e);
        if (int e = rte_eth_tx_queue_setup(port_, q, tx, SOCKET_ID_ANY, nullptr); e < 0)
            return device_error(spec_, "no transmit queue", e);
    }
    return {};
}

// 0: whatever the device has. Some drivers have an MTU that cannot be set; ours holds then.
void DpdkDevice::settle_mtu() {
    std::uint16_t mtu = 0;
    if (mtu_ > 0) {
        rte_eth_dev_set_mtu(port_, static_cast<std::uint16_t>(mtu_));
    } else if (rte_eth_dev_get_mtu(port_, &mtu) == 0) {
        mtu_ = mtu;
    }
}

std::uint32_t DpdkDevice::receive(std::uint32_t worker, Packet** out, std::uint32_t max) {
    constexpr std::uint16_t ahead = 4;
    rte_mbuf* burst[limits::max_burst];
    const auto want = static_cast<std::uint16_t>(std::min<std::size_t>(max, limits::max_burst));
    const std::uint16_t queue = number_of(worker);
    PortTallies& tallies = queues_[queue].tallies;
    const std::uint16_t from = guest_ ? next_of(queue) : queue;
    const std::uint16_t got = rte_eth_rx_burst(port_, from, burst, want);
    std::uint32_t made = 0;
    std::uint64_t bytes = 0;
    bool all_fit = true;
    for (std::uint16_t i = 0; i < got; ++i) {
        if (i + ahead < got) {
            prefetch(&packet_of(*burst[i + ahead]));
            prefetch(rte_pktmbuf_mtod(burst[i + ahead], void*));
        }
        Packet* p = from_device(*burst[i]);
        if (!p) [[unlikely]] {
            tallies.drop(PortDrop::rx_error);
            rte_pktmbuf_free(burst[i]);
            continue;
        }
        bytes += p->length;
        all_fit =
            all_fit && p->length >= net::ethernet_bytes && p->length <= mtu_ + net::ethernet_bytes;
        out[made++] = p;
    }
    if (!all_fit) [[unlikely]]
        return keep_frames(tallies, out, made);
    tallies.rx_packets.add(made);
    tallies.rx_bytes.add(bytes);
    return made;
}

// A guest may send by more pairs than workers have one: each of these has the ones behind its own
// as well, as many further on each time as there are such workers.
std::uint16_t DpdkDevice::next_of(std::uint16_t first) {
    const std::uint32_t end = std::min<std::uint32_t>(guest_->end(), queue_count_);
    const std::uint32_t users = queues();
    if (end <= users) [[likely]]
        return first;
    const std::uint32_t pairs = (end - first + users - 1) / users;
    return static_cast<std::uint16_t>(first + users * (queues_[first].turn++ % pairs));
}

// One at a time: frames stay, in order, what is too short or too long goes.
std::uint32_t DpdkDevice::keep_frames(PortTallies& tallies, Packet** packets, std::uint32_t count) {
    std::uint32_t kept = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        Packet* p = packets[i];
        if (p->length < net::ethernet_bytes) {
            refuse(tallies, *p, PortDrop::rx_error);
        } else if (!dataplane::fits_mtu(*p, mtu_)) {
            refuse(tallies, *p, PortDrop::too_long);
        } else {
            tallies.rx_packets.add();
            tallies.rx_bytes.add(p->length);
            packets[kept++] = p;
        }
    }
    return kept;
}

void DpdkDevice::refuse(PortTallies& tallies, Packet& p, PortDrop why) {
    tallies.drop(why);
    rte_pktmbuf_free(mbuf_of(p));
}

// False: dropped and counted.
bool DpdkDevice::fit_to_send(PortTallies& tallies, Packet& p) {
    if (p.flags & net::packet_super_frame) [[unlikely]]
        return refuse(tallies, p, PortDrop::super_frame), false;
    if (!dataplane::fits_mtu(p, mtu_)) return refuse(tallies, p, PortDrop::too_long), false;
    if (!to_device(p) || (p.flags != 0 && !leave_checksum(p, *mbuf_of(p)))) [[unlikely]]
        return refuse(tallies, p, PortDrop::tx_error), false;
    return true;
}

// A partial checksum goes on as one, if the other end takes it.
bool DpdkDevice::leave_checksum(const Packet& p, rte_mbuf& m) const {
    if (!(p.flags & net::packet_partial_checksum)) return true;
    if (!leaves_checksums_ || p.headers.proto != net::proto_tcp) return false;
    m.l2_len = std::uint64_t{p.headers.l3} & 0x7f;
    m.l3_len = static_cast<std::uint64_t>(p.headers.l4 - p.headers.l3) & 0x1ff;
    m.ol_flags = RTE_MBUF_F_TX_TCP_CKSUM |
                 (p.headers.family == net::Family::ip4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6);
    return true;
}

std::uint32_t DpdkDevice::transmit(std::uint32_t worker, Packet** packets, std::uint32_t count) {
    const std::uint16_t queue = number_of(worker);
    PortTallies& tallies = queues_[queue].tallies;
    if (!link_up_.load(std::memory_order_relaxed)) [[unlikely]] {
        for (std::uint32_t i = 0; i < count; ++i) refuse(tallies, *packets[i], PortDrop::link_down);
        return count;
    }
    std::uint32_t done = 0;
    while (done < count) {
        rte_mbuf* burst[limits::max_burst];
        std::uint16_t ready = 0;
        std::uint64_t bytes = 0;
        for (; done < count && ready < limits::max_burst; ++done) {
            Packet& p = *packets[done];
            if (!fit_to_send(tallies, p)) continue;
            bytes += p.length;
            burst[ready++] = mbuf_of(p);
        }
        const std::uint16_t sent = rte_eth_tx_burst(port_, queue, burst, ready);
        const auto left = static_cast<std::uint32_t>(ready - sent);  // stay the caller's
        for (std::uint32_t i = 0; i < left; ++i) {
            Packet& p = packet_of(*burst[sent + i]);
            bytes -= p.length;
            packets[done - left + i] = &p;
        }
        tallies.tx_packets.add(sent);
        tallies.tx_bytes.add(bytes);
        if (left > 0) return done - left;
    }
    return done;
}

DeviceState DpdkDevice::state() {
    rte_eth_link link{};
    if (rte_eth_link_get_nowait(port_, &link) < 0) return DeviceState::gone;
    const DeviceState state =
        link.link_status == RTE_ETH_LINK_UP ? DeviceState::up : DeviceState::link_down;
    link_up_.store(state == DeviceState::up, std::memory_order_relaxed);
    if (guest_) guest_->look(state == DeviceState::up);
    return state;
}

dataplane::PortStats DpdkDevice::stats() const {
    dataplane::PortStats sum;
    for (std::uint16_t q = 0; q < queue_count_; ++q) sum += queues_[q].tallies.read();
    return sum;
}

}  // namespace

Result<std::unique_ptr<dataplane::Device>> open_dpdk_device(const DeviceSpec& spec,
                                                            MbufPool& pool) {
    if (spec.kind != "vhost_user" && spec.kind != "virtio_user" && spec.kind != "dpdk")
        return invalid("device.type", "\"" + spec.kind + "\" is not a device of DPDK");
    const auto [driver, arguments] = driver_of(spec);
    if (int e = rte_eal_hotplug_add("vdev", driver.c_str(), arguments.c_str()); e < 0)
        return device_error(spec, "cannot be opened", e);
    std::uint16_t port = 0;
    if (int e = rte_eth_dev_get_port_by_name(driver.c_str(), &port); e < 0) {
        rte_eal_hotplug_remove("vdev", driver.c_str());
        return device_error(spec, "did not come up", e);
    }
    auto device = std::make_unique<DpdkDevice>(spec, driver, port);
    if (const Status started = device->start(pool); !started) return started.error();
    return std::unique_ptr<dataplane::Device>(std::move(device));
}

}  // namespace weir::ports
