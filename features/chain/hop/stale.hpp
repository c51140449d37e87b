#pragma once
#include <array>
#include <cstdint>

#include "dataplane/stage.hpp"

// What a resolver tells the anchor when a packet cannot go on as its path says: STALE_PATH of spec
// service-plane §4.5 and §6.2. The anchor believes it for two seconds (Liveness) and takes other
// paths meanwhile.
namespace weir::chain {

enum class StaleReason : std::uint8_t {
    none = 0,
    no_entry = 1,
    bad_epoch = 2,
    hop_down = 3,
    drained = 4
};  // not told, but among failed paths
const char* name(StaleReason);

inline constexpr std::uint64_t stale_path_ns = 2'000'000'000;

// One worker's reports: at most 10 a second for each path and anchor, over all workers.
struct StaleReports {
    struct Place {
        std::uint64_t key = 0, second_ns = 0;
        std::uint32_t anchor = 0, sent = 0;
    };
    std::array<Place, 256> places{};
    std::uint64_t sent = 0, held_back = 0, lost = 0;

    bool may_send(std::uint64_t path_key, std::uint32_t anchor, const dataplane::Emit& emit);
    void counters(dataplane::CounterSink& sink, std::string_view stage) const;
};

// What is told of a packet: who noticed, and for a dead hop which node that is.
struct StaleReport {
    StaleReason reason = StaleReason::none;
    std::uint32_t issuer = 0;     // a node of this host, that the packet came from or was for
    std::uint32_t dead_node = 0;  // of hop_down
};

// Where flow messages have their digest: the dead node, or the epoch that the packet came with, so
// that news of a path's past is not taken for news of its present.
inline std::uint32_t stale_detail(const StaleReport& report, const net::Smd& smd) {
    return report.reason == StaleReason::hop_down ? report.dead_node : smd.path_epoch;
}

// Tells the packet's anchor, if that is another host. Nothing happens without an issuer, beyond the
// rate, or without a packet buffer. The packet itself is only read.
void report_stale(const net::Packet& packet, const StaleReport& report, StaleReports& reports,
                  dataplane::Emit& emit);

}  // namespace weir::chain
