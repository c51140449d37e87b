#pragma once
#include <cstdint>
#include <span>

#include "weir/nsh.hpp"

namespace weir::service {

enum class Verdict : std::uint8_t { pass = 0, drop };

// One guest packet on its way through the node. Valid during the call only.
struct PacketView {
    const Metadata& metadata;
    std::span<const std::uint8_t> frame;  // Ethernet header first, as the guest sent it
};

// What a vendor writes.
class Service {
public:
    virtual ~Service() = default;
    // Called once per guest packet, from the thread that runs the node. Must not throw.
    virtual Verdict on_packet(const PacketView& packet) = 0;
};

// Whatever a node received is in exactly one of passed … ignored.
struct Counters {
    std::uint64_t received = 0;
    std::uint64_t passed = 0;
    std::uint64_t dropped = 0;       // by the service's verdict
    std::uint64_t copies = 0;        // seen and kept: copies are never returned
    std::uint64_t oam = 0;           // OAM packets, answered
    std::uint64_t malformed = 0;     // not a usable NSH, or no frame in it
    std::uint64_t ignored = 0;       // not service plane traffic
    std::uint64_t live_answers = 0;  // of these, how many carried a liveness answer
    std::uint64_t send_failures = 0;
};

// What a service-metadata-aware node does with one frame. Pure: no input, output or clock.
class Handler {
public:
    // `decrements_si`: as the node's service is declared (can_decrement_si).
    Handler(Service& service, bool decrements_si)
        : service_(service), decrements_si_(decrements_si) {}

    // Works in place. Returns what goes back on the wire (a part of `frame`); empty: nothing.
    std::span<const std::uint8_t> handle(std::span<std::uint8_t> frame);

    const Counters& counters() const { return counters_; }
    void count_send_failure() { ++counters_.send_failures; }

private:
    std::span<const std::uint8_t> answer(std::span<std::uint8_t> frame, NshView& nsh,
                                         bool whole_frame);
    std::span<const std::uint8_t> handle_guest_packet(std::span<std::uint8_t> frame, NshView& nsh);

    Service& service_;
    bool decrements_si_;
    Counters counters_;
};

}  // namespace weir::service
