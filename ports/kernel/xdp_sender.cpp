#include "ports/kernel/xdp_sender.hpp"

#include <linux/if_xdp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace weir::ports {
namespace {

template <class Value>
bool set(int file, int option, const Value& value) {
    return setsockopt(file, SOL_XDP, option, &value, sizeof value) == 0;
}

std::uint32_t load(const std::uint32_t* at) {
    return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

void store(std::uint32_t* at, std::uint32_t value) {
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}

}  // namespace

Result<std::unique_ptr<XdpSender>> XdpSender::open(int interface_index) {
    const auto refused = [](int e) {
        return Error{Errc::io, "AF_XDP socket", {}, std::strerror(e)};
    };
    const int file = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (file < 0) return refused(errno);
    void* frames =
        mmap(nullptr, places * longest, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (frames == MAP_FAILED) {
        const int e = errno;
        close(file);
        return refused(e);
    }
    std::unique_ptr<XdpSender> sender(new XdpSender(file, static_cast<std::uint8_t*>(frames)));
    if (!sender->set_up(interface_index)) return refused(errno);
    return sender;
}

XdpSender::XdpSender(int file, std::uint8_t* frames) : file_(file), frames_(frames) {
    for (std::uint32_t i = 0; i < places; ++i) free_[free_count_++] = static_cast<std::uint16_t>(i);
}

XdpSender::~XdpSender() {
    if (orders_.memory) munmap(orders_.memory, orders_.bytes);
    if (done_.memory) munmap(done_.memory, done_.bytes);
    close(file_);
    munmap(frames_, places * longest);
}

bool XdpSender::set_up(int interface_index) {
    static_assert(sizeof(Order) == sizeof(xdp_desc));
    xdp_umem_reg memory{};
    memory.addr = reinterpret_cast<std::uint64_t>(frames_);
    memory.len = places * longest;
    memory.chunk_size = longest;
    xdp_mmap_offsets offsets{};
    socklen_t size = sizeof offsets;
    constexpr int buffer_bytes = 8 << 20;
    setsockopt(file_, SOL_SOCKET, SO_SNDBUFFORCE, &buffer_bytes, sizeof buffer_bytes);
    if (!set(file_, XDP_UMEM_REG, memory) || !set(file_, XDP_UMEM_FILL_RING, places) ||
        !set(file_, XDP_UMEM_COMPLETION_RING, places) || !set(file_, XDP_TX_RING, places) ||
        getsockopt(file_, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &size) != 0 ||
        size != sizeof offsets || !share(orders_, &offsets.tx, XDP_PGOFF_TX_RING) ||
        !share(done_, &offsets.cr, static_cast<long>(XDP_UMEM_PGOFF_COMPLETION_RING)))
        return false;
    sockaddr_xdp address{};
    address.sxdp_family = AF_XDP;
    address.sxdp_ifindex = static_cast<std::uint32_t>(interface_index);
    address.sxdp_flags = XDP_COPY | XDP_USE_NEED_WAKEUP;
    return bind(file_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

template <class Entry>
bool XdpSender::share(Ring<Entry>& ring, const void* offsets, long page) {
    const auto& at = *static_cast<const xdp_ring_offset*>(offsets);
    const std::size_t bytes = at.desc + places * sizeof(Entry);
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_, page);
    if (memory == MAP_FAILED) return false;
    auto* base = static_cast<std::uint8_t*>(memory);
    ring.producer = reinterpret_cast<std::uint32_t*>(base + at.producer);
    ring.consumer = reinterpret_cast<std::uint32_t*>(base + at.consumer);
    ring.entries = reinterpret_cast<Entry*>(base + at.desc);
    ring.memory = memory;
    ring.bytes = bytes;
    return true;
}

// Places of frames that somebody has taken, or dropped.
void XdpSender::collect() {
    const std::uint32_t end = load(done_.producer);
    std::uint32_t at = *done_.consumer;
    for (; at != end; ++at)
        free_[free_count_++] = static_cast<std::uint16_t>(done_.entries[at % places] / longest);
    store(done_.consumer, at);
}

std::uint32_t XdpSender::write(net::Packet* const* packets, std::uint32_t count) {
    const std::uint32_t n = std::min(count, free_count_);
    for (std::uint32_t i = 0; i < n; ++i) {
        const std::uint64_t address = free_[--free_count_] * longest;
        std::memcpy(frames_ + address, packets[i]->data, packets[i]->length);
        orders_.entries[written_++ % places] = {address, packets[i]->length, 0};
    }
    store(orders_.producer, written_);
    return n;
}

int XdpSender::kick() const {
    return sendto(file_, nullptr, 0, MSG_DONTWAIT, nullptr, 0) < 0 ? errno : 0;
}

void XdpSender::push_waiting() {
    const int why = kick();
    if (why == EBUSY) ++dropped_;
    if (why == ENXIO) usable_ = false;
}

std::uint32_t XdpSender::put(net::Packet* const* packets, std::uint32_t count) {
    if (standing_ == 0) {
        if (free_count_ < count) collect();
        count = write(packets, count);
        if (const int why = flush(); why == ENXIO) {
            usable_ = false;
            errno = why;
            return 0;
        }
        standing_ = std::min(dropped_, count);
        dropped_ -= standing_;
        errno = EAGAIN;
        if (standing_ == 0) return count;
        count -= standing_;
    } else {
        count = 0;
    }
    --standing_;
    errno = EBUSY;
    return count;
}

// Until nothing waits. A call ends with a frame that the interface drops, or after 32; what it has
// no room for goes later.
int XdpSender::flush() {
    int why = 0, patience = 3;
    for (std::uint32_t left = waiting(); patience > 0 && waiting() > 0;) {
        why = kick();
        if (why == EBUSY && left > 0) {
            ++dropped_;
            --left;
        } else {
            --patience;
        }
    }
    return why;
}

}  // namespace weir::ports
