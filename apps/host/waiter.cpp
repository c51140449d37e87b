#include "apps/host/waiter.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.hpp"

namespace weir::host {

Waiter::Waiter()
    : epoll_(epoll_create1(EPOLL_CLOEXEC)), bell_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    WEIR_CHECK(epoll_ >= 0 && bell_ >= 0, "the process may open files");
    watch(bell_);
}

Waiter::~Waiter() {
    close(bell_);
    close(epoll_);
}

void Waiter::watch(int file) {
    epoll_event wanted{};
    wanted.events = EPOLLIN;
    wanted.data.fd = file;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, file, &wanted);
}

void Waiter::forget(int file) {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, file, nullptr);
}

void Waiter::sleep(std::uint64_t nanoseconds) {
    epoll_event happened{};
    const timespec limit{0, static_cast<long>(nanoseconds)};
    const int n = epoll_pwait2(epoll_, &happened, 1, &limit, nullptr);
    stay_awake();
    if (n == 1 && happened.data.fd == bell_) {
        std::uint64_t rings = 0;
        static_cast<void>(!read(bell_, &rings, sizeof rings));
    }
}

void Waiter::ring() {
    const std::uint64_t one = 1;
    static_cast<void>(!write(bell_, &one, sizeof one));
}

}  // namespace weir::host
