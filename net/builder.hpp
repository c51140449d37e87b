#pragma once
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "net/packet.hpp"
#include "net/wire.hpp"

// Frames spelled out field by field, for tests, traces and the lab's packet tool. Not for the hot
// path.
namespace weir::net {

// A Packet with memory of its own. Movable; the frame stays where it is.
class PacketBuffer {
public:
    static constexpr std::uint32_t default_room = 256;

    explicit PacketBuffer(std::span<const std::uint8_t> frame = {},
                          std::uint32_t headroom = default_room,
                          std::uint32_t tailroom = default_room);
    Packet& packet() { return packet_; }
    const Packet& packet() const { return packet_; }
    std::vector<std::uint8_t> frame() const {
        return {packet_.data, packet_.data + packet_.length};
    }

private:
    std::vector<std::uint8_t> memory_;
    Packet packet_;
};

// What a frame is to say. build() derives lengths and checksums.
struct FrameSpec {
    Mac dst_mac{{0x02, 0, 0, 0, 0, 2}}, src_mac{{0x02, 0, 0, 0, 0, 1}};
    std::vector<std::uint16_t>
        vlans;                    // TCIs, outermost first; two or more: the outermost is 0x88a8
    std::uint16_t ethertype = 0;  // 0: by the family of `src`

    bool has_ip = false;
    Ip src, dst;
    std::uint8_t proto = 0, ttl = 64, traffic_class = 0;
    bool dont_fragment = false;  // IPv4
    bool more_fragments = false;
    bool fragment_header = false;       // IPv6: add one even if whole
    std::uint16_t fragment_offset = 0;  // bytes
    std::uint32_t fragment_id = 0;
    std::vector<std::uint8_t> ip4_options;  // padded with zeros to a multiple of 4
    // IPv6: {kind, content behind the next-header byte}; the contents carry their own length byte
    std::vector<std::pair<std::uint8_t, std::vector<std::uint8_t>>> extensions;

    std::uint16_t src_port = 0, dst_port = 0;
    std::uint32_t sequence = 0, acknowledgement = 0;
    std::uint8_t tcp_flags = 0;
    std::uint16_t window = 65535;
    std::vector<std::uint8_t> tcp_options;  // padded like ip4_options

    std::uint8_t icmp_type = 0, icmp_code = 0;
    std::uint32_t icmp_rest = 0;  // bytes 4…7: identifier and sequence, MTU, …

    std::vector<std::uint8_t> payload;  // behind the L4 header, or behind Ethernet without IP
    bool bad_ip_checksum = false, bad_l4_checksum = false;
    bool no_udp_checksum = false;
};

std::vector<std::uint8_t> build(const FrameSpec&);

// FrameBuilder().ip("10.0.0.1", "10.0.0.2").tcp(4000, 80, tcp_syn).payload(100).build()
class FrameBuilder {
public:
    FrameBuilder& eth(const Mac& dst, const Mac& src);
    FrameBuilder& ethertype(std::uint16_t value);
    FrameBuilder& vlan(std::uint16_t tci);  // call again for the inner tag
    FrameBuilder& ip(const Ip& src, const Ip& dst);
    FrameBuilder& ip(std::string_view src,
                     std::string_view dst);  // aborts on text that is no address
    FrameBuilder& ttl(std::uint8_t);
    FrameBuilder& traffic_class(std::uint8_t);
    FrameBuilder& df();
    FrameBuilder& fragment(std::uint32_t id, std::uint16_t offset_bytes, bool more);
    FrameBuilder& ip4_options(std::vector<std::uint8_t>);
    FrameBuilder& extension(std::uint8_t kind, std::vector<std::uint8_t> content);
    FrameBuilder& proto(std::uint8_t);  // no L4 header of its own
    FrameBuilder& tcp(std::uint16_t src_port, std::uint16_t dst_port, std::uint8_t flags,
                      std::uint32_t sequence = 0, std::uint32_t acknowledgement = 0);
    FrameBuilder& tcp_options(std::vector<std::uint8_t>);
    FrameBuilder& udp(std::uint16_t src_port, std::uint16_t dst_port);
    FrameBuilder& icmp(std::uint8_t type, std::uint8_t code, std::uint32_t rest);  // family of ip()
    FrameBuilder& echo(std::uint16_t identifier, std::uint16_t sequence, bool reply = false);
    FrameBuilder& payload(std::size_t bytes);  // 0 1 2 3 …
    FrameBuilder& payload(std::vector<std::uint8_t>);
    FrameBuilder& bad_ip_checksum();
    FrameBuilder& bad_l4_checksum();
    FrameBuilder& no_udp_checksum();

    const FrameSpec& spec() const { return spec_; }
    std::vector<std::uint8_t> build() const { return net::build(spec_); }
    PacketBuffer packet() const { return PacketBuffer(build()); }  // not parsed

private:
    FrameSpec spec_;
};

// `bytes` bytes 0 1 2 3 …, the payload of built frames unless they say otherwise.
std::vector<std::uint8_t> counting_payload(std::size_t bytes);

}  // namespace weir::net
