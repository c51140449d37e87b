#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "net/address.hpp"
#include "net/smd.hpp"

namespace weir::flow {
struct FlowPair;
}
namespace weir::dataplane {
struct ActionProgram;
}

namespace weir::net {

// Where a packet that changes hands enters (HandOver::entry).
enum class Entry : std::uint8_t {
    receive = 0,   // from the port's device (or again on the worker that owns the flow)
    deliver = 1,   // to this port, from another engine: the destination context starts
    transmit = 2,  // finished; only the device is left (the shell's own use)
};

// HandOver::fragment_known of a later fragment whose first one did not come; its ports are 0.
inline constexpr std::uint8_t fragment_orphan = 2;

// What travels with a packet between workers and between engines: fixed, versioned, no pointers.
struct HandOver {
    std::uint8_t version = 1;
    Entry entry = Entry::receive;
    std::uint8_t dispatched = 0;  // 1: this worker is the owner of the flow; do not send on
    std::uint8_t recirculations = 0;
    std::uint32_t port = 0;          // the port this entry is about
    std::uint32_t vni = 0;           // guest segment the packet travels on
    std::uint32_t serviced_sci = 0;  // SERVICED mark (service-plane DP-27)
    std::uint32_t serviced_anchor = 0;
    std::uint8_t serviced_flags = 0;  // 0: no mark
    // Bit 0 egress, bit 1 ingress (si_done); bit 2: one let it pass without a flow record (DP-10).
    std::uint8_t call_points_done = 0;
    std::uint16_t fragment_src_port = 0;  // ports of the first fragment, for later ones
    std::uint16_t fragment_dst_port = 0;
    std::uint8_t fragment_known = 0;  // 1: these are they; fragment_orphan: nobody knows them
    // Where (as in call_points_done) it goes on only if its flow has a record: nothing else says
    // that it came from here.
    std::uint8_t needs_record = 0;
    std::uint32_t trace_id = 0;     // 0: not traced
    std::uint32_t source_port = 0;  // guest port it came from, if on this host
    std::uint32_t trace_collector = 0;
};
static_assert(sizeof(HandOver) == 40);

// Flags of a packet that shell and engine both understand.
// The L4 checksum field holds only the sum of the pseudo header.
inline constexpr std::uint16_t packet_partial_checksum = 1u << 0;
// Larger than the MTU, to be cut at `segment_bytes`.
inline constexpr std::uint16_t packet_super_frame = 1u << 1;

// The five tuple as it stands in the packet (host byte order). ICMP has no ports: a query carries
// {identifier, request type}, its reply {request type, identifier}, so that each is the other's
// reversed(); any other message has its type in both (see net/parse.hpp).
struct Tuple {
    Ip src, dst;
    std::uint16_t src_port = 0, dst_port = 0;
    std::uint8_t proto = 0;
    std::uint8_t reserved[3] = {};
    friend bool operator==(const Tuple&, const Tuple&) = default;

    Tuple reversed() const {
        Tuple r = *this;
        r.src = dst;
        r.dst = src;
        r.src_port = dst_port;
        r.dst_port = src_port;
        return r;
    }
};

enum class Fragment : std::uint8_t { whole = 0, first, later };

// What parse() found. Offsets are from `Packet::data`; 0 means "not there".
struct Headers {
    std::uint16_t ethertype = 0;  // after VLAN tags
    std::uint16_t vlan = 0;       // outermost tag's TCI; see vlan_count
    std::uint8_t vlan_count = 0;
    Family family = Family::none;
    Fragment fragment = Fragment::whole;
    std::uint8_t tcp_flags = 0;
    std::uint16_t l3 = 0;       // IP header
    std::uint16_t l4 = 0;       // TCP/UDP/ICMP header; 0 for later fragments and unknown
    std::uint16_t payload = 0;  // behind the L4 header
    std::uint16_t l3_end = 0;   // end of the IP packet (behind it: Ethernet padding)
    std::uint8_t proto = 0;     // last header, extension headers skipped
    std::uint8_t ttl = 0;       // or hop limit
    std::uint8_t icmp_type = 0, icmp_code = 0;
    std::uint32_t fragment_id = 0;
    std::uint16_t fragment_offset = 0;  // bytes
    bool icmp_error = false;            // then `tuple` is that of the embedded packet, reversed
    bool fragment_more = false;
};

inline constexpr std::uint32_t no_port = 0xffffffffu;
inline constexpr std::uint8_t no_exit = 0xff;
inline constexpr std::uint8_t no_slot = 0xff;

// One packet, linear. Lives in memory of the port that made it (the mbuf's private area for DPDK).
//
// The first line belongs to shell and engine alike; the rest to the engine that holds the packet
// and is meaningless to any other (the HandOver is what travels). Who makes a packet sets the first
// two lines, the engine that receives it the rest.
struct alignas(64) Packet {
    // line 0: shell and engine
    std::uint8_t* data = nullptr;
    std::uint32_t length = 0;
    std::uint32_t headroom = 0;  // bytes free before data
    std::uint32_t tailroom = 0;  // bytes free behind data + length
    std::uint16_t flags = 0;
    std::uint16_t segment_bytes = 0;      // super-frames: TCP payload per segment
    std::uint32_t egress_port = no_port;  // set by tx
    std::uint32_t egress_queue = 0;
    void* owner = nullptr;  // the port library's own handle

