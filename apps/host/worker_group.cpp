#include "apps/host/worker_group.hpp"

#include <sys/prctl.h>
#include <time.h>

#include <future>
#include <latch>
#include <string>
#include <utility>

namespace weir::host {
namespace {

constexpr std::uint32_t idle_turns_before_rest = 16;

Worker::Clock clock_of(const WorkerOptions& options) {
    if (options.clock) return options.clock;
    if (options.threads) return &monotonic_ns;
    return [] { return std::uint64_t{0}; };
}

void pause_briefly() {
    const timespec pause{0, 10'000};
    nanosleep(&pause, nullptr);
}

}  // namespace

std::uint64_t monotonic_ns() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
           static_cast<std::uint64_t>(now.tv_nsec);
}

WorkerGroup::WorkerGroup(WorkerOptions options, dataplane::PacketPool& pool)
    : options_(std::move(options)) {
    const std::uint32_t n = options_.workers;
    for (std::uint32_t i = 0; i < n; ++i) waiters_.push_back(std::make_unique<Waiter>());
    std::vector<std::vector<Worker::Peer>> peers(n, std::vector<Worker::Peer>(n));
    for (std::uint32_t from = 0; from < n; ++from) {
        for (std::uint32_t to = 0; to < n; ++to) {
            if (from == to) continue;
            rings_.push_back(std::make_unique<SpscRing>());
            peers[from][to].to = peers[to][from].from = rings_.back().get();
            peers[from][to].waiter = waiters_[to].get();
        }
    }
    for (std::uint32_t i = 0; i < n; ++i)
        workers_.push_back(std::make_unique<Worker>(i, pool, *waiters_[i], std::move(peers[i]),
                                                    clock_of(options_)));
}

WorkerGroup::~WorkerGroup() {
    stop();
}

Status WorkerGroup::start() {
    if (!options_.threads) return {};
    for (const auto& worker : workers_) {
        const auto begun = std::make_shared<std::promise<Status>>();
        threads_.emplace_back([this, begun, w = worker.get()] {
            thread_main(*w, [&](Status status) { begun->set_value(std::move(status)); });
        });
        if (Status status = begun->get_future().get(); !status) {
            stop();
            return status;
        }
    }
    return {};
}

void WorkerGroup::stop() {
    stopping_.store(true, std::memory_order_release);
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
}

void WorkerGroup::thread_main(Worker& worker, std::function<void(Status)> report) {
    pthread_setname_np(pthread_self(), ("worker-" + std::to_string(worker.index())).c_str());
    prctl(PR_SET_TIMERSLACK, 1000);  // nanoseconds: short sleeps stay short
    Status status = options_.started ? options_.started() : Status();
    const bool ok = status.ok();
    report(std::move(status));
    if (!ok) return;
    loop(worker);
    if (options_.stopped) options_.stopped();
}

// Busy while there is work, then asleep until there is: an idle host is idle.
void WorkerGroup::loop(Worker& worker) {
    WorkerTallies& tallies = worker.own_tallies();
    std::uint32_t idle_turns = 0;
    std::uint64_t now = monotonic_ns();
    while (!stopping_.load(std::memory_order_acquire)) {
        const std::uint32_t moved = worker.turn(now);
        tallies.loops.add();
        if (moved > 0) {
            tallies.busy_loops.add();
            idle_turns = 0;
        } else if (!options_.busy_poll && ++idle_turns > idle_turns_before_rest) {
            worker.rest();
        }
        const std::uint64_t then = now;
        now = monotonic_ns();
        (moved > 0 ? tallies.busy_ns : tallies.idle_ns).add(now - then);
    }
    worker.run_mailbox();
}

void WorkerGroup::on(std::uint32_t index, const std::function<void(Worker&)>& work) {
    Worker& worker = *workers_[index];
    if (threads_.empty()) return work(worker);
    const auto done = std::make_shared<std::promise<void>>();  // shared: we may be gone first
    worker.post([&worker, &work, done] {
        work(worker);
        done->set_value();
    });
    done->get_future().wait();
}

void WorkerGroup::on_all(const std::function<void(Worker&)>& work) {
    if (threads_.empty()) {
        for (const auto& worker : workers_) work(*worker);
        return;
    }
    const auto left = std::make_shared<std::latch>(static_cast<std::ptrdiff_t>(workers_.size()));
    for (const auto& worker : workers_) {
        worker->post([&work, left, w = worker.get()] {
            work(*w);
            left->count_down();
        });
    }
    left->wait();
}

bool WorkerGroup::wait_until(const std::function<bool()>& done, std::uint64_t timeout_ns) {
    const std::uint64_t until = monotonic_ns() + timeout_ns;
    while (!done()) {
        if (monotonic_ns() > until) return false;
        if (threads_.empty()) {
            for (const auto& worker : workers_) worker->tick_soon();
            turn_all(manual_now_ns_);
        } else {
            pause_briefly();
        }
    }
    return true;
}

std::uint32_t WorkerGroup::turn_all(std::uint64_t now_ns) {
    manual_now_ns_ = now_ns;
    std::uint32_t moved = 0;
    for (const auto& worker : workers_) moved += worker->turn(now_ns);
    return moved;
}

}  // namespace weir::host
