#pragma once
#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace weir::ports {

// A file that is readable when another one is, as long as it is set. Whoever is watched wakes its
// watchers with every frame, asleep or not, for two hundred cycles: so it is set only when somebody
// may be about to sleep.
class Alarm {
public:
    static Result<Alarm> make(const std::string& owner);
    Alarm(Alarm&& other) noexcept;
    Alarm& operator=(Alarm&&) = delete;
    ~Alarm();

    int file() const { return epoll_; }

    // Somebody looked what `watched` has, and found so many frames. None: it is set; a lot, and not
    // once none: it is not.
    void found(int watched, std::uint32_t frames) {
        if (frames == 0) {
            if (!set_) set(watched);
            in_a_row_ = 0;
        } else if (set_ && (in_a_row_ += frames) > busy) [[unlikely]] {
            clear(watched);
        }
    }

private:
    explicit Alarm(int epoll) : epoll_(epoll) {}
    static constexpr std::uint32_t busy = 1024;  // what setting and clearing cost is spread over

    void set(int watched);
    void clear(int watched);

    int epoll_;
    bool set_ = false;
    std::uint32_t in_a_row_ = 0;
};

}  // namespace weir::ports
