#include "weir/node.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "weir/test_frames.hpp"

namespace weir::service {
namespace {

struct Passing : Service {
    Verdict on_packet(const PacketView&) override { return Verdict::pass; }
};

Error refusal(const std::string& interface) {
    Passing service;
    auto opened = Node::open({.interface = interface}, service);
    const Error* error = std::get_if<Error>(&opened);
    return error != nullptr ? *error : Error{};
}

TEST(Node, MisuseIsAnErrorThatNamesTheOption) {
    EXPECT_EQ(refusal("").field, "interface");
    EXPECT_EQ(refusal("a-name-that-is-too-long").field, "interface");
    EXPECT_EQ(refusal("no-such-if").field, "interface");
    EXPECT_NE(refusal("no-such-if").message.find("'no-such-if': No such device"), std::string::npos)
        << refusal("no-such-if").message;
}

// Calls poll() from where it must not be called.
struct Reentrant : Service {
    Node* node = nullptr;
    std::unique_ptr<Error> error;
    Verdict on_packet(const PacketView&) override {
        error = node->poll(0);
        return Verdict::drop;
    }
};

// A network namespace of this process's own, whose loopback is the wire.
void enter_empty_network() {
    ASSERT_EQ(unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET), 0);
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    ifreq request{};
    std::snprintf(request.ifr_name, IFNAMSIZ, "lo");
    request.ifr_flags = IFF_UP;
    ASSERT_EQ(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    close(fd);
}

void send_on_loopback(const std::vector<std::uint8_t>& frame) {
    const int fd = socket(AF_PACKET, SOCK_RAW, htons(nsh_ethertype));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_ifindex = static_cast<int>(if_nametoindex("lo"));
    ASSERT_EQ(sendto(fd, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&address),
                     sizeof address),
              static_cast<ssize_t>(frame.size()));
    close(fd);
}

TEST(Node, PollFromInsideTheServiceIsRefused) {
    ASSERT_NO_FATAL_FAILURE(enter_empty_network());
    Reentrant service;
    auto opened = Node::open({.interface = "lo"}, service);
    ASSERT_EQ(opened.index(), 0u) << std::get<Error>(opened).message;
    Node& node = *std::get<std::unique_ptr<Node>>(opened);
    service.node = &node;
    using namespace testing_frames;
    ASSERT_NO_FATAL_FAILURE(send_on_loopback(frame(md2({.si = 1}), tcp_syn())));
    EXPECT_EQ(node.poll(5000), nullptr);
    EXPECT_EQ(node.counters().dropped, 1u);
    ASSERT_NE(service.error, nullptr);
    EXPECT_EQ(service.error->message, "poll() called from inside on_packet()");
}

}  // namespace
}  // namespace weir::service
