#pragma once
#include <cstdint>

#include "dataplane/hold.hpp"
#include "dataplane/stage.hpp"
#include "features/chain/anchor/outages.hpp"
#include "features/chain/plane.hpp"

// Packets of one worker that wait at their anchor for a usable path (failure menu: `hold_packets`,
// `hold_ms` of a chain). They come back to the insertion stage as they left it.
namespace weir::chain {

struct WaitingPacket {
    std::uint64_t outage = 0;   // Outages::key()
    std::uint64_t flow_id = 0;  // its flow's record; the packet goes if that is gone
    std::uint32_t flow_slot = 0;
    std::uint32_t port = 0;         // whose context it is in,
    std::uint32_t incarnation = 0;  // and which of that number
    dataplane::Context context = dataplane::Context::source;
};

// How waiting ended, over all chains of the worker.
enum class WaitEnd : std::uint8_t { served, late, gone };

class WaitingRoom {
public:
    static constexpr std::size_t places = 256;                // of a worker,
    static constexpr std::size_t places_of_port = places / 2;  // of which one port has at most

    Outages outages;
    // Packets that found no place, for all being taken and for their port having its share.
    std::uint64_t full = 0, port_full = 0;

    enum class Taken : std::uint8_t { yes, flow_full, no_room };
    // `call_point_bit` is taken off the packet, so that the stage looks at it again.
    Taken take(dataplane::Packet& p, const Chain& chain, std::uint64_t outage,
               std::uint8_t call_point_bit, dataplane::Emit& emit);
    // Lets go on whoever has waited long enough, or has a path again; ended(sci, WaitEnd) for each.
    template <class F>
    void look(const Plane& plane, dataplane::Emit& emit, F&& ended) {
        if (outages.size() == 0 && held_.size() == 0) return;
        heal(plane, emit);
        held_.release([&](Held& held) {
            WaitEnd how{};
            if (!leave(held, emit, how)) return false;
            ended(Outages::sci_of(held.what.outage), how);
            return true;
        });
    }
    // To the engine that has the ports now: it decides anew.
    void leave_all(dataplane::Emit& emit);
    std::uint64_t waiting(std::uint32_t sci) const;

private:
    using Queue = dataplane::HoldQueue<WaitingPacket, places>;
    using Held = Queue::Held;
    void heal(const Plane& plane, const dataplane::Emit& emit);
    bool leave(Held& held, dataplane::Emit& emit, WaitEnd& how);

    Queue held_;
    std::uint32_t seen_generation_ = 0;  // of the health board,
    std::uint64_t seen_ticket_ = 0;      // and the program, when paths were looked at last
};

}  // namespace weir::chain
