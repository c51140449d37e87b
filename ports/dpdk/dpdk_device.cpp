#include "ports/dpdk/dpdk_device.hpp"

#include <rte_config.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ether.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <utility>

#include "net/wire.hpp"

namespace weir::ports {
namespace {

using dataplane::DeviceSpec;
using dataplane::DeviceState;
using dataplane::PortDrop;
using net::Packet;

constexpr std::uint16_t rx_descriptors = 128;
constexpr std::uint16_t tx_descriptors = 512;

Error device_error(const DeviceSpec& spec, const std::string& what, int code) {
    return {Errc::io, spec.text(), {}, what + ": " + rte_strerror(code < 0 ? -code : code)};
}

// The driver's name and arguments. Names never repeat within one process.
std::pair<std::string, std::string> driver_of(const DeviceSpec& spec) {
    static std::atomic<unsigned> serial{0};
    const std::string number = std::to_string(serial.fetch_add(1));
    if (spec.kind == "virtio_user")
        return {"net_virtio_user" + number, "path=" + spec.path + ",server=1,queues=1" +
                                                (spec.mac.empty() ? "" : ",mac=" + spec.mac)};
    return {"net_vhost" + number,
            "iface=" + spec.path + ",queues=1,linear-buffer=1,client=" + (spec.client ? "1" : "0")};
}

class DpdkDevice final : public dataplane::Device {
public:
    DpdkDevice(DeviceSpec spec, std::string driver, std::uint16_t port)
        : spec_(std::move(spec)), driver_(std::move(driver)), port_(port) {}
    ~DpdkDevice() override;

    Status start(MbufPool& pool);

    std::uint32_t receive(std::uint32_t worker, Packet** out, std::uint32_t max) override;
    std::uint32_t transmit(std::uint32_t worker, Packet** packets, std::uint32_t count) override;
    DeviceState state() override;
    std::uint32_t mtu() const override { return spec_.mtu; }
    std::string_view kind() const override { return spec_.kind; }
    dataplane::PortStats stats() const override { return tallies_.read(); }

private:
    bool sendable(Packet& p, rte_mbuf*& m);
    bool leave_checksum(const Packet& p, rte_mbuf& m) const;

    const DeviceSpec spec_;
    const std::string driver_;
    const std::uint16_t port_;
    dataplane::PortTallies tallies_;
    std::atomic<bool> link_up_{false};
    bool leaves_checksums_ = false;  // the other end completes TCP checksums
};

DpdkDevice::~DpdkDevice() {
    rte_eth_dev_stop(port_);
    rte_eth_dev_close(port_);
    rte_eal_hotplug_remove("vdev", driver_.c_str());
}

Status DpdkDevice::start(MbufPool& pool) {
    rte_eth_conf conf{};
    leaves_checksums_ = spec_.kind == "virtio_user";
    if (leaves_checksums_) conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
    if (int e = rte_eth_dev_configure(port_, 1, 1, &conf); e < 0)
        return device_error(spec_, "cannot be configured", e);
    if (int e =
            rte_eth_rx_queue_setup(port_, 0, rx_descriptors, SOCKET_ID_ANY, nullptr, pool.handle());
        e < 0)
        return device_error(spec_, "no receive queue", e);
    if (int e = rte_eth_tx_queue_setup(port_, 0, tx_descriptors, SOCKET_ID_ANY, nullptr); e < 0)
        return device_error(spec_, "no transmit queue", e);
    if (int e = rte_eth_dev_start(port_); e < 0) return device_error(spec_, "cannot be started", e);
    return {};
}

std::uint32_t DpdkDevice::receive(std::uint32_t worker, Packet** out, std::uint32_t max) {
    static_cast<void>(worker);
    rte_mbuf* burst[limits::max_burst];
    const auto want = static_cast<std::uint16_t>(std::min<std::size_t>(max, limits::max_burst));
    const std::uint16_t got = rte_eth_rx_burst(port_, 0, burst, want);
    std::uint32_t kept = 0;
    for (std::uint16_t i = 0; i < got; ++i) {
        Packet* p = MbufPool::from_device(burst[i]);
        if (!p || p->length < 14) {
            tallies_.drop(PortDrop::rx_error);
        } else if (!dataplane::fits_mtu(*p, spec_.mtu)) {
            tallies_.drop(PortDrop::too_long);
        } else {
            tallies_.rx_packets.add();
            tallies_.rx_bytes.add(p->length);
            out[kept++] = p;
            continue;
        }
        rte_pktmbuf_free(burst[i]);
    }
    return kept;
}

bool DpdkDevice::sendable(Packet& p, rte_mbuf*& m) {
    PortDrop why = PortDrop::tx_error;
    if (!link_up_.load(std::memory_order_relaxed)) {
        why = PortDrop::link_down;
    } else if (p.flags & net::packet_super_frame) {
        why = PortDrop::super_frame;
    } else if (!dataplane::fits_mtu(p, spec_.mtu)) {
        why = PortDrop::too_long;
    } else if ((m = MbufPool::to_device(p)) != nullptr && leave_checksum(p, *m)) {
        return true;
    }
    tallies_.drop(why);
    rte_pktmbuf_free(MbufPool::mbuf_of(p));
    return false;
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
    static_cast<void>(worker);
    std::uint32_t done = 0;
    while (done < count) {
        rte_mbuf* burst[limits::max_burst];
        std::uint32_t length[limits::max_burst];
        std::uint16_t ready = 0;
        for (; done < count && ready < limits::max_burst; ++done) {
            if (!sendable(*packets[done], burst[ready])) continue;
            length[ready++] = packets[done]->length;
        }
        const std::uint16_t sent = rte_eth_tx_burst(port_, 0, burst, ready);
        tallies_.tx_packets.add(sent);
        tallies_.tx_bytes.add(std::accumulate(length, length + sent, std::uint64_t{0}));
        const auto left =
            static_cast<std::uint32_t>(ready - sent);  // stay the caller's, at the end
        for (std::uint32_t i = 0; i < left; ++i)
            packets[done - left + i] = &MbufPool::packet_of(*burst[sent + i]);
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
    return state;
}

}  // namespace

Result<std::unique_ptr<dataplane::Device>> open_dpdk_device(const DeviceSpec& spec,
                                                            MbufPool& pool) {
    if (spec.kind != "vhost_user" && spec.kind != "virtio_user")
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
