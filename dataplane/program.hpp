#pragma once
#include <cstdint>
#include <new>
#include <type_traits>
#include <vector>

#include "net/address.hpp"
#include "net/packet.hpp"

namespace weir::dataplane {

// A set of stages of one context; bit = place in the context's list.
using StageBits = std::uint64_t;

enum class Egress : std::uint8_t { none = 0, local_port, tunnel };

// What every packet of one direction of a flow needs done, compiled from the stored decisions.
//
// Valid while Hot::epoch and Hot::engine of the direction fit (part one, up to the insertion point)
// and `behind_epoch` equals the port's epoch (part two, behind it). A packet carries its own copy;
// deciding stages fill it and Emit::store_program() gives it to the flow. Packets of established
// flows go straight to the acting stages it names.
struct ActionProgram {
    StageBits act_before = 0;  // acting stages up to and with the insertion point
    StageBits act_behind = 0;  // acting stages behind it
    std::uint32_t behind_epoch = 0;
    std::uint32_t behind_engine = 0;
    Egress egress = Egress::none;
    bool routed = false;                       // MACs and TTL change
    std::uint16_t mtu = 0;                     // of the way out: largest IP packet; 0: unchecked
    std::uint32_t egress_port = net::no_port;  // local guest port
    std::uint32_t peer = 0;                    // index into the overlay's peers
    std::uint32_t vni = 0;                     // segment behind routing
    net::Mac new_src, new_dst;                 // when routed
    // Of a flow whose record is fused with its receiver's (flow::Table::fuse): the epoch of the
    // receiver's port under which the receiver's own program did no more than to deliver; else 0.
    std::uint32_t reach_epoch = 0;
    std::uint32_t reach_program = 0;  // … and that program's number
    std::uint32_t reserved = 0;

    // Whether part two was compiled under this epoch by this engine instance.
    bool behind_is(std::uint32_t epoch, std::uint32_t engine) const {
        return behind_epoch == epoch && behind_engine == engine;
    }
    friend bool operator==(const ActionProgram&, const ActionProgram&) = default;

    // The stages behind the insertion point write part two anew.
    void drop_behind() {
        const StageBits kept = act_before;
        *this = {};
        act_before = kept;
    }
};

// A worker's programs, each distinct one once: flows name them by number (Hot::program), so that
// millions of flows share a few cache lines of them.
//
// A full store forgets all it has and starts again under another generation; a number of an old
// generation names nothing, and its flow is decided afresh with its next packet. Numbers come
// back after 2^18 generations of 2^14 programs; a record is not left alone for that long.
class ProgramStore {
public:
    static constexpr std::uint32_t none = 0;
    static constexpr std::uint32_t capacity = 1u << 14;

    void open() { entries_.resize(capacity); }
    // The number of this program; never 0.
    std::uint32_t put(const ActionProgram& program);
    // Numbers of another generation than this may be forgotten.
    std::uint32_t generation() const { return generation_; }
    // Null: it is forgotten.
    const ActionProgram* get(std::uint32_t number) const {
        const Entry& entry = entries_[number % capacity];
        return number != none && entry.generation == number / capacity ? &entry.program : nullptr;
    }

private:
    struct Entry {
        ActionProgram program;
        std::uint32_t generation = 0;
    };
    std::uint32_t generation_ = 1;
    std::vector<Entry> entries_;
};

// A fresh program in the packet itself: it lasts as long as the packet, whatever waits before it.
inline ActionProgram* own_program(net::Packet& p) {
    static_assert(sizeof(ActionProgram) <= sizeof(p.program_room));
    static_assert(std::is_trivially_destructible_v<ActionProgram>);
    return new (p.program_room.data()) ActionProgram;
}

}  // namespace weir::dataplane
