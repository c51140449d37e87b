#include "apps/host/control_loop.hpp"

namespace weir::host {

void ControlLoop::run(std::chrono::milliseconds interval,
                      const std::function<void()>& look_around) {
    auto next = std::chrono::steady_clock::now() + interval;
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        wake_.wait_until(lock, next, [&] { return stopping_ || !waiting_.empty(); });
        run_waiting(lock);
        if (std::chrono::steady_clock::now() < next) continue;
        next = std::chrono::steady_clock::now() + interval;
        lock.unlock();
        look_around();
        lock.lock();
    }
    run_waiting(lock);
    ended_ = true;
}

void ControlLoop::run_waiting(std::unique_lock<std::mutex>& lock) {
    while (!waiting_.empty()) {
        std::vector<std::function<void()>> work;
        work.swap(waiting_);
        lock.unlock();
        for (const auto& one : work) one();
        work.clear();
        lock.lock();
    }
}

void ControlLoop::stop() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_one();
}

// After the end, work is dropped: a call() then gets std::future_error, as its promise is gone.
void ControlLoop::post(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    waiting_.push_back(std::move(work));
    wake_.notify_one();
}

}  // namespace weir::host
