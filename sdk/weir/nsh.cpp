#include "weir/nsh.hpp"

#include <algorithm>
#include <iterator>

namespace weir::service {

namespace {

// Offsets and bits: RFC 8300 §2.2, §2.3; context headers: Weir's service plane specification §4.4.
constexpr std::size_t base_and_path_bytes = 8;
constexpr std::size_t md1_words = 6;
constexpr std::uint16_t md2_class = 0xfff6;
constexpr std::uint8_t md2_type = 1;
constexpr std::uint8_t md2_bytes = 32;
constexpr std::uint8_t next_protocol_none = 0;  // RFC 8393
constexpr std::uint8_t next_protocol_ethernet = 3;
constexpr std::uint16_t base_oam = 1u << 13;

constexpr std::uint16_t flag_oam = 1u << 13, flag_reverse = 1u << 12, flag_copy = 1u << 9,
                        flag_query = 1u << 8, flag_ack = 1u << 7, flag_trace = 1u << 6;

std::uint16_t get16(std::span<const std::uint8_t> b, std::size_t at) {
    return static_cast<std::uint16_t>(b[at] << 8 | b[at + 1]);
}
std::uint32_t get24(std::span<const std::uint8_t> b, std::size_t at) {
    return static_cast<std::uint32_t>(b[at]) << 16 | get16(b, at + 1);
}
std::uint32_t get32(std::span<const std::uint8_t> b, std::size_t at) {
    return static_cast<std::uint32_t>(get16(b, at)) << 16 | get16(b, at + 2);
}

// Where the content of Weir's context header begins; 0: it is not there.
std::size_t find_md2(std::span<const std::uint8_t> header) {
    std::size_t at = base_and_path_bytes;
    while (at + 4 <= header.size()) {
        const std::size_t length = header[at + 3] & 0x7f;
        const std::size_t padded = (length + 3) / 4 * 4;
        if (at + 4 + padded > header.size()) return 0;
        if (get16(header, at) == md2_class && header[at + 2] == md2_type && length == md2_bytes)
            return at + 4;
        at += 4 + padded;
    }
    return 0;
}

}  // namespace

const char* name(NshError error) {
    switch (error) {
        case NshError::truncated:
            return "truncated";
        case NshError::version:
            return "version";
        case NshError::length:
            return "length";
        case NshError::md_type:
            return "md_type";
        case NshError::next_protocol:
            return "next_protocol";
        case NshError::no_metadata:
            return "no_metadata";
    }
    return "unknown";
}

std::optional<NshView> NshView::parse(std::span<std::uint8_t> bytes, NshError& error) {
    const auto refuse = [&](NshError why) {
        error = why;
        return std::nullopt;
    };
    if (bytes.size() < base_and_path_bytes) return refuse(NshError::truncated);
    const std::uint16_t base = get16(bytes, 0);
    if (base >> 14 != 0) return refuse(NshError::version);

    NshView view(bytes);
    view.header_bytes_ = (base & 0x3fu) * 4;
    if (view.header_bytes_ < base_and_path_bytes) return refuse(NshError::length);
    if (view.header_bytes_ > bytes.size()) return refuse(NshError::truncated);
    const bool empty_oam = (base & base_oam) != 0 && bytes[3] == next_protocol_none;
    if (bytes[3] != next_protocol_ethernet && !empty_oam) return refuse(NshError::next_protocol);

    Metadata& m = view.metadata_;
    m.md_type = bytes[2] & 0x0f;
    m.spi = get24(bytes, 4);
    m.si = bytes[7];
    if (m.md_type == 1) {
        if (view.header_bytes_ != md1_words * 4) return refuse(NshError::length);
        view.flags_at_ = base_and_path_bytes;
        m.sci = get24(bytes, 12);
        m.flow_tag = get32(bytes, 16);
    } else if (m.md_type == 2) {
        const std::size_t at = find_md2(bytes.first(view.header_bytes_));
        if (at == 0) return refuse(NshError::no_metadata);
        view.flags_at_ = at;
        m.sci = get24(bytes, at + 4);
        m.tenant_vni = get24(bytes, at + 8);
        m.flow_handle = get32(bytes, at + 20);
        m.flow_tag = get32(bytes, at + 24);
    } else {
        return refuse(NshError::md_type);
    }
    const std::uint16_t flags = get16(bytes, view.flags_at_);
    m.initial_si = bytes[view.flags_at_ + 2];
    m.oam = (base & base_oam) != 0 || (flags & flag_oam) != 0;
    m.reverse = (flags & flag_reverse) != 0;
    m.copy = (flags & flag_copy) != 0;
    m.live_query = (flags & flag_query) != 0;
    m.live_ack = (flags & flag_ack) != 0;
    m.trace = (flags & flag_trace) != 0;
    return view;
}

void NshView::set_live_ack() {
    bytes_[flags_at_ + 1] = static_cast<std::uint8_t>(bytes_[flags_at_ + 1] | flag_ack);
    metadata_.live_ack = true;
}

void NshView::set_header_only_oam() {
    bytes_[3] = next_protocol_none;
    bytes_[0] = static_cast<std::uint8_t>(bytes_[0] | base_oam >> 8);
    bytes_[flags_at_] = static_cast<std::uint8_t>(bytes_[flags_at_] | flag_oam >> 8);
    metadata_.oam = true;
}

void NshView::write_with(const FlowOrder& order, bool oam, std::span<std::uint8_t> to) const {
    // FA of metadata type 1 by order (spec service-plane CT-3).
    static constexpr std::uint8_t actions[] = {0, 1, 2, 3, 4, 5, 0, 0, 6};
    std::copy_n(bytes_.begin(), header_bytes_, to.begin());
    if (oam) {
        to[0] = static_cast<std::uint8_t>(to[0] | base_oam >> 8);
        to[flags_at_] = static_cast<std::uint8_t>(to[flags_at_] | flag_oam >> 8);
    }
    if (metadata_.md_type == 1) {
        const std::uint8_t action = actions[static_cast<std::size_t>(order.order)];
        to[flags_at_ + 1] = static_cast<std::uint8_t>((to[flags_at_ + 1] & 0xf0) | action);
        return;
    }
    const std::size_t words = (header_bytes_ + order_bytes()) / 4;
    to[1] = static_cast<std::uint8_t>((to[1] & 0xc0) | words);
    const std::uint32_t p = order.parameter;
    const std::uint8_t context[] = {0xff,
                                    0xf6,
                                    2,
                                    8,
                                    static_cast<std::uint8_t>(order.order),
                                    static_cast<std::uint8_t>(order.scope),
                                    order.reason,
                                    0,
                                    static_cast<std::uint8_t>(p >> 24),
                                    static_cast<std::uint8_t>(p >> 16),
                                    static_cast<std::uint8_t>(p >> 8),
                                    static_cast<std::uint8_t>(p)};
    std::copy(std::begin(context), std::end(context),
              to.begin() + static_cast<std::ptrdiff_t>(header_bytes_));
}

void NshView::decrement_si() {
    if (bytes_[7] == 0) return;
    --bytes_[7];
    metadata_.si = bytes_[7];
}

}  // namespace weir::service
