#include "weir/node.hpp"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace weir::service {

namespace {

constexpr std::size_t max_frame_bytes = 16384;
constexpr int socket_buffer_bytes = 4 << 20;

Error system_error(const char* field, const std::string& what) {
    return {field, what + ": " + std::strerror(errno)};
}

bool passing_trouble(int error) {
    return error == EAGAIN || error == EINTR || error == ENETDOWN || error == ENOBUFS;
}

}  // namespace

std::variant<std::unique_ptr<Node>, Error> Node::open(const Options& options, Service& service) {
    if (options.interface.empty()) return Error{"interface", "is empty: name the interface"};
    if (options.interface.size() >= IFNAMSIZ)
        return Error{"interface", "'" + options.interface + "' is longer than 15 characters"};
    const unsigned index = if_nametoindex(options.interface.c_str());
    if (index == 0) return system_error("interface", "'" + options.interface + "'");

    const int fd =
        ::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(nsh_ethertype));
    if (fd < 0) return system_error("", "AF_PACKET socket (needs CAP_NET_RAW)");
    ifreq request{};
    options.interface.copy(request.ifr_name, IFNAMSIZ - 1);
    const bool known = ::ioctl(fd, SIOCGIFMTU, &request) == 0;
    const std::size_t largest =
        known ? ethernet_bytes + static_cast<std::size_t>(request.ifr_mtu) : Handler::no_limit;
    std::unique_ptr<Node> node(
        new Node(fd, index, Handler(service, options.decrements_si, largest)));

    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(nsh_ethertype);
    address.sll_ifindex = static_cast<int>(index);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return system_error("interface", "bind to '" + options.interface + "'");
    // Larger buffers are welcome, not needed: without the privilege the kernel's limit holds.
    for (const int option : {SO_RCVBUFFORCE, SO_SNDBUFFORCE})
        (void)::setsockopt(fd, SOL_SOCKET, option, &socket_buffer_bytes,
                           sizeof socket_buffer_bytes);
    return node;
}

Node::Node(int socket, unsigned interface, const Handler& handler)
    : socket_(socket), interface_(interface), handler_(handler), buffer_(max_frame_bytes + 12) {}

Node::~Node() {
    ::close(socket_);
}

std::unique_ptr<Error> Node::poll(int timeout_ms) {
    if (polling_)
        return std::make_unique<Error>(Error{"", "poll() called from inside on_packet()"});
    pollfd waiting{socket_, POLLIN, 0};
    if (::poll(&waiting, 1, timeout_ms) <= 0) return nullptr;
    polling_ = true;
    std::unique_ptr<Error> error;
    bool more = true;
    for (int i = 0; i < max_packets_per_poll && more && !error; ++i) error = receive_one(more);
    polling_ = false;
    return error;
}

std::unique_ptr<Error> Node::receive_one(bool& more) {
    const ssize_t size = ::recv(socket_, buffer_.data(), max_frame_bytes, MSG_TRUNC);
    if (size < 0) {
        more = false;
        char name[IF_NAMESIZE];
        const bool still_there = errno != ENETDOWN || if_indextoname(interface_, name) != nullptr;
        if (passing_trouble(errno) && still_there) return nullptr;
        return std::make_unique<Error>(system_error("interface", "receive"));
    }
    // Larger than any frame of a service segment: the cut rest cannot be returned, so nothing is.
    const std::size_t kept =
        static_cast<std::size_t>(size) > max_frame_bytes ? 0 : static_cast<std::size_t>(size);
    const auto out = handler_.handle(buffer_, kept);
    if (auto error = send(out)) return error;
    return send(handler_.message());
}

std::unique_ptr<Error> Node::send(std::span<const std::uint8_t> frame) {
    if (frame.empty() || ::send(socket_, frame.data(), frame.size(), 0) >= 0) return nullptr;
    handler_.count_send_failure();
    if (passing_trouble(errno) || errno == EMSGSIZE) return nullptr;
    return std::make_unique<Error>(system_error("interface", "send"));
}

}  // namespace weir::service
