#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/limits.hpp"
#include "dataplane/device.hpp"

namespace weir::host {

// What a port has had of its worker's time, and whether it may have more while others want some.
//
// Ports take turns by time, not by packets: a burst takes from the port's credit what it cost, and
// whoever has none left waits until those who have some have nothing to do. A packet that came to
// nothing counts as sixteen, so that a flood of what must be refused leaves the others nearly all
// they had. While nobody else has work, a port may use the whole worker. What its packets cost
// other workers that refuse them, it pays for by waiting.
class PortShare {
public:
    static constexpr std::int64_t quantum_ns = 10'000;
    static constexpr std::uint32_t refused_weight = 16;
    static constexpr std::uint32_t bursts_per_look = 8;  // the clock is read for one in so many
    static constexpr std::uint64_t refused_elsewhere_ns = 250;  // what one costs, about

    bool has_credit() const { return credit_ns_ > 0; }
    std::int64_t credit_ns() const { return credit_ns_; }
    // Waits until some time, whatever others do.
    bool is_held(std::uint64_t now_ns) const { return now_ns < held_until_ns_; }

    // The port had nothing to do: what it did before is forgotten.
    void rest() { credit_ns_ = quantum_ns; }

    // Whether the time of the next burst is wanted, for learn(), and what others refused.
    bool look() { return looks_++ % bursts_per_look == 0; }

    // One burst took so long. Dearer packets are believed step by step: the worker may have been
    // without its core meanwhile.
    void learn(std::uint64_t ns, std::uint32_t packets) {
        const std::uint64_t each = std::max<std::uint64_t>(ns / packets, 1);
        each_ns_ = std::min(each, 2 * each_ns_ + 16);
    }

    // A burst was handled; `refused` of its packets came to nothing.
    void charge(std::uint32_t packets, std::uint32_t refused, std::uint64_t now_ns) {
        refused = std::min(refused, packets);
        const std::uint64_t weight = packets + std::uint64_t{refused_weight - 1} * refused;
        used_ns.add(packets * each_ns_);
        credit_ns_ -= static_cast<std::int64_t>(weight * each_ns_);
        if (credit_ns_ <= 0) waits_since_ns_ = now_ns;
    }

    // Other workers have refused so many of its packets since the port got its place.
    void refused_elsewhere(std::uint64_t packets, std::uint64_t now_ns) {
        const std::uint64_t fresh = packets - known_elsewhere_;
        known_elsewhere_ = packets;
        if (fresh == 0) return;
        held_until_ns_ = now_ns + fresh * refused_weight * refused_elsewhere_ns;
        if (has_credit()) waits_since_ns_ = now_ns;
        credit_ns_ = std::min<std::int64_t>(credit_ns_, 0);
    }

    // Everybody gets so much; nobody saves up more than a quantum.
    void grant(std::int64_t ns, std::uint64_t now_ns) {
        if (is_held(now_ns)) return;
        const bool waited = !has_credit();
        credit_ns_ = std::min(credit_ns_ + ns, quantum_ns);
        if (waited && has_credit()) waited_ns.add(now_ns - waits_since_ns_);
    }

    // The place is another port's, or its device is.
    void begin_anew() {
        credit_ns_ = quantum_ns;
        each_ns_ = first_each_ns;
        held_until_ns_ = 0;
        used_ns.add(0 - used_ns.get());
        waited_ns.add(0 - waited_ns.get());
    }

    dataplane::Tally used_ns;    // time the worker spent on the port's packets, about
    dataplane::Tally waited_ns;  // time the port had no credit while others worked

private:
    static constexpr std::uint64_t first_each_ns = 64;
    std::int64_t credit_ns_ = quantum_ns;
    std::uint64_t each_ns_ = first_each_ns;  // what a packet costs
    std::uint64_t waits_since_ns_ = 0;
    std::uint64_t held_until_ns_ = 0;
    std::uint64_t known_elsewhere_ = 0;  // packets other workers have refused
    std::uint32_t looks_ = 0;
};

// Packets that workers refused after another worker had handed them over, by port they came from.
// Each worker writes its own row; who polls a port reads the others'.
class RefusedElsewhere {
public:
    explicit RefusedElsewhere(std::uint32_t workers) : rows_(workers) {
        for (Row& row : rows_) row = Row(limits::max_ports);
    }
    void add(std::uint32_t worker, std::uint32_t port) {
        if (port < limits::max_ports) rows_[worker][port].add();
    }
    std::uint64_t of(std::uint32_t port) const {
        std::uint64_t sum = 0;
        for (const Row& row : rows_) sum += row[port].get();
        return sum;
    }

private:
    using Row = std::vector<dataplane::Tally>;
    std::vector<Row> rows_;
};

}  // namespace weir::host
