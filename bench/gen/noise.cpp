#include "bench/gen/noise.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "net/bytes.hpp"
#include "net/wire.hpp"

namespace weir::gen {
namespace {

using net::FrameBuilder;
using Frame = std::vector<std::uint8_t>;

constexpr std::uint32_t ip_at = 14, source_at = ip_at + 12;
constexpr std::uint8_t tcp_rst = 4;

net::Mac mac(const char* text) {
    const Result<net::Mac> parsed = net::Mac::parse(text);
    WEIR_CHECK(parsed.ok(), text);
    return *parsed;
}

// As long as the others, unless it is to be shorter than its headers say.
Frame padded(Frame frame) {
    frame.resize(std::max<std::size_t>(frame.size(), 60));
    return frame;
}

Frame changed(Frame frame, std::uint32_t at, std::uint8_t value) {
    frame.at(at) = value;
    return frame;
}

}  // namespace

Noise::Noise(const Settings& settings) : flows_(settings.flows), apart_(settings.apart) {
    if (settings.noise == NoiseKind::bad) make_bad();
    if (settings.noise == NoiseKind::syn)
        add(from_guest().tcp(0, 0, tcp_syn).build(), {.random_source = true});
}

FrameBuilder Noise::from(const char* address) const {
    FrameBuilder builder;
    builder.eth(mac(server_mac), mac(apart_ ? noise_mac : client_mac))
        .ip(address, "10.1.1.1")
        .traffic_class(noise_mark);
    return builder;
}

void Noise::add(Frame frame, Kind kind) {
    kind.frame = std::move(frame);
    WEIR_CHECK(kind.frame.size() <= 192, "a frame fits");
    kinds_.push_back(std::move(kind));
}

void Noise::make_bad() {
    const auto segment = [](FrameBuilder builder, std::uint8_t flags = tcp_ack) {
        return padded(builder.tcp(0, 0, flags).payload(data_bytes).build());
    };
    // Fragments: without a first one, first ones, too small (RFC 1858), into the header.
    add(padded(from_guest().fragment(0, 1480, false).proto(6).payload(26).build()), {});
    add(padded(from_guest().fragment(0, 0, true).tcp(0, 0, tcp_ack).payload(4).build()), {});
    add(padded(from_guest().fragment(0, 0, true).proto(6).payload(8).build()), {});
    add(padded(from_guest().fragment(0, 8, false).proto(6).payload(26).build()), {});
    // Options: harmless ones, and a source route that is longer than the header.
    add(segment(from_guest().ip4_options({1, 1, 1, 0})), {.ip_bytes = 24});
    add(segment(from_guest().ip4_options({0x83, 200, 4, 0})), {.ip_bytes = 24});
    // Cut: shorter than the packet says, than its header, than TCP's, than any.
    add(changed(segment(from_guest()), ip_at + 2, 5), {});
    Frame cut = changed(segment(from_guest()), ip_at, 0x4f);
    add(cut, {.sealed = false});
    add(changed(segment(from_guest()), ip_at + 20 + 12, 0xf0), {});
    cut = segment(from_guest());
    cut.resize(ip_at + 10);
    add(cut, {.sealed = false, .own_addresses = true});
    // Forged: version, checksum, flags that no TCP sends, a blind RST, others' addresses.
    add(changed(segment(from_guest()), ip_at, 0x75), {.sealed = false});
    add(segment(from_guest().bad_ip_checksum()), {.sealed = false});
    add(segment(from_guest(), tcp_syn | tcp_fin), {});
    add(segment(from_guest(), 0), {});
    add(segment(from_guest(), tcp_rst), {});
    add(segment(from("192.0.2.1")), {.own_addresses = true});
    add(segment(from("10.1.1.1")), {.own_addresses = true});
    FrameBuilder other_mac = from_guest();
    add(segment(other_mac.eth(mac(server_mac), mac(peer_mac))), {});
}

std::uint32_t Noise::random() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<std::uint32_t>(state_ >> 16);
}

std::uint32_t Noise::write(std::uint8_t* frame) {
    Kind& kind = kinds_[next_];
    next_ = next_ + 1 == kinds_.size() ? 0 : next_ + 1;
    std::copy(kind.frame.begin(), kind.frame.end(), frame);
    const auto length = static_cast<std::uint32_t>(kind.frame.size());
    if (length < ip_at + 20) return length;
    const std::uint32_t number = random();
    std::memcpy(frame + ip_at + 4, &number,
                2);  // of the datagram: no two fragments belong together
    if (kind.random_source) name_stranger(frame);
    else if (!kind.own_addresses) name_flow(kind, frame);
    if (!kind.sealed) return length;
    net::store16(frame + ip_at + 10, 0);
    std::uint64_t sum = 0;
    for (std::uint32_t at = 0; at < kind.ip_bytes; at += 2)
        sum += load<std::uint16_t>(frame + ip_at + at);
    store16(frame + ip_at + 10, static_cast<std::uint16_t>(~folded(sum)));
    return length;
}

// The addresses and ports of a flow that lives, with numbers of nowhere; apart, only the ports.
void Noise::name_flow(Kind& kind, std::uint8_t* frame) {
    const FlowName name = FlowName::of(random() % flows_);
    std::uint8_t* l4 = frame + ip_at + kind.ip_bytes;
    const std::uint32_t numbers[2] = {random(), random()};
    if (!apart_) frame[source_at + 3] = static_cast<std::uint8_t>(1 + name.client);
    net::store16(l4, static_cast<std::uint16_t>(name.client_port));
    net::store16(l4 + 2, static_cast<std::uint16_t>(name.server_port));
    std::memcpy(l4 + 4, numbers, sizeof numbers);
}

// Any unicast address but our own network's.
void Noise::name_stranger(std::uint8_t* frame) {
    std::uint8_t* l4 = frame + ip_at + 20;
    const std::uint32_t address = random(), ports = random(), sequence = random();
    std::memcpy(frame + source_at, &address, 4);
    frame[source_at] = static_cast<std::uint8_t>(11 + frame[source_at] % 100);
    std::memcpy(l4, &ports, 2);
    net::store16(l4 + 2, static_cast<std::uint16_t>(first_server_port + (ports >> 18)));
    std::memcpy(l4 + 4, &sequence, 4);
    store16(l4 + 16, 0);
    std::uint64_t sum = swapped16(net::proto_tcp) + swapped16(20);
    for (std::uint32_t at = source_at; at < ip_at + 40; at += 2)
        sum += load<std::uint16_t>(frame + at);
    store16(l4 + 16, static_cast<std::uint16_t>(~folded(sum)));
}

}  // namespace weir::gen
