#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "apps/host/mailbox.hpp"
#include "apps/host/port_share.hpp"
#include "apps/host/spsc_ring.hpp"
#include "apps/host/waiter.hpp"
#include "base/limits.hpp"
#include "dataplane/abi.hpp"
#include "dataplane/burst.hpp"
#include "dataplane/device.hpp"

namespace weir::host {

using net::Packet;

// Why the shell itself lost a packet; rows of weir_drops_total.
enum class ShellDrop : std::uint8_t {
    tx_full,        // the device's queue had no room
    not_realised,   // for a port that has no device (yet)
    ring_full,      // the other worker does not keep up
    parked_full,    // more packets for a frozen port than can be parked
    delivery_full,  // more packets between engines in one burst than there is room for
    no_owner,       // for a port no engine owns
    count_,
};
inline constexpr std::size_t shell_drop_count = static_cast<std::size_t>(ShellDrop::count_);
constexpr std::string_view shell_drop_name(ShellDrop why) {
    constexpr std::array<std::string_view, shell_drop_count> names = {
        "port.tx_full",       "port.not_realised",    "worker.ring_full",
        "engine.parked_full", "engine.delivery_full", "engine.no_owner"};
    return names[static_cast<std::size_t>(why)];
}

// An engine as a worker calls it.
struct EngineRef {
    const weir_engine_api* api = nullptr;
    weir_engine* handle = nullptr;
    friend bool operator==(const EngineRef&, const EngineRef&) = default;
};

// A port as a worker sees it.
struct PortView {
    dataplane::Device* device = nullptr;  // null: what is sent there is dropped
    EngineRef engine;                     // api null: nobody's
    std::uint32_t sender = 0;  // the worker by whose queue we send; ourselves: we have a queue
    bool polled = false;       // by those that have one
    bool frozen = false;       // not polled, and what arrives for it is parked
    bool shared = false;  // everybody's packets: what is refused there is no fault of the port's
};

struct WorkerTallies {
    dataplane::Tally loops, busy_loops, busy_ns, idle_ns, received, handed_over;
    std::array<dataplane::Tally, shell_drop_count> drops;
};

// One worker: receives from its ports, runs engines, sends. Shares nothing but rings and its
// mailbox. Everything except post() and tallies() belongs to the worker's own thread.
class Worker {
public:
    static constexpr std::size_t parked_capacity = 4096;

    // The way to another worker; nulls at our own place.
    struct Peer {
        SpscRing* from = nullptr;
        SpscRing* to = nullptr;
        Waiter* waiter = nullptr;
    };

    // Nanoseconds that pass while a burst is handled; a turn's own time may be virtual.
    using Clock = std::uint64_t (*)();

    Worker(std::uint32_t index, dataplane::PacketPool& pool, Waiter& waiter,
           std::vector<Peer> peers, Clock clock);
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    // One round over mailbox, rings and ports; how many packets moved.
    std::uint32_t turn(std::uint64_t now_ns);

    // Sleeps until there may be something to do, or until the next tick.
    void rest();

    // Runs `work` between two bursts. From any thread.
    void post(std::function<void()> work) {
        mailbox_.post(std::move(work));
        waiter_.wake();
    }
    void run_mailbox() { mailbox_.run(); }
    const WorkerTallies& tallies() const { return tallies_; }
    WorkerTallies& own_tallies() { return tallies_; }
    std::uint32_t index() const { return index_; }
    std::uint64_t now_ns() const { return now_ns_; }
    // What a port that this worker polls has had of its time.
    const PortShare& share(std::uint32_t port) const { return shares_[port]; }

    // Control, from the mailbox.
    const PortView& port(std::uint32_t port) const { return ports_[port]; }
    void set_port(std::uint32_t port, const PortView& view);
    void set_engines(std::vector<EngineRef> engines) { engines_ = std::move(engines); }
    // Engines tick in the next turn, whatever the time.
    void tick_soon() { next_tick_ns_ = 0; }
    // Frees what is parked for a port that goes away.
    void discard_parked(std::uint32_t port);

    // What engines call (weir_host_vtable).
    void transmit(std::uint32_t port, Packet** packets, std::uint32_t count);
    void hand_to_worker(std::uint32_t to, Packet** packets, std::uint32_t count);
    void hand_to_engine(Packet** packets, std::uint32_t count);
    dataplane::PacketPool& pool() { return pool_; }
    // Super-frames that an engine gives back have gone on in pieces.
    void release(Packet** packets, std::uint32_t count) {
        for (std::uint32_t i = 0; i < count; ++i)
            in_vain_ += (packets[i]->flags & net::packet_super_frame) == 0;
        pool_.release(index_, packets, count);
    }

private:
    enum class Way : std::uint8_t { in, out };
    struct Parked {
        Packet* packet;
        std::uint32_t port;
        Way way;
    };

    bool work_waits() const;
    void poll_port(std::uint32_t port, bool on);
    std::uint32_t poll_ports();
    std::uint32_t poll_round();
    void run_polled(std::uint32_t port, Packet** packets, std::uint32_t count);
    void grant_credit();
    void grant_time(std::uint64_t elapsed_ns);
    std::uint32_t drain_rings();
    std::uint32_t deliver();
    void route(Packet** packets, std::uint32_t count);
    void park(Packet* p, std::uint32_t port, Way way);
    void release_parked(std::uint32_t port);
    void run(const EngineRef& engine, Packet** packets, std::uint32_t count) {
        in_vain_ += engine.api->run(engine.handle, index_, packets, count, now_ns_);
    }
    void push(std::uint32_t to, Packet** packets, std::uint32_t count);
    void send(PortView& view, Packet** packets, std::uint32_t count);
    void drop(ShellDrop why, Packet** packets, std::uint32_t count);

    const std::uint32_t index_;
    dataplane::PacketPool& pool_;
    Waiter& waiter_;
    const std::vector<Peer> peers_;  // by worker
    const Clock clock_;
    Mailbox mailbox_;
    WorkerTallies tallies_;
    std::uint64_t now_ns_ = 0;
    std::uint64_t next_tick_ns_ = 0;
    std::vector<EngineRef> engines_;
    std::vector<std::uint32_t> polled_;
    std::uint32_t idle_rests_ = 0;
    std::vector<PortView> ports_;
    std::vector<PortShare> shares_;  // by port
    std::uint32_t waiting_ = 0;      // polled ports without credit in this round
    std::uint32_t backlogged_ = 0;   // those with credit that had a whole burst
    std::uint64_t in_vain_ = 0;      // packets engines gave back unsent, handshakes they gave up
    std::uint64_t polled_ns_ = 0;    // when ports were asked last
    std::vector<Parked> parked_;
    std::unique_ptr<dataplane::PacketQueue<1024>> deliveries_;
};

}  // namespace weir::host
