#pragma once
#include <array>
#include <cstdint>

#include "dataplane/stage.hpp"
#include "features/chain/loss_watch.hpp"
#include "features/chain/slow_watch.hpp"

// How long packets take from their anchor through a path and back, and how many do not come back:
// what a chain promises, as its anchors see it. Measured on the flows that are watched at every hop
// (Symmetry::watches()), in both directions.
namespace weir::chain {

// One path at one worker. Counters only grow.
struct PathTime {
    std::uint64_t path = 0;  // SVNI << 24 | SPI; 0: free
    std::uint64_t sent = 0, returned = 0, sum_ns = 0, timed = 0;
    SlowWatch::Counts count{};
};

// A pool of the host's vault, as Insert and Return share it. Zeroed memory is an empty one.
struct PathTimesMemory {
    static constexpr std::string_view pool_name = "path-times";
    static constexpr std::uint32_t layout_version = 1;
    static constexpr std::size_t paths = 256, under_way = 1024;  // of a worker

    struct UnderWay {
        std::uint64_t since_ns = 0;  // 0: none
        std::uint32_t flow_handle = 0;
        std::uint32_t reverse = 0;
    };
    struct Part {
        std::array<UnderWay, under_way> packets;
        std::array<PathTime, paths> times;
    };
    std::array<Part, limits::max_workers> parts;
};

// One worker's part. Where there is no memory, or no room for a path, nothing is measured.
class PathTimes {
public:
    void open(const dataplane::OpenInput& input);
    // Of packets of watched flows.
    void sent(std::uint64_t path, std::uint32_t flow_handle, bool reverse, std::uint64_t now_ns);
    void returned(std::uint64_t path, std::uint32_t flow_handle, bool reverse,
                  std::uint64_t now_ns);
    // Null: nothing was measured.
    const PathTime* find(std::uint64_t path) const;

private:
    static constexpr std::uint64_t longest_ns = 1'000'000'000;  // then the packet counts as lost
    PathTime* at(std::uint64_t path);
    PathTimesMemory::UnderWay& place(std::uint32_t flow_handle, bool reverse);
    PathTimesMemory::Part* part_ = nullptr;
};

// Which paths keep to what their chain promises, as one worker sees it; events of changes.
struct PathWatch {
    struct One {
        std::uint64_t path = 0;  // 0: free
        SlowWatch slow;
        LossWatch loss;
    };
    std::array<One, PathTimesMemory::paths> ones{};
    std::uint64_t looked_ns = 0;

    One* at(std::uint64_t path);
};

}  // namespace weir::chain
