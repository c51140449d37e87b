#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "features/all.hpp"
#include "features/first.hpp"
#include "flow/table.hpp"
#include "net/quick.hpp"

namespace weir::features {

// The way of packets whose flow is decided, in one pass over a burst: read, find the flow, follow
// it, do what its program says, send. What it costs does not depend on rules, chains or features.
//
// It decides nothing and drops nothing. A packet that is in any way unusual (headers, flags, a
// trace, a new or stale flow, a state other than established, a service chain, a way that needs a
// look) takes the stages of all.hpp instead, untouched; so does every packet of the same flow
// behind it in the burst. For the others it does what the stages would have done, to the packet,
// the flow and every counter (express_test.cpp holds the two against each other).
class Express {
public:
    Express(dataplane::Emit& emit, Plane::Worker& pipeline)
        : emit_(emit), pipeline_(pipeline), first_(emit, pipeline) {}

    // Sends what it can; moves the rest to the front of `packets`, in order, and returns how many.
    std::uint32_t run(std::span<net::Packet*> packets, const Plane::Tables& tables);

    // Packets that went this way, and records that were made for them.
    std::uint64_t packets() const { return packets_; }
    std::uint64_t flows() const { return first_.opened(); }

private:
    // A packet on its way to the flow record that its next port keeps.
    struct Lane {
        net::Packet* packet = nullptr;
        const dataplane::PortEntry* port = nullptr;
        std::uint32_t place = 0;  // in the burst
        std::uint32_t strip = 0;  // from the underlay: tunnel headers still in front of the frame
        std::uint32_t end = 0;    // … and where the tunnel packet ends
        net::QuickFrame frame;
    };
    static_assert(limits::max_burst <= 32, "a bit for each packet of a burst");
    // Packets in one kind of guest context.
    struct Road {
        std::array<Lane*, limits::max_burst> lanes;
        std::uint32_t size = 0;
        std::uint64_t slow = 0;  // a bit for each flow that left the road, by hash

        void join(Lane& lane) { lanes[size++] = &lane; }
        void leave(const net::QuickFrame& frame) { slow |= 1ull << frame.hash % 64; }
        void leave(const Lane& lane, std::uint32_t& stays) {
            leave(lane.frame);
            stays |= 1u << lane.place;
        }
        bool is_slow(const net::QuickFrame& frame) const { return slow >> frame.hash % 64 & 1; }
    };
    using Hits = std::array<flow::Table::Hit, limits::max_burst>;
    enum class Way : std::uint8_t { taken, joined, slow };

    Way enter(Lane& lane);
    Way enter_from_guest(const dataplane::PortEntry& port, Lane& lane);
    Way enter_from_tunnel(Lane& lane);
    bool is_peer(const net::Ip& address);
    bool send_to_owner(net::Packet& p, const net::QuickFrame& frame);
    const dataplane::PortEntry* guest_behind(std::uint32_t vni, const std::uint8_t* frame);
    const dataplane::ActionProgram* program_of(const flow::Table::Hit& hit,
                                               const dataplane::PortEntry& port) const;

    void find(Road& road, Hits& hits);
    bool follow(const Lane& lane, const flow::Table::Hit& hit);
    bool take(const Lane& lane, const flow::Table::Hit& hit, std::uint32_t bytes, bool outgoing);
    bool leave_guest(Lane& lane, const flow::Table::Hit& hit);
    bool reach_guest(Lane& lane, const flow::Table::Hit& hit);
    void reach_guest_by_stages(Lane& lane);

    dataplane::Emit& emit_;
    Plane::Worker& pipeline_;
    First first_;
    std::array<Lane, limits::max_burst> lanes_;  // by place in the burst
    Road source_, destination_;
    std::uint32_t tunnel_mtu_ = 0;  // largest IP packet of a guest that the underlay takes
    std::uint32_t neighbour_changes_ = 0;
    std::uint64_t packets_ = 0;

    // Where a tunnel's inner destination is, for the program of `ticket`.
    struct Place {
        std::uint64_t mac = 0;
        std::uint64_t ticket = 0;
        std::uint32_t vni = 0;
        std::uint32_t port = net::no_port;
    };
    std::array<Place, 256> places_{};
    struct Sender {
        net::Ip address;
        std::uint64_t ticket = 0;
    };
    std::array<Sender, 64> senders_{};
};

}  // namespace weir::features
