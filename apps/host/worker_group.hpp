#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "apps/host/spsc_ring.hpp"
#include "apps/host/worker.hpp"
#include "base/result.hpp"

namespace weir::host {

// CLOCK_MONOTONIC in nanoseconds.
std::uint64_t monotonic_ns();

struct WorkerOptions {
    std::uint32_t workers = 1;
    bool threads = true;  // false: nobody runs; the owner calls turn_all() with a time of its own
    bool busy_poll = false;           // true: never sleep, for machines with cores to spare
    std::function<Status()> started;  // on each worker's thread, before its first turn
    std::function<void()> stopped;
    Worker::Clock clock = nullptr;  // null: monotonic_ns, and with no threads one that stands still
};

// All workers of a shell and the rings between them. The methods are for the control thread.
class WorkerGroup {
public:
    WorkerGroup(WorkerOptions options, dataplane::PacketPool& pool);
    ~WorkerGroup();

    Status start();
    // Ends the threads after their current turn; packets stay where they are.
    void stop();

    std::uint32_t size() const { return static_cast<std::uint32_t>(workers_.size()); }
    Worker& worker(std::uint32_t index) { return *workers_[index]; }
    const Worker& worker(std::uint32_t index) const { return *workers_[index]; }

    // Runs `work` on that worker between two bursts and waits for it.
    void on(std::uint32_t index, const std::function<void(Worker&)>& work);
    // On every worker, at the same time where there are threads; waits for all.
    void on_all(const std::function<void(Worker&)>& work);
    // Waits until `done`, for at most `timeout_ns`; turns the workers itself where no threads do.
    bool wait_until(const std::function<bool()>& done, std::uint64_t timeout_ns);
    // Without threads: one turn of every worker; how many packets moved.
    std::uint32_t turn_all(std::uint64_t now_ns);

private:
    void thread_main(Worker& worker, std::function<void(Status)> report);
    void loop(Worker& worker);

    const WorkerOptions options_;
    std::vector<std::unique_ptr<Waiter>> waiters_;
    std::vector<std::unique_ptr<SpscRing>> rings_;
    std::vector<std::unique_ptr<Worker>> workers_;
    std::vector<std::thread> threads_;
    std::atomic<bool> stopping_{false};
    std::uint64_t manual_now_ns_ = 0;
};

}  // namespace weir::host
