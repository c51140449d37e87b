#include "features/chain/anchor/path_times.hpp"

namespace weir::chain {
namespace {

constexpr std::size_t probes = 32;
constexpr std::uint64_t gone_ns = 60'000'000'000;

std::size_t home(std::uint64_t path, std::size_t size) {
    return static_cast<std::size_t>(path * 0x9e3779b97f4a7c15ull >> 24) % size;
}

std::uint64_t get(const PathTimesMemory::Number& number) {
    return number.load(std::memory_order_relaxed);
}

void add(PathTimesMemory::Number& number, std::uint64_t more) {
    number.fetch_add(more, std::memory_order_relaxed);
}

}  // namespace

void PathTimes::open(const dataplane::OpenInput& input) {
    bool fresh = false;
    memory_ = static_cast<PathTimesMemory*>(input.pool(PathTimesMemory::pool_name,
                                                       sizeof(PathTimesMemory),
                                                       PathTimesMemory::layout_version, fresh));
    part_ = memory_ ? &memory_->parts[input.worker] : nullptr;
}

// Places become free again: a path may stand behind one.
PathTimes::Time* PathTimes::at(PathTimesMemory::Part* part, std::uint64_t path) {
    if (!part) return nullptr;
    const auto probe = [&](std::size_t i) -> Time& {
        return part->times[(home(path, part->times.size()) + i) % part->times.size()];
    };
    for (std::size_t i = 0; i < probes; ++i)
        if (probe(i).path.load(std::memory_order_acquire) == path) return &probe(i);
    for (std::size_t i = 0; i < probes; ++i) {
        std::uint64_t holder = 0;
        if (probe(i).path.compare_exchange_strong(holder, path, std::memory_order_acq_rel) ||
            holder == path)
            return &probe(i);
    }
    return nullptr;
}

std::optional<PathTime> PathTimes::find(std::uint64_t path) const {
    for (std::size_t i = 0; part_ && i < probes; ++i) {
        const Time& time =
            part_->times[(home(path, part_->times.size()) + i) % part_->times.size()];
        if (time.path.load(std::memory_order_acquire) != path) continue;
        // What came back first: never more than went.
        PathTime out;
        out.returned = get(time.returned);
        out.sent = get(time.sent);
        out.sum_ns = get(time.sum_ns);
        out.timed = get(time.timed);
        for (std::size_t b = 0; b < out.count.size(); ++b) out.count[b] = get(time.count[b]);
        return out;
    }
    return std::nullopt;
}

PathTimesMemory::UnderWay& PathTimes::place(PathTimesMemory::Part& part,
                                            const WatchedPacket& packet) {
    const std::uint64_t key = std::uint64_t{packet.flow_handle} << 1 | (packet.reverse ? 1u : 0u);
    return part.packets[home(key, part.packets.size())];
}

void PathTimes::sent(std::uint64_t path, const WatchedPacket& packet, std::uint64_t now_ns) {
    Time* time = at(part_, path);
    if (!time) {
        refused_ += part_ != nullptr;
        return;
    }
    add(time->sent, packet.segments);
    PathTimesMemory::UnderWay& timed = place(*part_, packet);
    const std::uint64_t since = timed.since_ns.load(std::memory_order_relaxed);
    if (since != 0 && now_ns - since < longest_ns) return;
    // Who looks meanwhile finds nothing, or takes the older one's place in vain.
    timed.since_ns.store(0, std::memory_order_release);
    timed.flow_handle.store(packet.flow_handle, std::memory_order_relaxed);
    timed.reverse.store(packet.reverse ? 1u : 0u, std::memory_order_relaxed);
    timed.mark.store(packet.mark, std::memory_order_relaxed);
    timed.since_ns.store(now_ns, std::memory_order_release);
}

void PathTimes::returned(std::uint64_t path, const WatchedPacket& packet, std::uint32_t worker,
                         std::uint64_t now_ns) {
    if (!memory_ || worker >= memory_->parts.size()) return;
    PathTimesMemory::Part& part = memory_->parts[worker];
    Time* time = at(&part, path);
    if (!time) return;
    add(time->returned, packet.segments);
    PathTimesMemory::UnderWay& timed = place(part, packet);
    std::uint64_t since = timed.since_ns.load(std::memory_order_acquire);
    if (since == 0 || timed.flow_handle.load(std::memory_order_relaxed) != packet.flow_handle ||
        timed.reverse.load(std::memory_order_relaxed) != (packet.reverse ? 1u : 0u) ||
        timed.mark.load(std::memory_order_relaxed) != packet.mark ||
        !timed.since_ns.compare_exchange_strong(since, 0, std::memory_order_acq_rel))
        return;
    // Workers tell the time by themselves.
    const std::uint64_t took = now_ns > since ? now_ns - since : 0;
    if (took >= longest_ns) return;
    add(time->count[latency_bucket(took)], 1);
    add(time->timed, 1);
    add(time->sum_ns, took);
}

bool PathTimes::is_over(Gone& gone, const Time& time, std::uint64_t path, std::uint64_t now_ns) {
    const std::uint64_t packets = get(time.sent) + get(time.returned);
    if (gone.path != path || gone.packets != packets) gone = {path, now_ns, packets};
    return now_ns - gone.since_ns >= gone_ns;
}

void PathTimes::clear(Time& time) {
    for (PathTimesMemory::Number* number :
         {&time.sent, &time.returned, &time.sum_ns, &time.timed})
        number->store(0, std::memory_order_relaxed);
    for (PathTimesMemory::Number& number : time.count) number.store(0, std::memory_order_relaxed);
    time.path.store(0, std::memory_order_release);
}

PathWatch::One* PathWatch::at(std::uint64_t path) {
    const auto probe = [&](std::size_t i) -> One& {
        return ones[(home(path, ones.size()) + i) % ones.size()];
    };
    for (std::size_t i = 0; i < probes; ++i)
        if (probe(i).path == path) return &probe(i);
    for (std::size_t i = 0; i < probes; ++i) {
        if (probe(i).path != 0) continue;
        probe(i).path = path;
        return &probe(i);
    }
    return nullptr;
}

}  // namespace weir::chain
