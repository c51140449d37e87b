// The generator before two network interfaces instead of inside a process: sends what side a and b
// have to send, takes what comes back. For sides that are no user of DPDK, like the kernel itself.
// WEIR_GEN holds the settings; see bench/README.md.
//
//     weir-wire INTERFACE_A INTERFACE_B
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>
#include <x86intrin.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "bench/gen/sink.hpp"
#include "bench/gen/source.hpp"
#include "bench/gen/stand_alone.hpp"

namespace weir::gen {
namespace {

constexpr unsigned burst = 64;
constexpr unsigned room_bytes = 256;  // of the longest frame; imix has no place here

std::uint64_t measure_tsc_hz() {
    using Clock = std::chrono::steady_clock;
    const auto from = Clock::now();
    const std::uint64_t cycles = __rdtsc();
    while (Clock::now() - from < std::chrono::milliseconds(100)) {
    }
    const std::chrono::duration<double> took = Clock::now() - from;
    return static_cast<std::uint64_t>(static_cast<double>(__rdtsc() - cycles) / took.count());
}

// Frames as they are, past the queueing discipline.
int open_socket(const char* interface) {
    const unsigned index = if_nametoindex(interface);
    if (index == 0) fail(std::string("no interface ") + interface);
    const int file = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int one = 1, buffer_bytes = 32 << 20;
    if (file < 0 || setsockopt(file, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) != 0 ||
        setsockopt(file, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one) != 0 ||
        setsockopt(file, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof buffer_bytes) != 0 ||
        setsockopt(file, SOL_SOCKET, SO_SNDBUFFORCE, &buffer_bytes, sizeof buffer_bytes) != 0)
        fail(std::string("no packet socket: ") + std::strerror(errno));
    packet_mreq all{};
    all.mr_ifindex = static_cast<int>(index);
    all.mr_type = PACKET_MR_PROMISC;
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(index);
    if (setsockopt(file, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) != 0 ||
        bind(file, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        fail(std::string(interface) + ": " + std::strerror(errno));
    return file;
}

// Room for a burst of frames and the words the kernel wants about them.
struct Frames {
    Frames() {
        for (unsigned i = 0; i < burst; ++i) {
            parts[i] = {bytes[i].data(), room_bytes};
            messages[i].msg_hdr.msg_iov = &parts[i];
            messages[i].msg_hdr.msg_iovlen = 1;
        }
    }
    std::array<std::array<std::uint8_t, room_bytes>, burst> bytes{};
    std::array<iovec, burst> parts{};
    std::array<mmsghdr, burst> messages{};
};

class Side {
public:
    Side(const Settings& settings, unsigned number, Page& page, Common& common,
         const char* interface)
        : source_(settings, number, page, common),
          sink_(settings, number, page, common.dues[number ^ 1]),
          socket_(open_socket(interface)) {}

    void take() {
        const int came = recvmmsg(socket_, in_.messages.data(), burst, MSG_DONTWAIT, nullptr);
        if (came <= 0) return;
        sink_.begin();
        for (unsigned i = 0; i < static_cast<unsigned>(came); ++i)
            sink_.check(in_.bytes[i].data(), in_.messages[i].msg_len);
        sink_.end();
    }

    void give() {
        if (left_ == next_) fill();
        if (left_ == next_) return;
        const int sent = sendmmsg(socket_, out_.messages.data() + next_, left_ - next_, 0);
        if (sent > 0) next_ += static_cast<unsigned>(sent);
        else if (errno != EAGAIN && errno != ENOBUFS)
            fail(std::string("cannot send: ") + std::strerror(errno));
    }

private:
    void fill() {
        next_ = 0;
        left_ = source_.offer(burst / 2);
        for (unsigned i = 0; i < left_; ++i)
            out_.parts[i].iov_len = source_.write(out_.bytes[i].data());
        if (left_ > 0) source_.end();
        if (const std::uint8_t* answer = sink_.answer_due()) {
            std::memcpy(out_.bytes[left_].data(), answer, Sink::answer_bytes);
            out_.parts[left_++].iov_len = Sink::answer_bytes;
        }
    }

    Source source_;
    Sink sink_;
    int socket_;
    Frames in_, out_;
    unsigned next_ = 0, left_ = 0;  // frames made and not sent yet
};

int run(const char* const* interfaces) {
    const Settings settings = settings_of_environment();
    if (settings.imix) fail("frames of imix are too long");
    end_when_told();
    Page& page = open_page(settings, measure_tsc_hz());
    const auto common = std::make_unique<Common>();
    const auto a = std::make_unique<Side>(settings, 0, page, *common, interfaces[0]);
    const auto b = std::make_unique<Side>(settings, 1, page, *common, interfaces[1]);
    page.attached.set(2);
    page.magic.set(page_magic);
    run_until_ended(*a, *b);
    return 0;
}

}  // namespace
}  // namespace weir::gen

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "weir-wire INTERFACE_A INTERFACE_B\n");
        return 2;
    }
    return weir::gen::run(argv + 1);
}
