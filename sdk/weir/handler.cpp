#include "weir/handler.hpp"

#include <algorithm>

namespace weir::service {

std::span<const std::uint8_t> Handler::handle(std::span<std::uint8_t> frame) {
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
    return handle_guest_packet(frame, *nsh);
}

std::span<const std::uint8_t> Handler::handle_guest_packet(std::span<std::uint8_t> frame,
                                                           NshView& nsh) {
    const Verdict verdict = service_.on_packet({nsh.metadata(), nsh.content()});
    const bool copy = nsh.metadata().copy;
    if (copy) {
        ++counters_.copies;
    } else if (verdict == Verdict::pass) {
        ++counters_.passed;
        if (decrements_si_) nsh.decrement_si();
        return answer(frame, nsh, true);
    } else {
        ++counters_.dropped;
    }
    if (!nsh.metadata().live_query) return {};
    // The packet stays here, the answer is owed all the same: a header-only OAM packet (LV-2).
    nsh.set_header_only_oam();
    return answer(frame, nsh, false);
}

// Sends the frame, or only its headers, back to where it came from.
std::span<const std::uint8_t> Handler::answer(std::span<std::uint8_t> frame, NshView& nsh,
                                              bool whole_frame) {
    if (nsh.metadata().live_query) {
        nsh.set_live_ack();
        ++counters_.live_answers;
    }
    std::swap_ranges(frame.begin(), frame.begin() + 6, frame.begin() + 6);
    return whole_frame ? frame : frame.first(ethernet_bytes + nsh.header_bytes());
}

}  // namespace weir::service
