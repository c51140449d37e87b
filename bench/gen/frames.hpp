#pragma once
#include <emmintrin.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "bench/gen/settings.hpp"

// Frames of a flow, made from a template and a few sums.
namespace weir::gen {

inline constexpr std::uint8_t tcp_fin = 1, tcp_syn = 2, tcp_psh = 8, tcp_ack = 16;
inline constexpr std::uint32_t data_bytes = 6;  // of TCP payload: 60 bytes of frame over IPv4
inline constexpr std::uint32_t client_bits = 2, port_bits = 15, server_bits = 14;
inline constexpr std::uint32_t first_client_port = 16384, first_server_port = 1000;
inline constexpr std::uint32_t outer_bytes = 50;  // Ethernet, IPv4, UDP, Geneve

enum class Direction : std::uint8_t { to_b = 0, to_a = 1 };

// The flow's own part of the five tuple. The client is side a.
struct FlowName {
    std::uint32_t client;       // its address: 0 … 3
    std::uint32_t client_port;  // host byte order
    std::uint32_t server_port;

    static FlowName of(std::uint32_t flow) {
        return {flow & ((1u << client_bits) - 1),
                first_client_port + (flow >> client_bits & ((1u << port_bits) - 1)),
                first_server_port + (flow >> (client_bits + port_bits))};
    }
    std::uint32_t flow() const {
        return client | (client_port - first_client_port) << client_bits |
               (server_port - first_server_port) << (client_bits + port_bits);
    }
};

inline std::uint16_t folded(std::uint64_t sum) {
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>((sum & 0xffff) + (sum >> 16));
}
inline void store16(std::uint8_t* to, std::uint16_t as_in_memory) {
    std::memcpy(to, &as_in_memory, 2);
}
template <class T>
T load(const std::uint8_t* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}
inline std::uint16_t swapped16(std::uint32_t value) {
    return __builtin_bswap16(static_cast<std::uint16_t>(value));
}

// What of a frame's flow enters the sums of SidePage: addresses and ports as they stand in memory.
inline std::uint64_t tuple_sum(const std::uint8_t* ip, const std::uint8_t* l4, bool ip6) {
    const std::uint64_t addresses =
        ip6 ? load<std::uint64_t>(ip + 16) + load<std::uint64_t>(ip + 32)
            : load<std::uint64_t>(ip + 12);
    return addresses + load<std::uint32_t>(l4);
}

// A frame with holes: client address, ports, numbers, checksums.
class Shape {
public:
    struct Wanted {
        Direction direction = Direction::to_b;
        bool arrived = false;  // as it must come back, not as it is sent
        bool tcp = false;
        std::uint32_t payload = 0;
    };
    Shape() = default;
    Shape(const Settings& settings, const Wanted& wanted);

    std::uint32_t length() const { return length_; }
    std::uint32_t ip() const { return ip_; }
    std::uint32_t l4() const { return l4_; }

    // Both return what the frame adds to the sums. `frame` has room for 192 bytes.
    std::uint64_t write_udp(std::uint8_t* frame, std::uint32_t flow) const {
        const FlowName name = FlowName::of(flow);
        const std::uint32_t ports = start(frame, name, flow);
        if (checksummed_) {
            std::uint64_t sum = l4_sum_ + (std::uint64_t{1 + name.client} << 8);
            sum += (ports & 0xffff) + (ports >> 16);
            const auto sealed = static_cast<std::uint16_t>(~folded(sum));
            store16(frame + l4_ + 6, sealed ? sealed : 0xffff);
        }
        return added(name, ports);
    }
    std::uint64_t write_tcp(std::uint8_t* frame, std::uint32_t flow, std::uint8_t flags,
                            std::uint32_t sequence, std::uint32_t acknowledgement) const {
        const FlowName name = FlowName::of(flow);
        const std::uint32_t ports = start(frame, name, flow);
        std::uint8_t* tcp = frame + l4_;
        const std::uint32_t numbers[2] = {__builtin_bswap32(sequence),
                                          __builtin_bswap32(acknowledgement)};
        std::memcpy(tcp + 4, numbers, 8);
        tcp[13] = flags;
        std::uint64_t sum = l4_sum_ + (std::uint64_t{1 + name.client} << 8);
        sum += std::uint64_t{ports} + numbers[0] + numbers[1] + (std::uint64_t{flags} << 8);
        store16(tcp + 16, static_cast<std::uint16_t>(~folded(sum)));
        return added(name, ports);
    }

    const std::array<std::uint8_t, 192>& bytes() const { return bytes_; }

private:
    // Template, client address, IP checksum, ports (returned as they stand in memory).
    std::uint32_t start(std::uint8_t* frame, const FlowName& name, std::uint32_t flow) const {
        for (std::uint32_t at = 0; at < copied_; at += 16)
            _mm_storeu_si128(reinterpret_cast<__m128i*>(frame + at),
                             _mm_load_si128(reinterpret_cast<const __m128i*>(bytes_.data() + at)));
        frame[client_at_] = static_cast<std::uint8_t>(1 + name.client);
        if (!ip6_)
            store16(frame + ip_ + 10, static_cast<std::uint16_t>(~folded(
                                          ip_sum_ + (std::uint64_t{1 + name.client} << 8))));
        if (tunnel_) store16(frame + 34, swapped16(0xc000 | (flow & 0x3fff)));  // entropy
        const std::uint32_t client = swapped16(name.client_port);
        const std::uint32_t server = swapped16(name.server_port);
        const std::uint32_t ports = to_b_ ? client | server << 16 : server | client << 16;
        std::memcpy(frame + l4_, &ports, 4);
        return ports;
    }
    std::uint64_t added(const FlowName& name, std::uint32_t ports) const {
        return address_sum_ + (std::uint64_t{1 + name.client} << client_shift_) + ports;
    }

    alignas(64) std::array<std::uint8_t, 192> bytes_{};
    std::uint32_t length_ = 0, copied_ = 0;
    std::uint32_t ip_ = 0, l4_ = 0, client_at_ = 0, client_shift_ = 0;
    std::uint64_t ip_sum_ = 0, l4_sum_ = 0;  // of everything but the holes
    std::uint64_t address_sum_ = 0;
    bool ip6_ = false, to_b_ = true, tunnel_ = false, checksummed_ = true;
};

// Fixed names of the world around the side under test; the driver configures it accordingly.
inline constexpr const char *client_mac = "02:00:00:00:0a:01", *server_mac = "02:00:00:00:0b:01",
                            *noise_mac = "02:00:00:00:0c:01", *router_mac = "02:00:5a:00:00:01",
                            *peer_mac = "02:5b:00:00:00:02",
                            *host_mac = "02:5b:00:00:00:01";  // of both tunnel endpoints
inline constexpr const char *host_tunnel_ip = "10.0.0.1", *peer_tunnel_ip = "10.0.0.2";
inline constexpr std::uint32_t vni_near = 5001, vni_far = 5002;  // clients' and servers' segment

}  // namespace weir::gen
