// TCP between kernels through the shell, over every kind of port. The test engine carries what port
// 0 receives to port 1 and back.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "apps/host/shell.hpp"
#include "apps/host/testing/rig.hpp"
#include "apps/host/testing/tcp_transfer.hpp"
#include "dataplane/heap_pool.hpp"
#include "net/builder.hpp"
#include "net/wire.hpp"
#include "ports/dpdk/dpdk_device.hpp"
#include "ports/dpdk/eal.hpp"
#include "ports/dpdk/mbuf_pool.hpp"
#include "ports/kernel/kernel_ports.hpp"
#include "ports/memory/memory_device.hpp"

namespace weir::host {
namespace {

using dataplane::DeviceSpec;
using dataplane::DeviceState;
using ports::testing::NetNs;
using ports::testing::RawSocket;
using testing::eventually;
using testing::TcpTransfer;

constexpr std::size_t megabyte = 1 << 20;
const char* const mac_of_a = "02:00:00:00:00:0a";

ports::MbufPool* packet_pool() {
    static const std::unique_ptr<ports::MbufPool> one = [] {
        ports::EalOptions eal;
        eal.name = "traffic-test";
        if (!ports::start_eal(eal)) return std::unique_ptr<ports::MbufPool>();
        auto made = ports::MbufPool::create("packets", 4096);
        return made ? std::move(*made) : nullptr;
    }();
    return one.get();
}

// A process that is ended with the object, and only that one.
class Process {
public:
    explicit Process(const std::string& command) : pid_(fork()) {
        if (pid_ == 0) {
            // DPDK's sockets survive exec(); a copy of one in here would keep a connection open.
            close_range(3, ~0u, 0);
            prctl(PR_SET_PDEATHSIG, SIGKILL);  // also when the test is killed
            execl("/bin/sh", "sh", "-c", ("exec " + command).c_str(), nullptr);
            _exit(127);
        }
    }
    ~Process() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

private:
    const pid_t pid_;
};

class PortTraffic : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(ports::testing::may_use_namespaces()) << "needs root: ./dev test as root";
        ASSERT_NE(packet_pool(), nullptr);
        host_ = std::make_unique<NetNs>("host");
        a_ = std::make_unique<NetNs>("a");
        b_ = std::make_unique<NetNs>("b");
        host_->enter();
        host_->ip("link add vb type veth peer name eth0 netns " + b_->name());
        b_->ip("link set eth0 up");
        b_->ip("addr add 10.1.0.2/24 dev eth0");
    }
    void TearDown() override {
        pumping_ = false;
        if (pump_.joinable()) pump_.join();
        shell_.reset();
        if (!host_) return;
        EXPECT_EQ(packet_pool()->in_use(), 0u) << "packets were lost";
    }

    Result<std::unique_ptr<dataplane::Device>> open(const DeviceSpec& spec) {
        if (spec.kind == "tap") return ports::open_tap(spec, *packet_pool());
        if (spec.kind == "af_packet") return ports::open_packet_socket(spec, *packet_pool());
        if (spec.kind == "vhost_user") return ports::open_dpdk_device(spec, *packet_pool());
        auto device = std::make_unique<ports::MemoryDevice>(*packet_pool(), spec.mtu);
        memory_device_ = device.get();
        return std::unique_ptr<dataplane::Device>(std::move(device));
    }
    // A shell with the device as port a and the veth to namespace b as port b.
    void start(const std::string& kind, std::uint32_t queues = 0) {
        ShellOptions options;
        options.host_name = "h1";
        options.run_dir = dir_.path();
        options.workers.workers = 2;
        options.workers.started = &ports::register_eal_thread;
        options.workers.stopped = &ports::unregister_eal_thread;
        options.pool = packet_pool();
        options.memory = &memory_;
        options.open_device = [this](const DeviceSpec& spec) { return open(spec); };
        auto started = Shell::start(options);
        ASSERT_TRUE(started.ok()) << started.error().text();
        shell_ = std::move(*started);
        ASSERT_TRUE(shell_->load_engine(TEST_ENGINE).ok());
        PortSpec a{"a", {}}, b{"b", {}};
        a.device.kind = kind;
        a.device.interface = "ga";
        a.device.path = socket();
        a.device.mac = mac_of_a;
        a.device.queues = queues;
        b.device.kind = "af_packet";
        b.device.interface = "vb";
        ASSERT_TRUE(shell_->apply({1, "", {a, b}}).ok());
        ASSERT_EQ(shell_->ports().find("b")->state, PortState::running)
            << shell_->ports().find("b")->reason;
    }
    std::string socket() const { return dir_.path() + "/a.sock"; }

