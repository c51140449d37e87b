#pragma once
#include <algorithm>
#include <cstdint>

#include "dataplane/device.hpp"

namespace weir::host {

// What a port has had of its worker's time, and whether it may have more while others want some.
//
// Ports take turns by time, not by packets: a burst takes from the port's credit what it cost, and
// whoever has none left waits while those who have some have more to do. A packet that came to
// nothing counts as sixteen, so that a flood of what must be refused, or of handshakes that drive
// each other out, leaves the others nearly all they had. While no other port has more to do than it
// gets done, a port may use the whole worker.
class PortShare {
public:
    static constexpr std::int64_t quantum_ns = 10'000;
    static constexpr std::uint32_t vain_weight = 16;
    static constexpr std::uint32_t bursts_per_look = 8;  // the clock is read for one in so many

    bool has_credit() const { return credit_ns_ > 0; }
    std::int64_t credit_ns() const { return credit_ns_; }

    // The port had nothing to do: what it did before is forgotten.
    void rest() { credit_ns_ = quantum_ns; }

    // Whether the time of the next burst is wanted, for learn().
    bool look() { return looks_++ % bursts_per_look == 0; }

    // One burst took so long. Dearer packets are believed step by step: the worker may have been
    // without its core meanwhile.
    void learn(std::uint64_t ns, std::uint32_t packets) {
        const std::uint64_t each = std::max<std::uint64_t>(ns / packets, 1);
        each_ns_ = std::min(each, 2 * each_ns_ + 16);
    }

    // A burst was handled; `in_vain` of its packets came to nothing.
    void charge(std::uint32_t packets, std::uint32_t in_vain, std::uint64_t now_ns) {
        in_vain = std::min(in_vain, packets);
        const std::uint64_t weight = packets + std::uint64_t{vain_weight - 1} * in_vain;
        used_ns.add(packets * each_ns_);
        credit_ns_ -= static_cast<std::int64_t>(weight * each_ns_);
        if (credit_ns_ <= 0) waits_since_ns_ = now_ns;
    }

    // Everybody gets so much; nobody saves up more than a quantum.
    void grant(std::int64_t ns, std::uint64_t now_ns) {
        const bool waited = !has_credit();
        credit_ns_ = std::min(credit_ns_ + ns, quantum_ns);
        if (waited && has_credit()) waited_ns.add(now_ns - waits_since_ns_);
    }

    // The place is another port's, or its device is.
    void begin_anew() {
        credit_ns_ = quantum_ns;
        each_ns_ = first_each_ns;
        used_ns.add(0 - used_ns.get());
        waited_ns.add(0 - waited_ns.get());
    }

    dataplane::Tally used_ns;    // time the worker spent on the port's packets, about
    dataplane::Tally waited_ns;  // time the port had no credit

private:
    static constexpr std::uint64_t first_each_ns = 64;
    std::int64_t credit_ns_ = quantum_ns;
    std::uint64_t each_ns_ = first_each_ns;  // what a packet costs
    std::uint64_t waits_since_ns_ = 0;
    std::uint32_t looks_ = 0;
};

}  // namespace weir::host
