#pragma once
#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>
#include <vector>

namespace weir::host {

// The one thread that owns the shell: others hand it work.
class ControlLoop {
public:
    // Runs posted work, and `look_around` about every `interval`, until stop(). Then what is still
    // waiting is run once more, so that nobody waits for ever.
    void run(std::chrono::milliseconds interval, const std::function<void()>& look_around);
    void stop();

    void post(std::function<void()> work);
    // Runs `work` on the loop and gives back what it returns. Not to be called from the loop.
    template <class F>
    auto call(F work) -> std::invoke_result_t<F> {
        using R = std::invoke_result_t<F>;
        const auto task = std::make_shared<std::packaged_task<R()>>(std::move(work));
        std::future<R> answer = task->get_future();
        post([task] { (*task)(); });
        return answer.get();
    }

private:
    void run_waiting(std::unique_lock<std::mutex>& lock);

    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<std::function<void()>> waiting_;
    bool stopping_ = false;
    bool ended_ = false;
};

}  // namespace weir::host