    void give_interface_to_a() {
        host_->ip("link set dev ga netns " + a_->name());
        configure_a();
    }
    void configure_a() {
        a_->ip("link set dev ga up");
        a_->ip("addr add 10.1.0.1/24 dev ga");
    }
    void expect_link(const std::string& port, DeviceState wanted) {
        EXPECT_TRUE(eventually([&] {
            shell_->ports().refresh();
            return shell_->ports().find(port)->link == wanted;
        })) << "link of "
            << port << " is not " << device_state_name(wanted);
    }
    void expect_tcp_both_ways() {
        expect_link("a", DeviceState::up);
        expect_link("b", DeviceState::up);
        EXPECT_EQ(transfer(*a_, *b_, "10.1.0.2"), "");
        EXPECT_EQ(transfer(*b_, *a_, "10.1.0.1"), "");
    }
    // While it runs, links are looked after as in a host: virtio goes up and down a few times
    // first.
    std::string transfer(const NetNs& from, const NetNs& to, const std::string& address) {
        auto trouble = std::async(
            std::launch::async, [&] { return TcpTransfer::run(from, to, address, 8 * megabyte); });
        while (trouble.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready)
            shell_->ports().refresh();
        return trouble.get();
    }
    // Whether a raw frame reaches the far end as it is; a frame behind it shows that it does not.
    static void expect_carried(const NetNs& from, const std::string& out, const NetNs& to,
                               const std::string& in, const RawSocket::Frame& frame, bool carried) {
        RawSocket sender(from, out), receiver(to, in);
        const auto last = ports::testing::plain_frame(0x88b6, 60);
        ASSERT_TRUE(sender.send(frame));
        ASSERT_TRUE(sender.send(last));
        bool seen = false;
        for (;;) {
            const auto got = receiver.receive(10000);
            ASSERT_TRUE(got.has_value()) << "not even the frame behind it came";
            if (*got == last) break;
            seen |= *got == frame;
        }
        EXPECT_EQ(seen, carried) << frame.size() << " bytes from " << out;
    }
    // The kernel at the far end of a memory port: a TAP, pumped by a thread.
    void pump_memory_port() {
        DeviceSpec spec;
        spec.kind = "tap";
        spec.interface = "ga";
        auto tap = ports::open_tap(spec, far_pool_);
        ASSERT_TRUE(tap.ok()) << tap.error().text();
        far_tap_ = std::move(*tap);
        pump_ = std::thread([this] {
            while (pumping_) {
                far_tap_->state();
                net::Packet* p = nullptr;
                while (far_tap_->receive(0, &p, 1) == 1) {
                    memory_device_->inject(p->bytes());
                    far_pool_.release(0, &p, 1);
                }
                while (const auto frame = memory_device_->collect()) {
                    p = far_pool_.make(0, frame->data(), frame->size());
                    if (far_tap_->transmit(0, &p, 1) == 0) far_pool_.release(0, &p, 1);
                }
                std::this_thread::yield();
            }
        });
    }
    // DPDK's virtio-user as the guest's end, in namespace a.
    std::unique_ptr<Process> start_guest(const std::string& options) {
        std::filesystem::remove(socket());
        auto guest = std::make_unique<Process>("ip netns exec " + a_->name() + " " + VIRTIO_GUEST +
                                               " " + socket() + " ga " + mac_of_a + " " + options);
        EXPECT_TRUE(eventually([&] {
            shell_->ports().refresh();
            return std::system(
                       ("ip -n " + a_->name() + " link show dev ga >/dev/null 2>&1").c_str()) == 0;
        }));
        configure_a();
        return guest;
    }

    testing::TestDir dir_;
    HeapMemory memory_;
    dataplane::HeapPool far_pool_{1024};
    std::unique_ptr<NetNs> host_, a_, b_;
    std::unique_ptr<dataplane::Device> far_tap_;
    ports::MemoryDevice* memory_device_ = nullptr;
    std::atomic<bool> pumping_{true};
    std::thread pump_;
    std::unique_ptr<Shell> shell_;
};

TEST_F(PortTraffic, TapAndAfPacketWithAllOffloads) {
    start("tap");
    give_interface_to_a();
    expect_tcp_both_ways();
    const dataplane::PortStats stats = shell_->ports().find("a")->stats();
    EXPECT_GT(stats.rx_bytes, 8 * megabyte);
    EXPECT_EQ(stats.drops[static_cast<std::size_t>(dataplane::PortDrop::super_frame)], 0u);
}

TEST_F(PortTraffic, AfPacketWithoutOffloads) {
    b_->exec("ethtool -K eth0 tx off tso off gso off gro off");
    start("tap");
    give_interface_to_a();
    expect_tcp_both_ways();
}

TEST_F(PortTraffic, MemoryPort) {
    start("memory");
    pump_memory_port();
    give_interface_to_a();
    expect_tcp_both_ways();
}

