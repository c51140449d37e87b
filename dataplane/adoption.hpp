#pragma once
#include <array>
#include <cstdint>

#include "net/hash.hpp"
#include "net/packet.hpp"

namespace weir::dataplane {

// Connections whose records were lost go on where they are (spec service-plane DP-11): for a while
// a record may begin in the middle, and the packet that it begins with may be an answer.
class Adoption {
public:
    static constexpr std::uint64_t window_ns = 120'000'000'000;

    void begin(std::uint64_t now_ns) { until_ns_ = now_ns + window_ns; }
    bool is_on(std::uint64_t now_ns) const { return now_ns < until_ns_; }

    // Whether a record of TCP that begins with this tuple begins with an answer. Who has the lower
    // port is taken for the responder, until turn() says otherwise. `hash`: symmetric_hash() of it.
    bool is_answer(const net::Tuple& tuple, std::uint32_t hash) const {
        const Turned& turned = turned_[hash % turned_.size()];
        if (turned.known && turned.hash == hash)
            return net::runs_upward(tuple) != turned.initiator_runs_upward;
        return tuple.src_port < tuple.dst_port;
    }
    // Nobody may begin what this initiator would have begun, while its peer may: the next record of
    // the two begins the other way round. What shares its place in memory forgets.
    void turn(const net::Tuple& initiator, std::uint32_t hash) {
        turned_[hash % turned_.size()] = {hash, true, !net::runs_upward(initiator)};
    }

private:
    struct Turned {
        std::uint32_t hash = 0;
        bool known = false;
        bool initiator_runs_upward = false;
    };
    std::uint64_t until_ns_ = 0;
    std::array<Turned, 1024> turned_{};
};

}  // namespace weir::dataplane
