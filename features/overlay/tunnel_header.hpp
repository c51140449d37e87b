#pragma once
#include <array>
#include <cstdint>

#include "features/overlay/neighbour_cache.hpp"
#include "net/geneve.hpp"
#include "net/packet.hpp"
#include "net/wire.hpp"

namespace weir::overlay {

// Everything in front of a guest's frame on its way to one peer over IPv4, ready to be copied: only
// lengths, their checksum, the source port and the VNI differ between packets.
class TunnelHeader {
public:
    static constexpr std::uint32_t bytes = net::outer_bytes_ip4 + net::geneve_bytes;

    // What a header is worth: the peer it leads to, the program and the neighbourhood it was made
    // from, and until when nobody needs to ask the neighbour again.
    struct Validity {
        std::uint32_t peer = net::no_port;
        std::uint32_t neighbour_changes = 0;
        std::uint64_t ticket = 0;
        std::uint64_t until_ns = 0;
    };

    // Takes the header off a finished packet; options of its Geneve header stay behind.
    void copy(const std::uint8_t* packet, const Validity& validity);
    bool fits(std::uint32_t peer, std::uint64_t ticket, std::uint32_t changes,
              std::uint64_t now_ns) const {
        return validity_.peer == peer && validity_.ticket == ticket &&
               validity_.neighbour_changes == changes && now_ns < validity_.until_ns;
    }
    // Puts the header in front of the packet, which has the headroom.
    void push(net::Packet& p, std::uint32_t vni, std::uint32_t inner_hash) const;

private:
    std::array<std::uint8_t, bytes> header_{};
    std::uint32_t checksum_part_ = 0;  // of the IPv4 header with total length 0, not folded
    Validity validity_;
};

// The headers of one worker, found by peer.
class TunnelHeaders {
public:
    const TunnelHeader* find(std::uint32_t peer, std::uint64_t ticket, std::uint32_t changes,
                             std::uint64_t now_ns) const {
        const TunnelHeader& header = headers_[peer % headers_.size()];
        return header.fits(peer, ticket, changes, now_ns) ? &header : nullptr;
    }
    void keep(const std::uint8_t* packet, const TunnelHeader::Validity& validity) {
        headers_[validity.peer % headers_.size()].copy(packet, validity);
    }

private:
    std::array<TunnelHeader, 256> headers_{};
};

// A frame in a tunnel over IPv4 as nearly all are: no IP options, whole, no UDP checksum. Outer and
// Decap judge everything else.
struct QuickTunnel {
    net::Ip from;
    std::uint32_t vni = 0;
    std::uint32_t inner = 0;  // offset of the guest's frame
    std::uint32_t end = 0;    // of the IP packet
    bool plain = false;       // neither Geneve options nor flags: nothing to be said but the VNI
};
bool read_quick_tunnel(const std::uint8_t* frame, std::uint32_t length, const net::Ip& own_address,
                       QuickTunnel& out);

}  // namespace weir::overlay
