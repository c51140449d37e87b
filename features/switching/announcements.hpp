#pragma once
#include <array>
#include <cstdint>

#include "base/limits.hpp"
#include "dataplane/emit.hpp"

namespace weir::switching {

// Says for a port that has just moved to this host where it is now (spec service-plane §8.2): what
// stands behind other ports of its segment and learns from frames, a bridge or a guest's neighbour
// cache, learns it at once. One worker's; it speaks for the ports that it polls.
class Announcements {
public:
    // The first when the host that it left knows where it is as well.
    static constexpr std::array<std::uint64_t, 3> after_ns = {100'000'000, 1'000'000'000,
                                                              3'000'000'000};

    void tick(dataplane::Emit& emit);
    std::uint64_t sent() const { return sent_; }

private:
    struct One {
        std::uint32_t anchor_id = 0;  // of the port that the rest is about
        std::uint32_t said = after_ns.size();
        std::uint64_t since_ns = 0;
    };
    void look(const dataplane::Emit& emit);
    void announce(const dataplane::PortEntry& port, dataplane::Emit& emit);

    std::array<One, limits::max_ports> ports_{};  // by index
    std::uint64_t seen_ticket_ = 0;
    std::uint32_t waiting_ = 0;  // ports that have more to say
    std::uint64_t sent_ = 0;     // frames, before they are replicated
};

}  // namespace weir::switching