TEST_F(PortTraffic, ALinkThatFellComesBack) {
    start("tap");
    give_interface_to_a();
    expect_tcp_both_ways();
    b_->ip("link set eth0 down");
    expect_link("b", DeviceState::link_down);
    b_->ip("link set eth0 up");
    a_->ip("link set dev ga down");
    expect_link("a", DeviceState::link_down);
    a_->ip("link set dev ga up");
    expect_tcp_both_ways();
}

TEST_F(PortTraffic, AVethThatWasDeletedAndMadeAnewIsOpenedAgain) {
    start("tap");
    give_interface_to_a();
    host_->ip("link del vb");
    EXPECT_TRUE(eventually([&] {
        shell_->ports().refresh();
        return shell_->ports().find("b")->state == PortState::gone;
    }));
    host_->ip("link add vb type veth peer name eth0 netns " + b_->name());
    b_->ip("link set eth0 up");
    b_->ip("addr add 10.1.0.2/24 dev eth0");
    expect_tcp_both_ways();
}

TEST_F(PortTraffic, VhostUserSurvivesARestartOfTheHost) {
    start("vhost_user");
    const auto guest = start_guest("");
    expect_tcp_both_ways();
    shell_.reset();
    memory_.restart();
    start("vhost_user");
    expect_tcp_both_ways();
}

TEST_F(PortTraffic, VhostUserCompletesPartialChecksums) {
    start("vhost_user");
    const auto guest = start_guest("partial");
    expect_tcp_both_ways();
}

// A guest with two queues has both workers, one with a single queue the first.
TEST_F(PortTraffic, VhostUserFollowsTheQueuesOfItsGuest) {
    start("vhost_user");
    const auto expect_queues = [&](std::uint32_t wanted) {
        EXPECT_TRUE(eventually([&] {
            shell_->ports().refresh();
            return shell_->ports().find("a")->queues == wanted;
        })) << shell_->ports().find("a")->queues;
    };
    auto guest = start_guest("queues=2");
    expect_queues(2);
    expect_tcp_both_ways();
    EXPECT_EQ(shell_->ports().find("a")->queues, 2u);
    for (std::uint32_t worker = 0; worker < 2; ++worker)
        EXPECT_GT(
            shell_->workers().worker(worker).share(shell_->ports().find("a")->index).used_ns.get(),
            0u)
            << worker;
    guest.reset();
    expect_link("a", DeviceState::link_down);
    expect_queues(1);
    guest = start_guest("");
    expect_tcp_both_ways();
    EXPECT_EQ(shell_->ports().find("a")->queues, 1u);
    guest.reset();
    guest = start_guest("queues=2");
    expect_queues(2);
    expect_tcp_both_ways();
}

// A guest may have more queues than workers are to have one. What it sends by them is heard.
TEST_F(PortTraffic, VhostUserHearsAllQueuesOfItsGuest) {
    start("vhost_user", 1);
    auto guest = start_guest("queues=2");
    expect_tcp_both_ways();
    EXPECT_EQ(shell_->ports().find("a")->queues, 1u);
    guest.reset();
    guest = start_guest("queues=5");
    expect_tcp_both_ways();
    shell_.reset();
    memory_.restart();
    start("vhost_user");
    expect_tcp_both_ways();
    EXPECT_EQ(shell_->ports().find("a")->queues, 2u) << "as many as workers";
}

TEST_F(PortTraffic, VhostUserSeesItsGuestGoAndCome) {
    start("vhost_user");
    auto guest = start_guest("");
    expect_tcp_both_ways();
    guest.reset();
    expect_link("a", DeviceState::link_down);
    guest = start_guest("");
    expect_tcp_both_ways();
}

// What is wrong stays wrong: the guest's mistakes are the receiver's to judge.
TEST_F(PortTraffic, VhostUserDoesNotRepairABadChecksum) {
    start("vhost_user");
    const auto guest = start_guest("");
    expect_tcp_both_ways();
    const auto frame = net::FrameBuilder()
                           .ip("10.1.0.1", "10.1.0.2")
                           .tcp(4000, 80, net::tcp_ack)
                           .payload(50)
                           .bad_l4_checksum()
                           .build();
    expect_carried(*a_, "ga", *b_, "eth0", frame, true);
    expect_carried(*b_, "eth0", *a_, "ga", frame, true);
}

TEST_F(PortTraffic, VhostUserMtuEdge) {
    start("vhost_user");
    const auto guest = start_guest("");
    expect_tcp_both_ways();
    using ports::testing::plain_frame;
    a_->ip("link set dev ga mtu 1600");
    b_->ip("link set dev eth0 mtu 1600");
    host_->ip("link set dev vb mtu 1600");
    for (const std::size_t length : {1500, 1501}) {
        expect_carried(*a_, "ga", *b_, "eth0", plain_frame(0x88b5, length), length == 1500);
        expect_carried(*b_, "eth0", *a_, "ga", plain_frame(0x88b5, length), length == 1500);
    }
}

}  // namespace
}  // namespace weir::host
