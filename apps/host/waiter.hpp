#pragma once
#include <atomic>
#include <cstdint>

namespace weir::host {

// Where a worker sleeps when there is nothing to do: until one of its devices' files is readable,
// somebody wakes it, or time is up.
class Waiter {
public:
    Waiter();
    ~Waiter();
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    // The sleeper's.
    void watch(int file);
    void forget(int file);
    // Says that it is about to sleep: whoever brings work from now on wakes it. Then it looks once
    // more for work, and either sleeps or calls stay_awake().
    void announce() {
        asleep_.store(true, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_seq_cst);  // pairs with the one in wake()
    }
    void stay_awake() { asleep_.store(false, std::memory_order_relaxed); }
    void sleep(std::uint64_t nanoseconds);

    // Anybody's, after the work is where the sleeper looks for it. Cheap when it is awake.
    void wake() {
        std::atomic_thread_fence(std::memory_order_seq_cst);
        if (asleep_.load(std::memory_order_relaxed)) ring();
    }

private:
    void ring();

    alignas(64) std::atomic<bool> asleep_{false};
    int epoll_;
    int bell_;
};

}  // namespace weir::host
