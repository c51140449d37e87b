#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/stage.hpp"
#include "net/packet.hpp"

namespace weir::overlay {

// Packets to or from each other host, of one worker. Memory is fixed: what finds no room is counted
// together.
class PeerPackets {
public:
    static constexpr std::size_t places = 4096;  // far more than hosts that one host speaks with

    struct Count {
        std::uint64_t guest = 0, service = 0;
    };
    // Inline: nearly all bursts are from one host.
    Count& of(std::uint32_t host) {
        Place& last = places_[last_];
        return last.host == host ? last.count : look(host);
    }
    // Rows {plane, peer}; hosts that are in the plan no more go together under "".
    void report(std::string_view metric, const std::map<std::uint32_t, std::string>& names,
                dataplane::CounterSink& sink) const;

private:
    static constexpr std::size_t probes = 32;
    struct Place {
        std::uint32_t host = net::no_port;  // free
        Count count;
    };
    Count& look(std::uint32_t host);

    std::vector<Place> places_ = std::vector<Place>(places + 1);  // the last: all others
    std::size_t last_ = 0;
};

}  // namespace weir::overlay
