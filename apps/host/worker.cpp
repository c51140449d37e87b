#include "apps/host/worker.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/prefetch.hpp"

namespace weir::host {
namespace {

constexpr std::uint64_t tick_interval_ns = 1'000'000;
constexpr std::uint32_t ring_bursts_per_turn = 4;  // so that no neighbour keeps us from our ports
constexpr std::uint64_t shortest_rest_ns = 10'000;
constexpr std::uint64_t longest_rest_ns = 150'000;
constexpr std::uint32_t burst_size = limits::max_burst;

// What another core wrote last is asked for all at once, not packet by packet.
void fetch(Packet* const* packets, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) prefetch(packets[i], 2 * 64);
    for (std::uint32_t i = 0; i < count; ++i) {
        prefetch(packets[i]->data);
        prefetch(packets[i]->owner, 2 * 64);
    }
}

std::uint32_t port_of(const Packet* p) {
    return p->hand.port;
}

}  // namespace

Worker::Worker(std::uint32_t index, dataplane::PacketPool& pool, Waiter& waiter,
               std::vector<Peer> peers, Clock clock)
    : index_(index),
      pool_(pool),
      waiter_(waiter),
      peers_(std::move(peers)),
      clock_(clock),
      ports_(limits::max_ports),
      shares_(limits::max_ports),
      deliveries_(std::make_unique<dataplane::PacketQueue<1024>>()) {
    parked_.reserve(parked_capacity);
    polled_.reserve(limits::max_ports);
}

Worker::~Worker() {
    for (const Parked& one : parked_) {
        Packet* p = one.packet;
        pool_.release(index_, &p, 1);
    }
    Packet* burst[burst_size];
    while (Packet* p = deliveries_->pop()) pool_.release(index_, &p, 1);
    for (const Peer& peer : peers_)
        while (const std::uint32_t n = peer.from ? peer.from->pop(burst, burst_size) : 0)
            pool_.release(index_, burst, n);
}

std::uint32_t Worker::turn(std::uint64_t now_ns) {
    now_ns_ = now_ns;
    if (mailbox_.any()) [[unlikely]]
        mailbox_.run();
    std::uint32_t moved = drain_rings();
    moved += poll_ports();
    moved += deliver();
    if (moved > 0) idle_rests_ = 0;
    if (now_ns_ >= next_tick_ns_) {
        next_tick_ns_ = now_ns_ + tick_interval_ns;
        for (const EngineRef& engine : engines_) engine.api->tick(engine.handle, index_, now_ns_);
        moved += deliver();
    }
    return moved;
}

std::uint32_t Worker::poll_ports() {
    const std::uint64_t elapsed_ns = now_ns_ - polled_ns_;
    polled_ns_ = now_ns_;
    const std::uint32_t moved = poll_round();
    if (waiting_ == 0) [[likely]]
        return moved;
    if (backlogged_ > 0) {
        grant_time(elapsed_ns);
        return moved;
    }
    grant_credit();
    return moved + poll_round();
}

// All ports that have credit.
std::uint32_t Worker::poll_round() {
    std::uint32_t moved = 0;
    waiting_ = backlogged_ = 0;
    for (const std::uint32_t port : polled_) {
        PortShare& share = shares_[port];
        if (!share.has_credit()) {
            ++waiting_;
            continue;
        }
        PortView& view = ports_[port];
        Packet* burst[burst_size];
        const std::uint32_t n = view.device->receive(index_, burst, burst_size);
        if (n == 0) {
            share.rest();
            continue;
        }
        for (std::uint32_t i = 0; i < n; ++i) burst[i]->hand.port = port;
        tallies_.received.add(n);
        moved += n;
        backlogged_ += n == burst_size;
        run_polled(port, burst, n);
    }
    return moved;
}

void Worker::run_polled(std::uint32_t port, Packet** packets, std::uint32_t count) {
    const PortView& view = ports_[port];
    PortShare& share = shares_[port];
    const std::uint64_t before = in_vain_;
    if (share.look()) {
        const std::uint64_t begun = clock_();
        run(view.engine, packets, count);
        share.learn(clock_() - begun, count);
    } else {
        run(view.engine, packets, count);
    }
    const std::uint64_t in_vain =
        view.shared ? 0 : std::min<std::uint64_t>(in_vain_ - before, count);
    share.charge(count, static_cast<std::uint32_t>(in_vain), now_ns_);
}

