// The guest's end of a vhost-user port, without a virtual machine: DPDK's virtio-user on one side,
// a TAP for the kernel of a network namespace on the other.
//
//   virtio-guest SOCKET TAP MAC [partial | queues=N]
//
// It listens on SOCKET, so it outlives the host. `partial`: it leaves TCP checksums to the device,
// as guests do. `queues`: it has so many each way, and sends a burst by one, the next burst by the
// next one.
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "net/checksum.hpp"
#include "net/parse.hpp"
#include "net/wire.hpp"
#include "ports/dpdk/dpdk_device.hpp"
#include "ports/dpdk/eal.hpp"
#include "ports/dpdk/mbuf_pool.hpp"
#include "ports/kernel/kernel_ports.hpp"

namespace {

using weir::dataplane::Device;
using weir::net::Packet;

int fail(const weir::Error& error) {
    std::fprintf(stderr, "virtio-guest: %s\n", error.text().c_str());
    return 1;
}

void leave_checksum(Packet& p) {
    if (weir::net::parse(p) == weir::net::ParseError::none &&
        p.headers.proto == weir::net::proto_tcp)
        weir::net::make_partial_checksum(p);
}

// An end of the guest, and the queue that is used of it.
struct End {
    Device& device;
    std::uint32_t queue = 0;
};

std::uint32_t move(End from, End to, weir::dataplane::PacketPool& pool, bool partial) {
    Packet* burst[weir::limits::max_burst];
    const std::uint32_t n = from.device.receive(from.queue, burst, weir::limits::max_burst);
    for (std::uint32_t i = 0; partial && i < n; ++i) leave_checksum(*burst[i]);
    const std::uint32_t taken = to.device.transmit(to.queue, burst, n);
    pool.release(0, burst + taken, n - taken);
    return n;
}

[[noreturn]] void run(Device& wire, Device& tap, weir::dataplane::PacketPool& pool, bool partial) {
    for (std::uint32_t turn = 0;; ++turn) {
        const std::uint32_t queue = turn % wire.queues();
        const std::uint32_t moved =
            move({wire, queue}, {tap}, pool, false) + move({tap}, {wire, queue}, pool, partial);
        if (turn % 4096 == 0) {
            tap.state();
            wire.state();
        }
        if (moved > 0) continue;
        const timespec pause{0, 50'000};
        nanosleep(&pause, nullptr);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4)
        return fail({weir::Errc::invalid, "usage", "", "SOCKET TAP MAC [partial | queues=N]"});
    weir::ports::EalOptions eal;
    eal.name = "virtio-guest";
    eal.memory_mb = 64;
    if (const auto started = weir::ports::start_eal(eal); !started) return fail(started.error());
    auto pool = weir::ports::MbufPool::create("guest", 2048);
    if (!pool) return fail(pool.error());
    weir::dataplane::DeviceSpec spec;
    spec.kind = "tap";
    spec.interface = argv[2];
    spec.mac = argv[3];
    auto tap = weir::ports::open_tap(spec, **pool);
    if (!tap) return fail(tap.error());
    spec.kind = "virtio_user";
    spec.path = argv[1];
    const std::string_view how = argc > 4 ? argv[4] : "";
    constexpr std::string_view queues = "queues=";
    spec.queues = spec.workers =
        how.starts_with(queues) ? static_cast<std::uint32_t>(std::atoi(argv[4] + queues.size()))
                                : 1;
    auto wire = weir::ports::open_dpdk_device(spec, **pool);
    if (!wire) return fail(wire.error());
    std::printf("ready\n");
    std::fflush(stdout);
    run(**wire, **tap, **pool, how == "partial");
}
