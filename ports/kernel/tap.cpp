#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "net/address.hpp"
#include "ports/kernel/kernel_device.hpp"
#include "ports/kernel/kernel_ports.hpp"

namespace weir::ports {
namespace {

using dataplane::DeviceSpec;
using net::Packet;

Error tap_error(const DeviceSpec& spec, const char* what) {
    return {Errc::io, spec.text(), {}, std::string(what) + ": " + std::strerror(errno)};
}

class Tap final : public KernelDevice {
public:
    Tap(DeviceSpec spec, dataplane::PacketPool& pool, KernelLink link, int file, Alarm alarm)
        : KernelDevice(std::move(spec), pool, std::move(link), file, std::move(alarm)) {}

private:
    std::uint32_t fetch(std::array<Slot, batch>& slots) override;
    std::uint32_t put(Packet* const* packets, std::uint32_t count) override;
};

std::uint32_t Tap::fetch(std::array<Slot, batch>& slots) {
    std::uint32_t got = 0;
    for (; got < batch && slots[got].packet; ++got) {
        Slot& slot = slots[got];
        const iovec parts[3] = {{&slot.frame.todo, sizeof slot.frame.todo},
                                {slot.packet->data, slot.packet->tailroom},
                                {slot.spill, spill_bytes}};
        const ssize_t n = readv(file_, parts, 3);
        if (n < static_cast<ssize_t>(sizeof slot.frame.todo)) break;
        slot.frame.length =
            static_cast<std::uint32_t>(n) - static_cast<std::uint32_t>(sizeof slot.frame.todo);
        slot.frame.has_tag = false;  // TAPs leave tags in the frame
    }
    return got;
}

std::uint32_t Tap::put(Packet* const* packets, std::uint32_t count) {
    Todo nothing_to_do;
    for (std::uint32_t i = 0; i < count; ++i) {
        const iovec parts[2] = {{&nothing_to_do, sizeof nothing_to_do},
                                {packets[i]->data, packets[i]->length}};
        if (writev(file_, parts, 2) < 0) return i;
    }
    return count;
}

// A TAP whose reader takes frames with work left to do, so that the guest keeps its offloads.
Status make_tap(int file, const DeviceSpec& spec) {
    ifreq request{};
    std::strncpy(request.ifr_name, spec.interface.c_str(), IFNAMSIZ - 1);
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    if (ioctl(file, TUNSETIFF, &request) != 0)
        return tap_error(spec, "cannot be made (is the name in use? CAP_NET_ADMIN?)");
    const int header = sizeof(Todo);
    constexpr unsigned long offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    if (ioctl(file, TUNSETVNETHDRSZ, &header) != 0 || ioctl(file, TUNSETOFFLOAD, offloads) != 0)
        return tap_error(spec, "cannot be set up");
    return {};
}

Status set_address(const DeviceSpec& spec) {
    if (spec.mac.empty()) return {};
    const Result<net::Mac> mac = net::Mac::parse(spec.mac);
    if (!mac) return mac.error();
    ifreq request{};
    std::strncpy(request.ifr_name, spec.interface.c_str(), IFNAMSIZ - 1);
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    mac->store(reinterpret_cast<std::uint8_t*>(request.ifr_hwaddr.sa_data));
    const int asker = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool ok = ioctl(asker, SIOCSIFHWADDR, &request) == 0;
    const Error error = tap_error(spec, "its Ethernet address cannot be set");
    close(asker);
    return ok ? Status() : Status(error);
}

Status set_mtu(const DeviceSpec& spec) {
    ifreq request{};
    std::strncpy(request.ifr_name, spec.interface.c_str(), IFNAMSIZ - 1);
    request.ifr_mtu = static_cast<int>(spec.mtu);
    const int asker = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool ok = ioctl(asker, SIOCSIFMTU, &request) == 0;
    const Error error = tap_error(spec, "its MTU cannot be set");
    close(asker);
    return ok ? Status() : Status(error);
}

Result<KernelLink> set_up(int file, const DeviceSpec& spec) {
    if (const Status made = make_tap(file, spec); !made) return made.error();
    if (const Status status = set_address(spec); !status) return status.error();
    if (const Status status = set_mtu(spec); !status) return status.error();
    Result<KernelLink> link = KernelLink::of_tap(spec.interface, file);
    if (!link) return link;
    if (const Status up = link->bring_up(); !up) return up.error();
    return link;
}

}  // namespace

Result<std::unique_ptr<dataplane::Device>> open_tap(DeviceSpec spec, dataplane::PacketPool& pool) {
    if (spec.mtu == 0) spec.mtu = 1500;
    if (spec.interface.empty() || spec.interface.size() >= IFNAMSIZ)
        return invalid("device.interface", "needs 1 to 15 characters");
    Result<Alarm> alarm = Alarm::make(spec.text());
    if (!alarm) return alarm.error();
    const int file = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return tap_error(spec, "/dev/net/tun cannot be opened");
    Result<KernelLink> link = set_up(file, spec);
    if (!link) {
        close(file);
        return link.error();
    }
    return std::unique_ptr<dataplane::Device>(
        std::make_unique<Tap>(spec, pool, std::move(*link), file, std::move(*alarm)));
}

}  // namespace weir::ports
