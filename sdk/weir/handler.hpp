#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "weir/nsh.hpp"

namespace weir::service {

enum class Verdict : std::uint8_t { pass = 0, drop };

// One guest packet on its way through the node. Valid during the call only.
struct PacketView {
    const Metadata& metadata;
    std::span<const std::uint8_t> frame;  // Ethernet header first, as the guest sent it
    OrderSlip* slip = nullptr;
    // The same bytes, for services that may rewrite headers (privilege rewrite_headers): change
    // addresses and ports and the checksums over them, not the length. Elsewhere it is a packet
    // lost (TUPLE_CHANGED).
    std::span<std::uint8_t> writable{};

    // Orders something for the packet's flow, whatever becomes of the packet. Repeat it with a
    // later packet if these keep coming: nothing is acknowledged.
    [[nodiscard]] OrderError order(const FlowOrder& order) const {
        return slip ? slip->write(order) : OrderError::no_packet;
    }
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
    std::uint64_t orders = 0;          // given
    std::uint64_t order_messages = 0;  // of these, sent without the packet
};

// What a service-metadata-aware node does with one frame. Pure: no input, output or clock.
class Handler {
public:
    static constexpr std::size_t no_limit = ~std::size_t{0};
    // `decrements_si`: as the node's service is declared (can_decrement_si). `largest_frame`: that
    // the interface sends, bytes with the Ethernet header.
    Handler(Service& service, bool decrements_si, std::size_t largest_frame = no_limit)
        : service_(service), decrements_si_(decrements_si), largest_frame_(largest_frame) {}

    // Works in place. Returns what goes back on the wire (a part of `room`); empty: nothing. The
    // frame is the first `length` bytes of `room`; an order needs 12 bytes behind it, or goes by
    // message().
    std::span<const std::uint8_t> handle(std::span<std::uint8_t> room, std::size_t length);
    std::span<const std::uint8_t> handle(std::span<std::uint8_t> frame) {
        return handle(frame, frame.size());
    }
    // A second frame to be sent back after the last handle(): an order whose packet stays here or
    // has no room for it. Empty: none.
    std::span<const std::uint8_t> message() const {
        return std::span(message_).first(message_bytes_);
    }

    const Counters& counters() const { return counters_; }
    void count_send_failure() { ++counters_.send_failures; }

private:
    std::span<const std::uint8_t> answer(std::span<std::uint8_t> frame, NshView& nsh,
                                         bool whole_frame);
    std::span<const std::uint8_t> handle_guest_packet(std::span<std::uint8_t> room,
                                                      std::size_t length, NshView& nsh);
    std::span<const std::uint8_t> answer_with(const FlowOrder& order, std::span<std::uint8_t> room,
                                              std::size_t length, const NshView& nsh);
    bool has_room(std::span<const std::uint8_t> room, std::size_t length, const NshView& nsh) const;
    void write_message(const FlowOrder& order, std::span<const std::uint8_t> frame,
                       const NshView& nsh);

    // What an order without its packet brings of it (spec service-plane CT-4).
    static constexpr std::size_t most_content = 128;
    static constexpr std::size_t most_message = ethernet_bytes + 63 * 4 + most_content;

    Service& service_;
    bool decrements_si_;
    std::size_t largest_frame_;
    Counters counters_;
    std::array<std::uint8_t, most_message> message_{};
    std::size_t message_bytes_ = 0;
};

}  // namespace weir::service