// Those with credit get done all they have: as much for all as the best of the others needs to go
// on.
void Worker::grant_credit() {
    std::int64_t best = std::numeric_limits<std::int64_t>::min();
    for (const std::uint32_t port : polled_)
        if (!shares_[port].has_credit()) best = std::max(best, shares_[port].credit_ns());
    for (const std::uint32_t port : polled_)
        shares_[port].grant(PortShare::quantum_ns - best, now_ns_);
}

// A quarter of its part of the time for each that waits: those with credit might have more to do
// for ever, taking turns.
void Worker::grant_time(std::uint64_t elapsed_ns) {
    const std::uint64_t part = elapsed_ns / (4 * (waiting_ + backlogged_));
    for (const std::uint32_t port : polled_)
        if (!shares_[port].has_credit())
            shares_[port].grant(static_cast<std::int64_t>(part), now_ns_);
}

std::uint32_t Worker::drain_rings() {
    std::uint32_t moved = 0;
    for (const Peer& peer : peers_) {
        SpscRing* const ring = peer.from;
        if (!ring) continue;
        for (std::uint32_t round = 0; round < ring_bursts_per_turn; ++round) {
            Packet* burst[burst_size];
            const std::uint32_t n = ring->pop(burst, burst_size);
            if (n == 0) break;
            moved += n;
            fetch(burst, n);
            for (std::uint32_t at = 0, end = 0; at < n; at = end) {
                const bool sending = burst[at]->hand.entry == net::Entry::transmit;
                const auto same = [&](const Packet* p) {
                    const bool also = p->hand.entry == net::Entry::transmit;
                    return also == sending &&
                           (!sending || p->egress_port == burst[at]->egress_port);
                };
                end = static_cast<std::uint32_t>(std::find_if_not(burst + at, burst + n, same) -
                                                 burst);
                if (sending) {
                    send(ports_[burst[at]->egress_port], burst + at, end - at);
                } else {
                    route(burst + at, end - at);
                }
            }
        }
    }
    return moved;
}

// One pass over what engines handed to engines; what they answer waits for the next turn.
std::uint32_t Worker::deliver() {
    std::uint32_t left = static_cast<std::uint32_t>(deliveries_->size());
    const std::uint32_t moved = left;
    while (left > 0) {
        Packet* burst[burst_size];
        std::uint32_t n = 0;
        while (n < burst_size && left > 0) {
            burst[n++] = deliveries_->pop();
            --left;
        }
        route(burst, n);
    }
    return moved;
}

void Worker::route(Packet** packets, std::uint32_t count) {
    for (std::uint32_t at = 0, end = 0; at < count; at = end) {
        const std::uint32_t port = port_of(packets[at]);
        end = at + 1;
        if (port >= ports_.size() || !ports_[port].engine.api) {
            drop(ShellDrop::no_owner, packets + at, 1);
        } else if (ports_[port].frozen) {
            park(packets[at], port, Way::in);
        } else {
            const EngineRef& engine = ports_[port].engine;
            while (end < count && port_of(packets[end]) < ports_.size() &&
                   ports_[port_of(packets[end])].engine == engine &&
                   !ports_[port_of(packets[end])].frozen)
                ++end;
            run(engine, packets + at, end - at);
        }
    }
}

void Worker::park(Packet* p, std::uint32_t port, Way way) {
    if (parked_.size() == parked_capacity) {
        drop(ShellDrop::parked_full, &p, 1);
    } else {
        parked_.push_back({p, port, way});
    }
}

// In the order they came, to whoever owns the port now.
void Worker::release_parked(std::uint32_t port) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < parked_.size(); ++i) {
        Parked one = parked_[i];
        if (one.port != port) {
            parked_[kept++] = one;
        } else if (one.way == Way::out) {
            transmit(port, &one.packet, 1);
        } else {
            route(&one.packet, 1);
        }
    }
    parked_.resize(kept);
}

