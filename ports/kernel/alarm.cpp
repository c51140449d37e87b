#include "ports/kernel/alarm.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace weir::ports {

Result<Alarm> Alarm::make(const std::string& owner) {
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll >= 0) return Alarm(epoll);
    return Error{Errc::io, owner, {}, std::string("no more files: ") + std::strerror(errno)};
}

Alarm::Alarm(Alarm&& other) noexcept
    : epoll_(std::exchange(other.epoll_, -1)), set_(other.set_), in_a_row_(other.in_a_row_) {}

Alarm::~Alarm() {
    if (epoll_ >= 0) close(epoll_);
}

// What came before counts too: the kernel looks when it is told.
void Alarm::set(int watched) {
    epoll_event wanted{};
    wanted.events = EPOLLIN;
    set_ = epoll_ctl(epoll_, EPOLL_CTL_ADD, watched, &wanted) == 0;
}

void Alarm::clear(int watched) {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, watched, nullptr);
    set_ = false;
    in_a_row_ = 0;
}

}  // namespace weir::ports
