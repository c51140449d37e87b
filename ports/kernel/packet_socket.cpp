#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "base/log.hpp"
#include "net/wire.hpp"
#include "ports/kernel/kernel_device.hpp"
#include "ports/kernel/kernel_ports.hpp"
#include "ports/kernel/packet_ring.hpp"
#include "ports/kernel/xdp_sender.hpp"

namespace weir::ports {
namespace {

using dataplane::DeviceSpec;
using net::Packet;

constexpr int socket_buffer_bytes = 8 << 20;

Error socket_error(const DeviceSpec& spec, const char* what) {
    return {Errc::io, spec.text(), {}, std::string(what) + ": " + std::strerror(errno)};
}

bool set_option(int file, int option, int value) {
    return setsockopt(file, SOL_PACKET, option, &value, sizeof value) == 0;
}

// SO_*BUFFORCE needs CAP_NET_ADMIN; without it the system's limit stays.
void make_room(int file, int option) {
    setsockopt(file, SOL_SOCKET, option, &socket_buffer_bytes, sizeof socket_buffer_bytes);
}

// `protocol` 0: nothing is received.
bool bind_to(int file, int index, std::uint16_t protocol) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(protocol);
    address.sll_ifindex = index;
    return bind(file, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

// Everything on the interface, whatever its address; not what others send out of it.
Result<PacketRing> listen(int file, const DeviceSpec& spec, int index) {
    if (!set_option(file, PACKET_VNET_HDR, 1) || !set_option(file, PACKET_IGNORE_OUTGOING, 1))
        return socket_error(spec, "the kernel lacks an option of packet sockets");
    Result<PacketRing> ring = PacketRing::of_socket(file, spec.text());
    if (!ring) return ring;
    make_room(file, SO_RCVBUFFORCE);
    packet_mreq promiscuous{};
    promiscuous.mr_ifindex = index;
    promiscuous.mr_type = PACKET_MR_PROMISC;
    if (setsockopt(file, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous) != 0)
        return socket_error(spec, "cannot listen to all addresses");
    if (!bind_to(file, index, ETH_P_ALL))
        return socket_error(spec, "cannot be bound to the interface");
    return ring;
}

// The host's own IPv6 keeps quiet on an interface that is Weir's; no harm where that is not
// allowed.
void silence_host(const std::string& interface) {
    const std::string path = "/proc/sys/net/ipv6/conf/" + interface + "/disable_ipv6";
    const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file < 0) return;
    static_cast<void>(!write(file, "1", 1));
    close(file);
}

// Closed with the object.
class File {
public:
    explicit File(int number) : number_(number) {}
    File(File&& other) noexcept : number_(other.release()) {}
    File& operator=(File&&) = delete;
    ~File() {
        if (number_ >= 0) close(number_);
    }
    int number() const { return number_; }
    int release() { return std::exchange(number_, -1); }

private:
    int number_;
};

File packet_socket() {
    return File(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

// Frames come by one socket and leave by others: those nobody watches, so they wake nobody with
// every frame they have sent.
class PacketSocket final : public KernelDevice {
public:
    PacketSocket(DeviceSpec spec, dataplane::PacketPool& pool, KernelLink link, File in, File out,
                 std::unique_ptr<XdpSender> fast, Alarm alarm, PacketRing ring)
        : KernelDevice(std::move(spec), pool, std::move(link), in.release(), std::move(alarm)),
          out_(std::move(out)),
          fast_(std::move(fast)),
          ring_(std::move(ring)) {}

private:
    std::uint32_t fetch(std::array<Slot, batch>& slots) override;
    std::uint32_t put(Packet* const* packets, std::uint32_t count) override;
    void look_after() override;
    bool is_fast(const Packet& p) const;
    std::uint32_t put_messages(Packet* const* packets, std::uint32_t count);
    bool take(const PacketRing::View& view, Slot& slot);
    bool take_queued(Slot& slot);
    void ask_for_losses();

    const File out_;
    const std::unique_ptr<XdpSender> fast_;  // there may be none
    PacketRing ring_;
};

std::uint32_t PacketSocket::fetch(std::array<Slot, batch>& slots) {
    if (fast_) fast_->push_on();
    std::uint32_t got = 0;
    PacketRing::View view;
    for (std::uint32_t looks = 0; looks < batch && slots[got].packet && ring_.look(view); ++looks) {
        if (take(view, slots[got])) ++got;
        if (view.losing) [[unlikely]]
            ask_for_losses();
        ring_.pass();
    }
    return got;
}

bool PacketSocket::take(const PacketRing::View& view, Slot& slot) {
    slot.frame = view.frame;
    if (view.queued) [[unlikely]]
        return take_queued(slot);
    if (view.bytes.size() < view.frame.length) [[unlikely]] {  // nor had the queue room for it
        lost(1);
        return false;
    }
    std::memcpy(slot.packet->data, view.bytes.data(),
                std::min<std::size_t>(view.bytes.size(), slot.packet->tailroom));
    return true;
}

bool PacketSocket::take_queued(Slot& slot) {
    iovec parts[3] = {{&slot.frame.todo, sizeof slot.frame.todo},
                      {slot.packet->data, slot.packet->tailroom},
                      {slot.spill, spill_bytes}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 3;
    ssize_t n = recvmsg(file_, &message, MSG_DONTWAIT);
    if (n < 0) n = recvmsg(file_, &message, MSG_DONTWAIT);  // what it said was of a link gone down
    if (n < static_cast<ssize_t>(sizeof slot.frame.todo)) {
        lost(1);
        return false;
    }
    slot.frame.length = static_cast<std::uint32_t>(n - ssize_t{sizeof slot.frame.todo});
    return true;
}

// That the link went down is an error until it is asked for, and calls the socket readable.
void PacketSocket::look_after() {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(file_, SOL_SOCKET, SO_ERROR, &error, &size);
}

// Asking starts the kernel's count anew.
void PacketSocket::ask_for_losses() {
    tpacket_stats counted{};
    socklen_t size = sizeof counted;
    if (getsockopt(file_, SOL_PACKET, PACKET_STATISTICS, &counted, &size) == 0)
        lost(counted.tp_drops);
}

std::uint32_t PacketSocket::put(Packet* const* packets, std::uint32_t count) {
    std::uint32_t at = 0;
    while (at < count) {
        const bool fast = is_fast(*packets[at]);
        std::uint32_t end = at + 1;
        while (end < count && is_fast(*packets[end]) == fast) ++end;
        const std::uint32_t wanted = end - at;
        const std::uint32_t sent =
            fast ? fast_->put(packets + at, wanted) : put_messages(packets + at, wanted);
        at += sent;
        if (sent < wanted) break;
    }
    return at;
}

bool PacketSocket::is_fast(const Packet& p) const {
    return fast_ && fast_->usable() && p.length >= net::ethernet_bytes &&
           p.length <= XdpSender::longest;
}

std::uint32_t PacketSocket::put_messages(Packet* const* packets, std::uint32_t count) {
    mmsghdr messages[batch];
    iovec parts[batch];
    for (std::uint32_t i = 0; i < count; ++i) {
        parts[i] = {packets[i]->data, packets[i]->length};
        messages[i] = {};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    std::uint32_t sent = 0;
    while (sent < count) {  // it says why only if it takes none
        const int n = sendmmsg(out_.number(), messages + sent, count - sent, MSG_DONTWAIT);
        if (n <= 0) break;
        sent += static_cast<std::uint32_t>(n);
    }
    return sent;
}

// Null: it is not to be had, which costs a third of the rate and nothing else.
std::unique_ptr<XdpSender> fast_sender(const DeviceSpec& spec, int interface_index) {
    Result<std::unique_ptr<XdpSender>> sender = XdpSender::open(interface_index);
    if (sender) return std::move(*sender);
    log::warn("port.sends_without_af_xdp",
              {{"device", spec.text()}, {"why", sender.error().text()}});
    return nullptr;
}

}  // namespace

Result<std::unique_ptr<dataplane::Device>> open_packet_socket(DeviceSpec spec,
                                                              dataplane::PacketPool& pool) {
    Result<KernelLink> link = KernelLink::of_interface(spec.interface);
    if (!link) return link.error();
    if (link->mtu() < spec.mtu)
        return Error{Errc::invalid, spec.text(), "mtu",
                     "the interface's MTU is " + std::to_string(link->mtu()) + ", the port needs " +
                         std::to_string(spec.mtu) + ": ip link set " + spec.interface + " mtu " +
                         std::to_string(spec.mtu)};
    constexpr std::uint32_t largest = limits::max_frame_bytes - 22;  // Ethernet and two VLAN tags
    if (spec.mtu == 0) spec.mtu = link->mtu() < largest ? link->mtu() : largest;
    silence_host(spec.interface);
    if (const Status up = link->bring_up(); !up) return up.error();
    File in = packet_socket(), out = packet_socket();
    if (in.number() < 0 || out.number() < 0)
        return socket_error(spec, "no packet socket (needs CAP_NET_RAW)");
    Result<Alarm> alarm = Alarm::make(spec.text());
    if (!alarm) return alarm.error();
    Result<PacketRing> ring = listen(in.number(), spec, link->index());
    if (!ring) return ring.error();
    make_room(out.number(), SO_SNDBUFFORCE);
    if (!bind_to(out.number(), link->index(), 0))
        return socket_error(spec, "cannot be bound to the interface");
    std::unique_ptr<XdpSender> fast =
        link->has_queueing_discipline() ? nullptr : fast_sender(spec, link->index());
    return std::unique_ptr<dataplane::Device>(
        std::make_unique<PacketSocket>(spec, pool, std::move(*link), std::move(in), std::move(out),
                                       std::move(fast), std::move(*alarm), std::move(*ring)));
}

}  // namespace weir::ports
