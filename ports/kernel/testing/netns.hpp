#pragma once
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

// Network namespaces and raw frames for tests that need the kernel at the other end.
namespace weir::ports::testing {

inline bool may_use_namespaces() {
    return geteuid() == 0;
}

// Runs a shell command; throws with its text when it fails.
inline void run(const std::string& command) {
    if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

// A namespace of its own for one test, with IPv6 chatter switched off.
class NetNs {
public:
    explicit NetNs(const std::string& role)
        : name_("weir-t" + std::to_string(getpid()) + "-" + role) {
        run("ip netns add " + name_);
        ip("link set lo up");
        exec("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1");
    }
    ~NetNs() { static_cast<void>(std::system(("ip netns del " + name_).c_str())); }
    NetNs(const NetNs&) = delete;
    NetNs& operator=(const NetNs&) = delete;

    const std::string& name() const { return name_; }
    void ip(const std::string& arguments) const { run("ip -n " + name_ + " " + arguments); }
    void exec(const std::string& command) const {
        run("ip netns exec " + name_ + " " + command + " >/dev/null");
    }
    // Moves the calling thread into it.
    void enter() const {
        const int fd = open(("/var/run/netns/" + name_).c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
            throw std::runtime_error("cannot enter " + name_);
        close(fd);
    }
    // Does something inside, on a thread of its own, and gives back its answer.
    template <class F>
    auto inside(F f) const {
        std::optional<decltype(f())> answer;
        std::thread visitor([&] {
            enter();
            answer.emplace(f());
        });
        visitor.join();
        return std::move(*answer);
    }

private:
    const std::string name_;
};

// Raw frames on an interface of a namespace. Frames it sent itself are not received.
class RawSocket {
public:
    using Frame = std::vector<std::uint8_t>;

    RawSocket(const NetNs& ns, const std::string& interface) {
        fd_ =
            ns.inside([] { return socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)); });
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_ALL);
        address.sll_ifindex =
            static_cast<int>(ns.inside([&] { return if_nametoindex(interface.c_str()); }));
        const int on = 1;
        if (fd_ < 0 || address.sll_ifindex == 0 ||
            setsockopt(fd_, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) != 0 ||
            setsockopt(fd_, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0 ||
            bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            throw std::runtime_error("no raw socket on " + interface);
    }
    ~RawSocket() { close(fd_); }
    RawSocket(const RawSocket&) = delete;
    RawSocket& operator=(const RawSocket&) = delete;

    bool send(std::span<const std::uint8_t> frame) {
        return ::send(fd_, frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size());
    }
    // Sends as a guest's kernel with offloads would: `todo` is a struct virtio_net_hdr. From then
    // on this socket can do nothing else.
    bool send_unfinished(std::span<const std::uint8_t> todo, std::span<const std::uint8_t> frame) {
        const int on = 1;
        if (setsockopt(fd_, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) != 0) return false;
        Frame both(todo.begin(), todo.end());
        both.insert(both.end(), frame.begin(), frame.end());
        return send(both);
    }
    // The next frame, its VLAN tag back in place, within the time; nothing otherwise.
    std::optional<Frame> receive(int timeout_ms) {
        pollfd ready{fd_, POLLIN, 0};
        if (poll(&ready, 1, timeout_ms) <= 0) return std::nullopt;
        Frame frame(65536);
        alignas(cmsghdr) char control[256];
        iovec data{frame.data(), frame.size()};
        msghdr message{};
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        const ssize_t n = recvmsg(fd_, &message, 0);
        if (n < 0) return std::nullopt;
        frame.resize(static_cast<std::size_t>(n));
        for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
            if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA) continue;
            tpacket_auxdata aux{};
            std::memcpy(&aux, CMSG_DATA(c), sizeof aux);
            if (!(aux.tp_status & TP_STATUS_VLAN_VALID)) continue;
            const auto high = [](unsigned v) { return static_cast<std::uint8_t>(v >> 8); };
            const auto low = [](unsigned v) { return static_cast<std::uint8_t>(v); };
            const std::uint8_t tag[4] = {high(aux.tp_vlan_tpid), low(aux.tp_vlan_tpid),
                                         high(aux.tp_vlan_tci), low(aux.tp_vlan_tci)};
            frame.insert(frame.begin() + 12, tag, tag + 4);
        }
        return frame;
    }

private:
    int fd_ = -1;
};

// An Ethernet frame of the type with `payload` bytes 0, 1, 2, … behind the header.
inline RawSocket::Frame plain_frame(std::uint16_t type, std::size_t payload) {
    RawSocket::Frame f = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9};
    f.push_back(static_cast<std::uint8_t>(type >> 8));
    f.push_back(static_cast<std::uint8_t>(type));
    for (std::size_t i = 0; i < payload; ++i) f.push_back(static_cast<std::uint8_t>(i));
    return f;
}

// The same frame with VLAN tags, outermost first.
inline RawSocket::Frame tagged(RawSocket::Frame f, std::vector<std::uint16_t> tags) {
    for (std::size_t i = tags.size(); i-- > 0;) {
        const std::uint8_t tag[4] = {0x81, 0, static_cast<std::uint8_t>(tags[i] >> 8),
                                     static_cast<std::uint8_t>(tags[i])};
        f.insert(f.begin() + 12, tag, tag + 4);
    }
    return f;
}

}  // namespace weir::ports::testing
