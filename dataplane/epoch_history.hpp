#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/classifier.hpp"
#include "model/match.hpp"
#include "net/packet.hpp"

namespace weir::dataplane {

// Destination ports, a bit for each remainder by 64: what has its bit clear is not among them.
class PortBits {
public:
    void add(const model::PortRange& range);
    void add_all() { bits_ = ~std::uint64_t{0}; }
    void add(PortBits other) { bits_ |= other.bits_; }
    bool may_have(std::uint16_t port) const { return bits_ >> port % 64 & 1; }

private:
    std::uint64_t bits_ = 0;
};

// The epochs a port had before, as far as nothing but rules changed since: which flows each step
// may concern. A flow that none of them names would be decided as it was (design §4, delta
// revalidation), so its record and program hold under the present epoch too, without any rule
// being looked up. Immutable; made by the control thread, read by workers.
class EpochHistory {
public:
    static constexpr std::size_t max_steps = 255;
    static constexpr std::size_t max_changes = 32;  // told apart; more are no longer looked at

    // One step further than `before` (null: none): until now the epoch was `epoch`, and flows that
    // match none of `changed` are left as they were.
    static std::shared_ptr<const EpochHistory> after(const EpochHistory* before,
                                                     std::uint32_t epoch,
                                                     const std::vector<FlowMatch>& changed);

    // Whether what was decided under `epoch` for a flow with this initiator surely holds still.
    bool still_holds(std::uint32_t epoch, const net::Tuple& initiator, bool outgoing) const;

    // The destination ports that changes since `epoch` can name: for flows to any other,
    // still_holds(epoch, …) is true. All, where it is of no flow.
    PortBits changed_ports(std::uint32_t epoch) const;

    std::size_t steps() const { return steps_.size(); }

private:
    struct Step {
        std::uint32_t epoch = 0;
        std::uint32_t changes = 0;  // the first so many of `changed_` lie between it and now
        PortBits ports;             // that these name
    };
    // The destination ports a change can name, in one look; all of them where it names none.
    struct Ports {
        std::uint16_t low = 0, high = 0xffff;
    };
    const Step* find(std::uint32_t epoch) const;
    void finish();

    std::vector<Step> steps_;                 // newest first
    std::vector<FlowMatch> changed_;          // the one that changed last first; each once
    std::array<Ports, max_changes> ports_{};  // of `changed_`
    std::array<std::uint8_t, 512> places_{};  // by epoch: 1 + index of a step, probed
};

}  // namespace weir::dataplane