void Worker::discard_parked(std::uint32_t port) {
    std::erase_if(parked_, [&](const Parked& one) {
        if (one.port != port) return false;
        Packet* p = one.packet;
        drop(ShellDrop::no_owner, &p, 1);
        return true;
    });
}

void Worker::set_port(std::uint32_t port, const PortView& view) {
    const bool thawed = ports_[port].frozen && !view.frozen;
    poll_port(port, false);  // as long as the old device is known
    if (view.device != ports_[port].device) shares_[port].begin_anew();
    ports_[port] = view;
    const bool ours =
        view.polled && !view.frozen && view.device && view.engine.api && view.sender == index_;
    poll_port(port, ours);
    if (thawed) release_parked(port);
}

void Worker::poll_port(std::uint32_t port, bool on) {
    const auto at = std::find(polled_.begin(), polled_.end(), port);
    if (on == (at != polled_.end())) return;
    const int file = ports_[port].device->readable_file();
    if (on) {
        polled_.push_back(port);
        if (file >= 0) waiter_.watch(file);
    } else {
        polled_.erase(at);
        if (file >= 0) waiter_.forget(file);
    }
}

bool Worker::work_waits() const {
    if (mailbox_.any() || !deliveries_->empty() || waiting_ > 0) return true;
    return std::any_of(peers_.begin(), peers_.end(),
                       [](const Peer& peer) { return peer.from && !peer.from->empty(); });
}

// Devices without a file must be asked again soon: ever later, but never later than that.
void Worker::rest() {
    const bool all_tell = std::all_of(polled_.begin(), polled_.end(), [&](std::uint32_t port) {
        return ports_[port].device->readable_file() >= 0;
    });
    const std::uint64_t until_tick = next_tick_ns_ > now_ns_ ? next_tick_ns_ - now_ns_ : 0;
    const std::uint64_t until_asked = std::min(shortest_rest_ns << idle_rests_, longest_rest_ns);
    waiter_.announce();
    if (work_waits()) return waiter_.stay_awake();
    waiter_.sleep(all_tell ? until_tick : std::min(until_tick, until_asked));
    if (idle_rests_ < 8) ++idle_rests_;
}

void Worker::transmit(std::uint32_t port, Packet** packets, std::uint32_t count) {
    if (port >= ports_.size()) return drop(ShellDrop::not_realised, packets, count);
    PortView& view = ports_[port];
    if (view.frozen) [[unlikely]] {  // behind what is parked already, or it would overtake it
        for (std::uint32_t i = 0; i < count; ++i) park(packets[i], port, Way::out);
        return;
    }
    if (!view.device || view.sender == index_) return send(view, packets, count);
    for (std::uint32_t i = 0; i < count; ++i) {
        packets[i]->egress_port = port;
        packets[i]->hand.entry = net::Entry::transmit;
    }
    push(view.sender, packets, count);
}

void Worker::send(PortView& view, Packet** packets, std::uint32_t count) {
    if (!view.device) return drop(ShellDrop::not_realised, packets, count);
    if (view.sender != index_) return push(view.sender, packets, count);  // no longer by us
    const std::uint32_t taken = view.device->transmit(index_, packets, count);
    if (taken < count) drop(ShellDrop::tx_full, packets + taken, count - taken);
}

void Worker::hand_to_worker(std::uint32_t to, Packet** packets, std::uint32_t count) {
    if (to >= peers_.size() || to == index_) return drop(ShellDrop::no_owner, packets, count);
    push(to, packets, count);
}

void Worker::push(std::uint32_t to, Packet** packets, std::uint32_t count) {
    const Peer& peer = peers_[to];
    const std::uint32_t pushed = peer.to->push(packets, count);
    peer.waiter->wake();
    tallies_.handed_over.add(pushed);
    if (pushed < count) drop(ShellDrop::ring_full, packets + pushed, count - pushed);
}

void Worker::hand_to_engine(Packet** packets, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i)
        if (!deliveries_->push(*packets[i]))
            return drop(ShellDrop::delivery_full, packets + i, count - i);
}

void Worker::drop(ShellDrop why, Packet** packets, std::uint32_t count) {
    tallies_.drops[static_cast<std::size_t>(why)].add(count);
    pool_.release(index_, packets, count);
}

}  // namespace weir::host
