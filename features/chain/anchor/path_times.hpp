#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "dataplane/stage.hpp"
#include "features/chain/node/loss_watch.hpp"
#include "features/chain/node/slow_watch.hpp"
#include "features/chain/packet_mark.hpp"
#include "net/packet.hpp"

// How long packets take from their anchor through a path and back, and how many do not come back:
// what a chain promises, as its anchors see it. Measured on the flows that are watched at every hop
// (Symmetry::watches()), in both directions.
namespace weir::chain {

struct Plane;

// One path at one worker. Counters only grow, but for paths that are gone for a while.
struct PathTime {
    std::uint64_t sent = 0, returned = 0, sum_ns = 0, timed = 0;
    SlowWatch::Counts count{};
};

// A packet of a watched flow as it is counted when it goes in and when it comes back.
struct WatchedPacket {
    std::uint32_t flow_handle = 0;
    bool reverse = false;
    // Of a super-frame, as it may come back in pieces or in others than it went; 1 of others; 0 of
    // later fragments, as nodes may put datagrams together.
    std::uint32_t segments = 1;
    std::uint16_t mark = 0;
};
inline WatchedPacket watched(const net::Packet& p) {
    WatchedPacket out{p.smd.flow_handle, p.smd.reverse, 1, frame_mark(p)};
    if (p.headers.fragment == net::Fragment::later) {
        out.segments = 0;
    } else if ((p.flags & net::packet_super_frame) && p.segment_bytes != 0 &&
               p.headers.l3_end > p.headers.payload) {
        const std::uint32_t payload = p.headers.l3_end - p.headers.payload;
        out.segments = (payload + p.segment_bytes - 1) / p.segment_bytes;
    }
    return out;
}

// A pool of the host's vault, as Insert and Return share it. Zeroed memory is an empty one. The
// worker of a flow writes its part, and so do those where packets of the flow come back.
struct PathTimesMemory {
    static constexpr std::string_view pool_name = "path-times";
    static constexpr std::uint32_t layout_version = 2;
    static constexpr std::size_t paths = 256, under_way = 1024;  // of a worker
    using Number = std::atomic<std::uint64_t>;

    struct UnderWay {
        Number since_ns{0};  // 0: none
        std::atomic<std::uint32_t> flow_handle{0};
        std::atomic<std::uint16_t> reverse{0}, mark{0};
    };
    struct Time {
        Number path{0};  // SVNI << 24 | SPI; 0: free
        Number sent{0}, returned{0}, sum_ns{0}, timed{0};
        std::array<Number, latency_buckets> count{};
    };
    struct Part {
        std::array<UnderWay, under_way> packets;
        std::array<Time, paths> times;
    };
    std::array<Part, limits::max_workers> parts;
};

// One worker's part. Where there is no memory, or no room for a path, nothing is measured.
class PathTimes {
public:
    void open(const dataplane::OpenInput& input);
    void sent(std::uint64_t path, const WatchedPacket& packet, std::uint64_t now_ns);
    // Of a flow of `worker`, on any worker.
    void returned(std::uint64_t path, const WatchedPacket& packet, std::uint32_t worker,
                  std::uint64_t now_ns);
    std::uint64_t refused() const { return refused_; }  // packets of paths that found no room
    // Nothing: nothing was measured.
    std::optional<PathTime> find(std::uint64_t path) const;
    // Gives the room of paths back that `knows` has not known for a minute, and that have had no
    // packets since. Call it once a second; each time it looks at some of them.
    template <class F>
    void forget(std::uint64_t now_ns, F&& knows) {
        for (std::size_t i = 0; part_ && i < looked_at_once; ++i, ++next_) {
            const std::size_t slot = next_ % PathTimesMemory::paths;
            PathTimesMemory::Time& time = part_->times[slot];
            const std::uint64_t path = time.path.load(std::memory_order_acquire);
            if (path == 0 || knows(path)) gone_[slot] = {};
            else if (is_over(gone_[slot], time, path, now_ns)) clear(time);
        }
    }

private:
    using Time = PathTimesMemory::Time;
    static constexpr std::uint64_t longest_ns = 1'000'000'000;  // then the packet counts as lost
    static constexpr std::size_t looked_at_once = 32;
    struct Gone {  // since when a path is not known any more, with how many packets
        std::uint64_t path = 0, since_ns = 0, packets = 0;
    };
    static bool is_over(Gone& gone, const Time& time, std::uint64_t path, std::uint64_t now_ns);
    static void clear(Time& time);
    static Time* at(PathTimesMemory::Part* part, std::uint64_t path);
    static PathTimesMemory::UnderWay& place(PathTimesMemory::Part& part,
                                            const WatchedPacket& packet);
    PathTimesMemory* memory_ = nullptr;
    PathTimesMemory::Part* part_ = nullptr;
    std::size_t next_ = 0;
    std::uint64_t refused_ = 0;
    std::array<Gone, PathTimesMemory::paths> gone_{};
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
    // Gives the room of those back that `knows` does not know.
    template <class F>
    void forget(F&& knows) {
        for (One& one : ones)
            if (one.path != 0 && !knows(one.path)) one = {};
    }
};

}  // namespace weir::chain
