#include "ports/kernel/link.hpp"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

namespace weir::ports {
namespace {

using dataplane::DeviceState;

ifreq request(const std::string& name) {
    ifreq r{};
    std::strncpy(r.ifr_name, name.c_str(), IFNAMSIZ - 1);
    return r;
}

// One ioctl about an interface; false when there is none of that name.
bool ask(unsigned long what, ifreq& r) {
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    const bool ok = ioctl(fd, what, &r) == 0;
    close(fd);
    return ok;
}

DeviceState by_flags(const std::string& name) {
    ifreq r = request(name);
    if (!ask(SIOCGIFFLAGS, r)) return DeviceState::gone;
    const bool running = (r.ifr_flags & IFF_UP) && (r.ifr_flags & IFF_RUNNING);
    return running ? DeviceState::up : DeviceState::link_down;
}

// The name behind a TUN file; empty when it has none or its device was deleted.
std::string tun_name(int fd) {
    ifreq r{};
    return ioctl(fd, TUNGETIFF, &r) == 0 ? std::string(r.ifr_name) : std::string();
}

// State of a TAP wherever it lives now: a short-lived thread visits its network namespace.
DeviceState tap_state(int tap_fd) {
    const std::string name = tun_name(tap_fd);
    if (name.empty()) return DeviceState::gone;
    const int ns = ioctl(tap_fd, TUNGETDEVNETNS, 0);
    if (ns < 0) return DeviceState::up;  // an old kernel does not tell
    DeviceState state = DeviceState::up;
    std::thread visitor([&] {
        if (setns(ns, CLONE_NEWNET) == 0) state = by_flags(name);
    });
    visitor.join();
    close(ns);
    return state;
}

}  // namespace

Result<KernelLink> KernelLink::of_interface(const std::string& name) {
    ifreq index = request(name), mtu = index;
    if (name.size() >= IFNAMSIZ || !ask(SIOCGIFINDEX, index) || !ask(SIOCGIFMTU, mtu))
        return Error{Errc::not_found, "interface " + name, {},
                     "there is no such interface in the host's network namespace"};
    KernelLink link;
    link.name_ = name;
    link.index_ = index.ifr_ifindex;
    link.mtu_ = static_cast<std::uint32_t>(mtu.ifr_mtu);
    return link;
}

Result<KernelLink> KernelLink::of_tap(const std::string& name, int tun_file) {
    Result<KernelLink> link = of_interface(name);
    if (!link) return link;
    link->tap_fd_ = fcntl(tun_file, F_DUPFD_CLOEXEC, 0);
    if (link->tap_fd_ < 0) return Error{Errc::io, "interface " + name, {}, std::strerror(errno)};
    return link;
}

KernelLink::KernelLink(KernelLink&& other) noexcept
    : name_(std::move(other.name_)),
      index_(other.index_),
      mtu_(other.mtu_),
      tap_fd_(std::exchange(other.tap_fd_, -1)) {}

KernelLink::~KernelLink() {
    if (tap_fd_ >= 0) close(tap_fd_);
}

Status KernelLink::bring_up() {
    ifreq r = request(name_);
    if (ask(SIOCGIFFLAGS, r)) {
        r.ifr_flags |= IFF_UP;
        if (ask(SIOCSIFFLAGS, r)) return {};
    }
    return Error{Errc::io, "interface " + name_, {}, "cannot be set up (needs CAP_NET_ADMIN)"};
}

DeviceState KernelLink::state() const {
    if (tap_fd_ >= 0) return tap_state(tap_fd_);
    ifreq r = request(name_);
    if (!ask(SIOCGIFINDEX, r) || r.ifr_ifindex != index_) return DeviceState::gone;
    return by_flags(name_);
}

}  // namespace weir::ports
