#include "weir/handler.hpp"

#include <algorithm>

namespace weir::service {

std::span<const std::uint8_t> Handler::handle(std::span<std::uint8_t> room, std::size_t length) {
    const std::span<std::uint8_t> frame = room.first(length);
    message_bytes_ = 0;
    ++counters_.received;
    if (frame.size() < ethernet_bytes || frame[12] != nsh_ethertype >> 8 ||
        frame[13] != (nsh_ethertype & 0xff)) {
        ++counters_.ignored;
        return {};
    }
    NshError error{};
    auto nsh = NshView::parse(frame.subspan(ethernet_bytes), error);
    if (!nsh) {
        ++counters_.malformed;
        return {};
    }
    if (nsh->metadata().oam) {
        ++counters_.oam;
        return answer(frame, *nsh, true);
    }
    if (nsh->content().size() < ethernet_bytes) {
        ++counters_.malformed;
        return {};
    }
    return handle_guest_packet(room, length, *nsh);
}

std::span<const std::uint8_t> Handler::handle_guest_packet(std::span<std::uint8_t> room,
                                                           std::size_t length, NshView& nsh) {
    const std::span<std::uint8_t> frame = room.first(length);
    OrderSlip slip(nsh.metadata().md_type);
    const std::span<std::uint8_t> content = nsh.content();
    const Verdict verdict = service_.on_packet({nsh.metadata(), content, &slip, content});
    const bool copy = nsh.metadata().copy;
    const bool passes = !copy && verdict == Verdict::pass;
    ++(copy ? counters_.copies : passes ? counters_.passed : counters_.dropped);
    if (slip) {
        ++counters_.orders;
        if (nsh.metadata().live_query) {
            nsh.set_live_ack();
            ++counters_.live_answers;
        }
        if (!passes || !has_room(room, length, nsh)) write_message(slip.order(), frame, nsh);
        if (!passes) return {};
    }
    if (passes) {
        if (decrements_si_) nsh.decrement_si();
        if (slip && message_bytes_ == 0) return answer_with(slip.order(), room, length, nsh);
        return answer(frame, nsh, true);
    }
    if (!nsh.metadata().live_query) return {};
    // The packet stays here, the answer is owed all the same: a header-only OAM packet (LV-2).
    nsh.set_header_only_oam();
    return answer(frame, nsh, false);
}

bool Handler::has_room(std::span<const std::uint8_t> room, std::size_t length,
                       const NshView& nsh) const {
    const std::size_t with = length + nsh.order_bytes();
    return with <= room.size() && with <= largest_frame_ && nsh.header_bytes() + 12 <= 63 * 4;
}

// The frame with the order in its header.
std::span<const std::uint8_t> Handler::answer_with(const FlowOrder& order,
                                                   std::span<std::uint8_t> room, std::size_t length,
                                                   const NshView& nsh) {
    const std::size_t more = nsh.order_bytes();
    std::array<std::uint8_t, 63 * 4> header;
    const std::size_t bytes = nsh.header_bytes() + more;
    nsh.write_with(order, false, header);
    const auto at = [&](std::size_t offset) {
        return room.begin() + static_cast<std::ptrdiff_t>(offset);
    };
    const std::size_t content = ethernet_bytes + nsh.header_bytes();
    std::copy_backward(at(content), at(length), at(length + more));
    std::copy_n(header.begin(), bytes, at(ethernet_bytes));
    std::swap_ranges(at(0), at(6), at(6));
    return room.first(length + more);
}

// An OAM packet that names the flow by the guest's headers (spec service-plane CT-4).
void Handler::write_message(const FlowOrder& order, std::span<const std::uint8_t> frame,
                            const NshView& nsh) {
    ++counters_.order_messages;
    std::copy_n(frame.begin() + 6, 6, message_.begin());
    std::copy_n(frame.begin(), 6, message_.begin() + 6);
    std::copy_n(frame.begin() + 12, 2, message_.begin() + 12);
    const std::span<std::uint8_t> out(message_);
    nsh.write_with(order, true, out.subspan(ethernet_bytes));
    const std::size_t header = ethernet_bytes + nsh.header_bytes() + nsh.order_bytes();
    const std::span<const std::uint8_t> content =
        frame.subspan(ethernet_bytes + nsh.header_bytes());
    const std::size_t kept = std::min(content.size(), most_content);
    std::copy_n(content.begin(), kept, out.begin() + static_cast<std::ptrdiff_t>(header));
    message_bytes_ = header + kept;
}

// Sends the frame, or only its headers, back to where it came from.
std::span<const std::uint8_t> Handler::answer(std::span<std::uint8_t> frame, NshView& nsh,
                                              bool whole_frame) {
    if (nsh.metadata().live_query && !nsh.metadata().live_ack) {
        nsh.set_live_ack();
        ++counters_.live_answers;
    }
    std::swap_ranges(frame.begin(), frame.begin() + 6, frame.begin() + 6);
    return whole_frame ? frame : frame.first(ethernet_bytes + nsh.header_bytes());
}

}  // namespace weir::service