    // line 1: what travels between workers and engines
    alignas(64) HandOver hand;

    // engine scratch
    alignas(64) std::uint64_t pending = 0;  // stages that still want it; bit = place in context
    std::uint8_t context = 0;               // dataplane::Context
    std::uint8_t direction = 0;             // 0: initiator → responder of `flow`
    bool flow_is_new = false;
    std::uint32_t hash = 0;  // symmetric, of `tuple`
    std::uint32_t vni = 0;
    std::uint32_t source_port = no_port;       // guest port the packet left, if on this host
    std::uint32_t destination_port = no_port;  // guest port it goes to, if on this host
    std::uint32_t tunnel_peer = no_port;       // index of the tunnel endpoint it came from, goes to
    flow::FlowPair* flow = nullptr;
    dataplane::ActionProgram* program = nullptr;  // of this packet's flow and direction
    std::uint8_t exit = no_exit;                  // reason of the stage that dropped it
    std::uint8_t slot = no_slot;                  // place in the burst of the running stage
    Headers headers;
    Tuple tuple;
    Smd smd;                      // valid on the service plane
    bool oam = false;             // Geneve O: control or liveness, never a guest's packet
    std::uint8_t ctrl_count = 0;  // how many of `ctrl` there are
    // For a packet without a flow: `program` points here (dataplane/program.hpp).
    alignas(8) std::array<std::byte, 64> program_room;
    // Contents of CTRL options (spec §6.1).
    std::array<std::array<std::uint8_t, 28>, 4> ctrl;

    // The engine's part as of a packet that has just come in.
    void clear_scratch() {
        pending = 0;
        context = direction = 0;
        flow_is_new = false;
        hash = vni = 0;
        source_port = destination_port = tunnel_peer = no_port;
        flow = nullptr;
        program = nullptr;
        exit = no_exit;
        slot = no_slot;
        headers = {};
        tuple = {};
        oam = false;
        ctrl_count = 0;
    }

    std::span<std::uint8_t> bytes() { return {data, length}; }
    std::span<const std::uint8_t> bytes() const { return {data, length}; }

    // Room for `n` more bytes in front; null when the headroom is too small.
    std::uint8_t* prepend(std::uint32_t n) {
        if (headroom < n) return nullptr;
        data -= n;
        headroom -= n;
        length += n;
        return data;
    }
    bool strip(std::uint32_t n) {
        if (length < n) return false;
        data += n;
        headroom += n;
        length -= n;
        return true;
    }
    std::uint8_t* append(std::uint32_t n) {
        if (tailroom < n) return nullptr;
        std::uint8_t* end = data + length;
        tailroom -= n;
        length += n;
        return end;
    }
    bool trim_to(std::uint32_t n) {
        if (n > length) return false;
        tailroom += length - n;
        length = n;
        return true;
    }
};
inline constexpr std::size_t packet_bytes = 512;
static_assert(sizeof(Packet) <= packet_bytes);

}  // namespace weir::net
