#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "ports/kernel/kernel_device.hpp"
#include "ports/kernel/kernel_ports.hpp"

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

// Everything on the interface, whatever its address; not what others send out of it.
Status set_up(int file, const DeviceSpec& spec, int index) {
    if (!set_option(file, PACKET_VNET_HDR, 1) || !set_option(file, PACKET_AUXDATA, 1) ||
        !set_option(file, PACKET_IGNORE_OUTGOING, 1))
        return socket_error(spec, "the kernel lacks an option of packet sockets");
    // SO_*BUFFORCE needs CAP_NET_ADMIN; without it the system's limit stays.
    for (const int option : {SO_RCVBUFFORCE, SO_SNDBUFFORCE})
        setsockopt(file, SOL_SOCKET, option, &socket_buffer_bytes, sizeof socket_buffer_bytes);
    packet_mreq promiscuous{};
    promiscuous.mr_ifindex = index;
    promiscuous.mr_type = PACKET_MR_PROMISC;
    if (setsockopt(file, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous) != 0)
        return socket_error(spec, "cannot listen to all addresses");
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = index;
    if (bind(file, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        return socket_error(spec, "cannot be bound to the interface");
    return {};
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

class PacketSocket final : public KernelDevice {
public:
    PacketSocket(DeviceSpec spec, dataplane::PacketPool& pool, KernelLink link, int file)
        : KernelDevice(std::move(spec), pool, std::move(link), file) {}

private:
    std::uint32_t fetch(std::array<Slot, batch>& slots) override;
    std::uint32_t put(Packet* const* packets, std::uint32_t count) override;
};

struct alignas(cmsghdr) Control {
    char bytes[CMSG_SPACE(sizeof(tpacket_auxdata))];
};

void read_tag(msghdr& message, KernelFrame& frame) {
    frame.has_tag = false;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA) continue;
        tpacket_auxdata aux;
        std::memcpy(&aux, CMSG_DATA(c), sizeof aux);
        frame.has_tag = aux.tp_status & TP_STATUS_VLAN_VALID;
        frame.tag = aux.tp_vlan_tci;
        frame.tag_type = aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : 0x8100;
    }
}

std::uint32_t PacketSocket::fetch(std::array<Slot, batch>& slots) {
    mmsghdr messages[batch];
    iovec parts[batch][3];
    Control control[batch];
    unsigned n = 0;
    for (; n < batch && slots[n].packet; ++n) {
        Slot& slot = slots[n];
        parts[n][0] = {&slot.frame.todo, sizeof slot.frame.todo};
        parts[n][1] = {slot.packet->data, slot.packet->tailroom};
        parts[n][2] = {slot.spill, spill_bytes};
        messages[n] = {};
        messages[n].msg_hdr.msg_iov = parts[n];
        messages[n].msg_hdr.msg_iovlen = 3;
        messages[n].msg_hdr.msg_control = control[n].bytes;
        messages[n].msg_hdr.msg_controllen = sizeof control[n].bytes;
    }
    const int got = recvmmsg(file_, messages, n, MSG_DONTWAIT, nullptr);
    for (int i = 0; i < got; ++i) {
        KernelFrame& frame = slots[static_cast<std::size_t>(i)].frame;
        const unsigned length = messages[i].msg_len;
        frame.length =
            length < sizeof frame.todo ? 0 : length - static_cast<unsigned>(sizeof frame.todo);
        read_tag(messages[i].msg_hdr, frame);
    }
    return got > 0 ? static_cast<std::uint32_t>(got) : 0;
}

std::uint32_t PacketSocket::put(Packet* const* packets, std::uint32_t count) {
    Todo nothing_to_do;
    mmsghdr messages[batch];
    iovec parts[batch][2];
    for (std::uint32_t i = 0; i < count; ++i) {
        parts[i][0] = {&nothing_to_do, sizeof nothing_to_do};
        parts[i][1] = {packets[i]->data, packets[i]->length};
        messages[i] = {};
        messages[i].msg_hdr.msg_iov = parts[i];
        messages[i].msg_hdr.msg_iovlen = 2;
    }
    const int sent = sendmmsg(file_, messages, count, MSG_DONTWAIT);
    return sent > 0 ? static_cast<std::uint32_t>(sent) : 0;
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
    const int file = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (file < 0) return socket_error(spec, "no packet socket (needs CAP_NET_RAW)");
    if (const Status status = set_up(file, spec, link->index()); !status) {
        close(file);
        return status.error();
    }
    return std::unique_ptr<dataplane::Device>(
        std::make_unique<PacketSocket>(spec, pool, std::move(*link), file));
}

}  // namespace weir::ports
