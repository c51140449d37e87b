#include "ports/kernel/link.hpp"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
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

// One ioctl about an interface in the namespace of the socket `asker`; false when there is none.
bool ask(int asker, unsigned long what, ifreq& r) {
    return ioctl(asker, what, &r) == 0;
}

DeviceState by_flags(int asker, const std::string& name) {
    ifreq r = request(name);
    if (!ask(asker, SIOCGIFFLAGS, r)) return DeviceState::gone;
    const bool running = (r.ifr_flags & IFF_UP) && (r.ifr_flags & IFF_RUNNING);
    return running ? DeviceState::up : DeviceState::link_down;
}

// The name behind a TUN file; empty when it has none or its device was deleted.
std::string tun_name(int fd) {
    ifreq r{};
    return ioctl(fd, TUNGETIFF, &r) == 0 ? std::string(r.ifr_name) : std::string();
}

// A socket in the network namespace `ns`: a short-lived thread goes there to make it.
int socket_inside(int ns) {
    int made = -1;
    std::thread visitor([&] {
        if (setns(ns, CLONE_NEWNET) == 0) made = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    });
    visitor.join();
    return made;
}

}  // namespace

Result<KernelLink> KernelLink::of_interface(const std::string& name) {
    KernelLink link;
    link.asker_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq index = request(name), mtu = index;
    if (name.size() >= IFNAMSIZ || !ask(link.asker_, SIOCGIFINDEX, index) ||
        !ask(link.asker_, SIOCGIFMTU, mtu))
        return Error{Errc::not_found,
                     "interface " + name,
                     {},
                     "there is no such interface in the host's network namespace"};
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
      tap_fd_(std::exchange(other.tap_fd_, -1)),
      asker_(std::exchange(other.asker_, -1)),
      asker_place_(other.asker_place_) {}

KernelLink::~KernelLink() {
    if (tap_fd_ >= 0) close(tap_fd_);
    if (asker_ >= 0) close(asker_);
}

Status KernelLink::bring_up() {
    ifreq r = request(name_);
    if (ask(asker_, SIOCGIFFLAGS, r)) {
        r.ifr_flags |= IFF_UP;
        if (ask(asker_, SIOCSIFFLAGS, r)) return {};
    }
    return Error{Errc::io, "interface " + name_, {}, "cannot be set up (needs CAP_NET_ADMIN)"};
}

bool KernelLink::has_queueing_discipline() const {
    const int route = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct {
        nlmsghdr header;
        ifinfomsg which;
    } question{};
    question.header.nlmsg_len = sizeof question;
    question.header.nlmsg_type = RTM_GETLINK;
    question.header.nlmsg_flags = NLM_F_REQUEST;
    question.which.ifi_index = index_;
    alignas(nlmsghdr) char answer[16384];
    ssize_t n = -1;
    if (send(route, &question, sizeof question, 0) == sizeof question)
        n = recv(route, answer, sizeof answer, 0);
    if (route >= 0) close(route);
    const auto* message = reinterpret_cast<const nlmsghdr*>(answer);
    if (n < 0 || !NLMSG_OK(message, static_cast<std::size_t>(n)) ||
        message->nlmsg_type != RTM_NEWLINK)
        return true;
    auto left = static_cast<unsigned>(IFLA_PAYLOAD(message));
    for (auto* a = IFLA_RTA(static_cast<ifinfomsg*>(NLMSG_DATA(message))); RTA_OK(a, left);
         a = RTA_NEXT(a, left))
        if (a->rta_type == IFLA_QDISC)
            return std::string_view(static_cast<const char*>(RTA_DATA(a))) != "noqueue";
    return true;
}

// A TAP may have moved: its own file knows where to.
DeviceState KernelLink::tap_state() const {
    const std::string name = tun_name(tap_fd_);
    if (name.empty()) return DeviceState::gone;
    const int ns = ioctl(tap_fd_, TUNGETDEVNETNS, 0);
    if (ns < 0) return DeviceState::up;  // a kernel before 5.2 does not tell
    struct stat identity {};
    fstat(ns, &identity);
    if (asker_ < 0 || identity.st_ino != asker_place_) {
        if (asker_ >= 0) close(asker_);
        asker_ = socket_inside(ns);
        asker_place_ = identity.st_ino;
    }
    close(ns);
    return asker_ < 0 ? DeviceState::up : by_flags(asker_, name);
}

DeviceState KernelLink::state() const {
    if (tap_fd_ >= 0) return tap_state();
    ifreq r = request(name_);
    if (!ask(asker_, SIOCGIFINDEX, r) || r.ifr_ifindex != index_) return DeviceState::gone;
    return by_flags(asker_, name_);
}

}  // namespace weir::ports
