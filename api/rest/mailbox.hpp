#pragma once
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

namespace weir::rest {

// Hands things from the threads of a server or client to the thread that waits for them.
template <class T>
class Mailbox {
public:
    void put(T thing) {
        const std::lock_guard lock(mutex_);
        things_.push_back(std::move(thing));
        changed_.notify_all();
    }
    // Nothing if none came in time.
    std::optional<T> take(std::chrono::milliseconds patience = std::chrono::seconds(20)) {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_for(lock, patience, [this] { return !things_.empty(); })) return {};
        std::optional<T> thing(std::move(things_.front()));
        things_.pop_front();
        return thing;
    }
    bool empty() {
        const std::lock_guard lock(mutex_);
        return things_.empty();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<T> things_;
};

}  // namespace weir::rest
