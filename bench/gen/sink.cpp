#include "bench/gen/sink.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "bench/gen/arp.hpp"
#include "bench/gen/noise.hpp"
#include "net/address.hpp"
#include "net/bytes.hpp"
#include "net/wire.hpp"

namespace weir::gen {
namespace {

constexpr std::uint32_t longest_imix = 1510;

bool is_tcp(const Settings& s) {
    return s.work == Work::tcp || s.work == Work::full_tcp;
}

net::Mac mac(const char* text) {
    const Result<net::Mac> parsed = net::Mac::parse(text);
    WEIR_CHECK(parsed.ok(), text);
    return *parsed;
}

}  // namespace

Sink::Sink(const Settings& s, unsigned side, Page& page, Dues& dues)
    : all_(page), page_(page.side[side]), dues_(dues) {
    tcp_ = is_tcp(s);
    at_b_ = side == 1;
    ip6_ = s.ip6;
    checksummed_ = !s.imix;
    noise_ = s.noise != NoiseKind::none;
    if (s.work == Work::udp || s.work == Work::tcp) flows_ = s.flows;
    Shape::Wanted wanted{at_b_ ? Direction::to_b : Direction::to_a, true, tcp_, 0};
    const Shape bare(s, wanted);
    wanted.payload = tcp_ ? data_bytes : 18;
    const Shape shape(s, wanted);
    ip_ = shape.ip();
    l4_ = shape.l4();
    shortest_ = l4_ + (tcp_ ? 20 : 8);
    longest_ = s.imix ? longest_imix : std::max(shape.length(), bare.length());
    build_mask(shape);
}

// Everything in front of the transport header, but what differs from packet to packet.
void Sink::build_mask(const Shape& shape) {
    std::array<std::uint8_t, 128> mask{};
    std::fill_n(mask.begin(), l4_, 0xff);
    const auto any = [&](std::uint32_t at, std::uint32_t bytes) {
        std::fill_n(mask.begin() + at, bytes, 0);
    };
    const std::uint32_t client_in_src = ip6_ ? 23 : 15, client_in_dst = ip6_ ? 39 : 19;
    any(ip_ + (at_b_ ? client_in_src : client_in_dst), 1);
    any(ip_ + (ip6_ ? 4 : 2), 2);     // length
    if (!ip6_) any(ip_ + 10, 2);      // checksum
    if (ip_ > net::ethernet_bytes) {  // the tunnel's own IPv4 and UDP
        any(15, 8);                   // class, length, identification, fragment, hop limit
        any(24, 2);
        any(34, 2);  // source port
        any(38, 4);  // length, checksum
    }
    blocks_ = (l4_ + 15) / 16;
    WEIR_CHECK(blocks_ <= max_blocks, "the headers fit");
    for (std::uint32_t i = 0; i < blocks_; ++i) {
        mask_[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(mask.data()) + i);
        expected_[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(shape.bytes().data()) + i);
    }
}

// What the side under test says on its own behalf is no packet of ours.
void Sink::refuse(const std::uint8_t* frame, std::uint32_t length) {
    const std::uint16_t type = net::load16(frame + 12);
    const bool multicast = frame[0] & 1;
    if (noise_ && type == net::ethertype_ip4 && frame[noise_mark_at] == noise_mark)
        return page_.noise_came.add(1);
    if (type == net::ethertype_arp || multicast || length < 14) {
        page_.other.add(1);
        if (type == net::ethertype_arp && length >= arp_bytes && frame[21] == 1) {
            answer_arp(frame, mac(at_b_ ? peer_mac : client_mac), answer_.data());
            answer_due_ = true;
        }
        return;
    }
    wrong_one(length < shortest_ || length > longest_ ? Wrong::length : Wrong::header);
}

void Sink::look_closely(const std::uint8_t* frame) {
    const std::uint8_t* l4 = frame + l4_;
    const std::uint32_t at_client = at_b_ ? 0 : 2;
    const std::uint8_t* ip = frame + ip_;
    const std::uint32_t client = ip[(ip6_ ? 23 : 15) + (at_b_ ? 0 : (ip6_ ? 16 : 4))] - 1u;
    const FlowName name{client, net::load16(l4 + at_client), net::load16(l4 + 2 - at_client)};
    const bool known = client < (1u << client_bits) && name.client_port >= first_client_port &&
                       name.client_port < first_client_port + (1u << port_bits) &&
                       name.server_port >= first_server_port &&
                       name.server_port < first_server_port + (1u << server_bits) &&
                       (flows_ == 0 || name.flow() < flows_);
    if (!known) wrong_one(Wrong::tuple);
    if (!checksummed_) return;
    const std::uint32_t l4_bytes = ip6_ ? net::load16(ip + 4) : net::load16(ip + 2) - 20u;
    if (l4_bytes > longest_ - l4_) return wrong_one(Wrong::length);
    std::uint64_t sum = swapped16(tcp_ ? net::proto_tcp : net::proto_udp) + swapped16(l4_bytes);
    const std::uint32_t addresses = ip6_ ? 8 : 12, address_bytes = ip6_ ? 32 : 8;
    for (std::uint32_t at = 0; at < address_bytes; at += 2)
        sum += load<std::uint16_t>(ip + addresses + at);
    for (std::uint32_t at = 0; at + 1 < l4_bytes; at += 2) sum += load<std::uint16_t>(l4 + at);
    if (l4_bytes % 2) sum += l4[l4_bytes - 1];
    if (folded(sum) != 0xffff) wrong_one(Wrong::l4_checksum);
}

}  // namespace weir::gen
