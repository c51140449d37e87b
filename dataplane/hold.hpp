#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/emit.hpp"

namespace weir::dataplane {

// Packets that wait for something that will come or not: the facility for fragments, underlay
// neighbours and service paths. Those for nodes and ports on the move stand in arrays of their own
// stages (chain/to_node, chain/stub), which the old host alone fills. Fixed memory of one worker;
// packets stand in the order they came.
//
// What becomes of them is its stage's: look at each in run() or tick(), about every millisecond,
// with release() or each(); let go of all in leave(), where another engine gets the ports.
template <class What, std::size_t places>
class HoldQueue {
public:
    struct Held {
        Packet* packet = nullptr;
        std::uint64_t until_ns = 0;  // the stage gives it up then
        What what{};
    };

    // Takes the packet over. False: there is no room, the packet is still the stage's.
    bool hold(Packet& p, std::uint64_t until_ns, const What& what, Emit& emit) {
        if (count_ == places) return false;
        held_[count_++] = {&p, until_ns, what};
        emit.keep(p);
        return true;
    }
    // visit(Held&) → bool, oldest first. True: the packet is out of here, the visitor has put it
    // into `emit`.
    template <class F>
    void release(F&& visit) {
        std::size_t left = 0;
        for (std::size_t i = 0; i < count_; ++i) {
            if (visit(held_[i])) continue;
            if (left != i) held_[left] = held_[i];
            ++left;
        }
        count_ = left;
    }
    // visit(const Held&)
    template <class F>
    void each(F&& visit) const {
        for (std::size_t i = 0; i < count_; ++i) visit(held_[i]);
    }
    std::size_t size() const { return count_; }

private:
    std::array<Held, places> held_{};
    std::size_t count_ = 0;
};

}  // namespace weir::dataplane
