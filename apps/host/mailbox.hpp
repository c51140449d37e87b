#pragma once
#include <atomic>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace weir::host {

// Work another thread wants done between two bursts.
class Mailbox {
public:
    void post(std::function<void()> work) {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(work));
        any_.store(true, std::memory_order_release);
    }
    // One relaxed read when there is nothing, which is nearly always.
    bool any() const { return any_.load(std::memory_order_acquire); }
    void run() {
        std::vector<std::function<void()>> work;
        {
            const std::lock_guard lock(mutex_);
            work.swap(waiting_);
            any_.store(false, std::memory_order_relaxed);
        }
        for (const auto& one : work) one();
    }

private:
    std::atomic<bool> any_{false};
    std::mutex mutex_;
    std::vector<std::function<void()>> waiting_;
};

}  // namespace weir::host
