#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/limits.hpp"
#include "net/packet.hpp"

// Where packets enter and leave: what a shell needs of a port's device and of the packets' memory.
// ports/ implements it; neither side knows a feature.
namespace weir::dataplane {

using net::Packet;

// A number one thread writes and others read: no locked instruction, no torn value.
class Tally {
public:
    void add(std::uint64_t n = 1) {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

// Why a device lost a packet; every one is counted by the device itself.
enum class PortDrop : std::uint8_t {
    too_long,     // larger than the MTU allows
    rx_error,     // the device delivered something that is no frame
    no_buffer,    // the packet pool is dry
    link_down,    // nobody at the other end
    tx_error,     // the device refused the frame
    super_frame,  // a frame to be segmented that nobody negotiated
    count_,
};
inline constexpr std::size_t port_drop_count = static_cast<std::size_t>(PortDrop::count_);

// "port.too_long", …: the reason as it stands in weir_drops_total.
constexpr std::string_view port_drop_name(PortDrop why) {
    constexpr std::array<std::string_view, port_drop_count> names = {
        "port.too_long",  "port.rx_error", "port.no_buffer",
        "port.link_down", "port.tx_error", "port.super_frame"};
    return names[static_cast<std::size_t>(why)];
}

struct PortStats {
    std::uint64_t rx_packets = 0, rx_bytes = 0;
    std::uint64_t tx_packets = 0, tx_bytes = 0;
    std::array<std::uint64_t, port_drop_count> drops{};

    PortStats& operator+=(const PortStats& more) {
        rx_packets += more.rx_packets;
        rx_bytes += more.rx_bytes;
        tx_packets += more.tx_packets;
        tx_bytes += more.tx_bytes;
        for (std::size_t i = 0; i < port_drop_count; ++i) drops[i] += more.drops[i];
        return *this;
    }
};

// The counters of a device, or of one of its queues: written by the one worker that uses it, read
// by anybody.
struct PortTallies {
    Tally rx_packets, rx_bytes, tx_packets, tx_bytes;
    std::array<Tally, port_drop_count> drops;

    void drop(PortDrop why, std::uint64_t n = 1) { drops[static_cast<std::size_t>(why)].add(n); }
    PortStats read() const {
        PortStats s{rx_packets.get(), rx_bytes.get(), tx_packets.get(), tx_bytes.get(), {}};
        for (std::size_t i = 0; i < port_drop_count; ++i) s.drops[i] = drops[i].get();
        return s;
    }
};

enum class DeviceState : std::uint8_t {
    up,
    link_down,  // the device is there, the other end is not
    gone,       // the device does not exist any more: close it
};
constexpr std::string_view device_state_name(DeviceState s) {
    return s == DeviceState::up ? "up" : s == DeviceState::link_down ? "link_down" : "gone";
}

// What a device is opened from.
struct DeviceSpec {
    std::string kind;              // "tap", "af_packet", "vhost_user", "memory", "pcap", "dpdk"
    std::string interface;         // tap, af_packet, memory
    std::string path;              // vhost_user: the socket
    bool client = true;            // vhost_user: we connect, the guest's end listens
    std::string rx_file, tx_file;  // pcap
    std::string devargs;           // dpdk: "net_memif0,role=client"
    std::uint32_t mtu = 1500;      // largest IP packet; 0: whatever the device has
    std::string mac;               // tap: of the guest's end; empty: any
    // vhost_user, dpdk: queues of each direction that are wanted; 0: one for each worker
    // (vhost_user), one (dpdk). The workers take them in turn, see queue_of().
    std::uint32_t queues = 0;
    std::uint32_t workers = 1, polling_worker = 0;

    // For messages: "tap g1", "vhost_user /run/g1.sock".
    std::string text() const {
        const std::string& where = !interface.empty() ? interface
                                   : !path.empty()    ? path
                                   : !devargs.empty() ? devargs
                                                      : rx_file;
        return kind + " " + where;
    }
    friend bool operator==(const DeviceSpec&, const DeviceSpec&) = default;
};

// Which queue of a port a worker has: its polling worker the first one, the workers after that the
// next ones. From the number of its queues on: none.
constexpr std::uint32_t queue_of(std::uint32_t worker, std::uint32_t polling_worker,
                                 std::uint32_t workers) {
    return (worker + workers - polling_worker) % workers;
}

// One port's device. receive() and transmit() belong to the workers that have a queue, the rest to
// the control thread.
class Device {
public:
    Device() = default;
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;
    virtual ~Device() = default;

    // Up to `max` (≤ limits::max_burst) frames; the caller owns them then.
    virtual std::uint32_t receive(std::uint32_t worker, Packet** out, std::uint32_t max) = 0;
    // Takes n of `count` frames and returns n: they were sent, or dropped and counted here. Those
    // for which there was no room stay the caller's and stand in packets[n … count-1].
    virtual std::uint32_t transmit(std::uint32_t worker, Packet** packets, std::uint32_t count) = 0;

    // A file that poll(2) calls readable when receive() has something; -1: there is none, keep
    // asking.
    virtual int readable_file() const { return -1; }

    // Workers that may call receive() and transmit(), at the same time: the polling worker and
    // those after it. May change as state() does, with what the other end wants.
    virtual std::uint32_t queues() const { return 1; }

    virtual DeviceState state() = 0;
    virtual std::uint32_t mtu() const = 0;      // largest IP packet
    virtual std::string_view kind() const = 0;  // as in DeviceSpec
    virtual PortStats stats() const = 0;
};

// The memory of packets. Any thread that has a worker number of its own may use it.
class PacketPool {
public:
    PacketPool() = default;
    PacketPool(const PacketPool&) = delete;
    PacketPool& operator=(const PacketPool&) = delete;
    virtual ~PacketPool() = default;

    // Fills `out` with empty packets, data behind limits::packet_headroom_bytes; returns how many.
    virtual std::uint32_t allocate(std::uint32_t worker, Packet** out, std::uint32_t count) = 0;
    virtual void release(std::uint32_t worker, Packet** packets, std::uint32_t count) = 0;
    virtual std::size_t capacity() const = 0;
    virtual std::size_t in_use() const = 0;

    // A copy of the bytes, the flags and the hand-over; null when the pool is dry.
    Packet* clone(std::uint32_t worker, const Packet& original);
    // An empty packet filled with `bytes`; null when dry or when they do not fit.
    Packet* make(std::uint32_t worker, const std::uint8_t* bytes, std::size_t count);
};

// A fresh descriptor around memory: `headroom` bytes before data, `tailroom` behind data + length.
inline void describe_packet(Packet& p, std::uint8_t* data, std::uint32_t length,
                            std::uint32_t headroom, std::uint32_t tailroom, void* owner) {
    static const Packet empty{};
    std::memcpy(static_cast<void*>(&p), &empty, offsetof(Packet, pending));
    p.data = data;
    p.length = length;
    p.headroom = headroom;
    p.tailroom = tailroom;
    p.owner = owner;
}

// Bytes of the frame in front of the network packet: Ethernet header and up to two VLAN tags.
inline std::uint32_t link_header_bytes(const Packet& p) {
    std::uint32_t at = 12;
    for (int tags = 0; tags < 2 && p.length >= at + 2; ++tags, at += 4) {
        const unsigned type = static_cast<unsigned>(p.data[at] << 8 | p.data[at + 1]);
        if (type != 0x8100 && type != 0x88a8) break;
    }
    return at + 2;
}

// Whether a device of that MTU may carry the frame.
inline bool fits_mtu(const Packet& p, std::uint32_t mtu) {
    return p.length <= mtu + 14 || p.length <= mtu + link_header_bytes(p);
}

}  // namespace weir::dataplane
