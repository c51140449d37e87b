#include "features/chain/path_times.hpp"

namespace weir::chain {
namespace {

constexpr std::size_t probes = 32;

std::size_t home(std::uint64_t path, std::size_t size) {
    return static_cast<std::size_t>(path * 0x9e3779b97f4a7c15ull >> 24) % size;
}

}  // namespace

void PathTimes::open(const dataplane::OpenInput& input) {
    bool fresh = false;
    auto* memory = static_cast<PathTimesMemory*>(
        input.pool(PathTimesMemory::pool_name, sizeof(PathTimesMemory),
                   PathTimesMemory::layout_version, fresh));
    part_ = memory ? &memory->parts[input.worker] : nullptr;
}

PathTime* PathTimes::at(std::uint64_t path) {
    for (std::size_t i = 0; part_ && i < probes; ++i) {
        PathTime& time = part_->times[(home(path, part_->times.size()) + i) % part_->times.size()];
        if (time.path == 0) time.path = path;
        if (time.path == path) return &time;
    }
    return nullptr;
}

const PathTime* PathTimes::find(std::uint64_t path) const {
    for (std::size_t i = 0; part_ && i < probes; ++i) {
        const std::size_t slot = (home(path, part_->times.size()) + i) % part_->times.size();
        const PathTime& time = part_->times[slot];
        if (time.path == path) return &time;
        if (time.path == 0) break;
    }
    return nullptr;
}

PathTimesMemory::UnderWay& PathTimes::place(std::uint32_t flow_handle, bool reverse) {
    const std::uint64_t key = std::uint64_t{flow_handle} << 1 | (reverse ? 1u : 0u);
    return part_->packets[home(key, part_->packets.size())];
}

void PathTimes::sent(std::uint64_t path, std::uint32_t flow_handle, bool reverse,
                     std::uint64_t now_ns) {
    PathTime* time = at(path);
    if (!time) return;
    ++time->sent;
    PathTimesMemory::UnderWay& packet = place(flow_handle, reverse);
    if (packet.since_ns != 0 && now_ns - packet.since_ns < longest_ns) return;
    packet = {now_ns, flow_handle, reverse ? 1u : 0u};
}

void PathTimes::returned(std::uint64_t path, std::uint32_t flow_handle, bool reverse,
                         std::uint64_t now_ns) {
    PathTime* time = at(path);
    if (!time) return;
    ++time->returned;
    PathTimesMemory::UnderWay& packet = place(flow_handle, reverse);
    if (packet.since_ns == 0 || packet.flow_handle != flow_handle ||
        packet.reverse != (reverse ? 1u : 0u))
        return;
    const std::uint64_t took = now_ns - packet.since_ns;
    packet.since_ns = 0;
    if (took >= longest_ns) return;
    ++time->count[latency_bucket(took)];
    ++time->timed;
    time->sum_ns += took;
}

PathWatch::One* PathWatch::at(std::uint64_t path) {
    for (std::size_t i = 0; i < probes; ++i) {
        One& one = ones[(home(path, ones.size()) + i) % ones.size()];
        if (one.path == 0) one.path = path;
        if (one.path == path) return &one;
    }
    return nullptr;
}

}  // namespace weir::chain
