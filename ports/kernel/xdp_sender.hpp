#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/result.hpp"
#include "net/packet.hpp"

namespace weir::ports {

// Sends by an AF_XDP socket that only sends: no program, the kernel copies. It takes the shortest
// way to the driver, so it is only for interfaces without a queueing discipline.
class XdpSender {
public:
    // An error where that is not to be had; sendmmsg does the same for more.
    static Result<std::unique_ptr<XdpSender>> open(int interface_index);
    ~XdpSender();
    XdpSender(const XdpSender&) = delete;
    XdpSender& operator=(const XdpSender&) = delete;

    // At most `longest` bytes each. How many the kernel took; less than `count` means that errno
    // says why the next one was not taken: EBUSY if the interface dropped it, or an earlier one
    // that was taken, which it stands for. The frames behind it come in the next call.
    std::uint32_t put(net::Packet* const* packets, std::uint32_t count);
    // Sends what the kernel had no room for.
    void push_on() {
        if (usable_ && waiting() > 0) push_waiting();
    }
    bool usable() const { return usable_; }

    static constexpr std::size_t longest = 2048;

private:
    static constexpr std::uint32_t places = 512;  // frames under way: until the other end has them

    // One of the rings shared with the kernel; the numbers never wrap, their low bits are a place.
    template <class Entry>
    struct Ring {
        std::uint32_t* producer = nullptr;
        std::uint32_t* consumer = nullptr;
        Entry* entries = nullptr;
        void* memory = nullptr;
        std::size_t bytes = 0;
    };
    struct Order {  // struct xdp_desc
        std::uint64_t address;
        std::uint32_t length, options;
    };

    XdpSender(int file, std::uint8_t* frames);
    bool set_up(int interface_index);
    template <class Entry>
    bool share(Ring<Entry>& ring, const void* offsets, long page);
    void collect();
    std::uint32_t write(net::Packet* const* packets, std::uint32_t count);
    int flush();
    void push_waiting();
    int kick() const;
    std::uint32_t waiting() const {
        return written_ - __atomic_load_n(orders_.consumer, __ATOMIC_ACQUIRE);
    }

    const int file_;
    std::uint8_t* const frames_;
    Ring<Order> orders_;
    Ring<std::uint64_t> done_;
    std::array<std::uint16_t, places> free_{};
    std::uint32_t free_count_ = 0;
    std::uint32_t written_ = 0;   // orders ever
    std::uint32_t dropped_ = 0;   // by the interface, and none stands for them yet
    std::uint32_t standing_ = 0;  // the last frames written that stand for dropped ones
    bool usable_ = true;
};

}  // namespace weir::ports
