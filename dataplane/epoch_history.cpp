#include "dataplane/epoch_history.hpp"

#include <algorithm>

namespace weir::dataplane {

void PortBits::add(const model::PortRange& range) {
    if (range.last - range.first >= 63) return add_all();
    for (std::uint32_t port = range.first; port <= range.last; ++port)
        bits_ |= std::uint64_t{1} << port % 64;
}

std::shared_ptr<const EpochHistory> EpochHistory::after(const EpochHistory* before,
                                                        std::uint32_t epoch,
                                                        const std::vector<FlowMatch>& changed) {
    auto out = std::make_shared<EpochHistory>();
    for (const FlowMatch& match : changed)
        if (std::ranges::find(out->changed_, match) == out->changed_.end())
            out->changed_.push_back(match);
    const std::size_t fresh = out->changed_.size();
    if (fresh > max_changes) return nullptr;
    out->steps_.push_back({epoch, static_cast<std::uint32_t>(fresh), {}});
    if (before == nullptr) {
        out->finish();
        return out;
    }
    // Where each older change stands now: behind the fresh ones, if it is none of them.
    std::vector<std::uint32_t> count = {static_cast<std::uint32_t>(fresh)};
    for (const FlowMatch& match : before->changed_) {
        const bool again =
            std::find(out->changed_.begin(), out->changed_.begin() + static_cast<long>(fresh),
                      match) != out->changed_.begin() + static_cast<long>(fresh);
        if (!again) out->changed_.push_back(match);
        count.push_back(static_cast<std::uint32_t>(out->changed_.size()));
    }
    for (const Step& step : before->steps_) {
        if (out->steps_.size() == max_steps || count[step.changes] > max_changes) break;
        // Of an epoch that came back, the newest time counts.
        const bool known = std::ranges::any_of(
            out->steps_, [&](const Step& newer) { return newer.epoch == step.epoch; });
        if (!known) out->steps_.push_back({step.epoch, count[step.changes], {}});
    }
    out->changed_.resize(std::min<std::size_t>(out->changed_.size(), out->steps_.back().changes));
    out->finish();
    return out;
}

void EpochHistory::finish() {
    for (std::size_t i = 0; i < changed_.size(); ++i) {
        if (changed_[i].ports.empty()) continue;
        ports_[i] = {0xffff, 0};
        for (const model::PortRange& range : changed_[i].ports) {
            ports_[i].low = std::min(ports_[i].low, range.first);
            ports_[i].high = std::max(ports_[i].high, range.last);
        }
    }
    for (std::size_t i = 0; i < steps_.size(); ++i) {
        std::size_t place = steps_[i].epoch % places_.size();
        while (places_[place] != 0) place = (place + 1) % places_.size();
        places_[place] = static_cast<std::uint8_t>(i + 1);
        for (std::uint32_t change = 0; change < steps_[i].changes; ++change) {
            const std::vector<model::PortRange>& ranges = changed_[change].ports;
            if (ranges.empty()) steps_[i].ports.add_all();
            for (const model::PortRange& range : ranges) steps_[i].ports.add(range);
        }
    }
}

const EpochHistory::Step* EpochHistory::find(std::uint32_t epoch) const {
    for (std::size_t place = epoch % places_.size(); places_[place] != 0;
         place = (place + 1) % places_.size()) {
        const Step& step = steps_[places_[place] - 1u];
        if (step.epoch == epoch) return &step;
    }
    return nullptr;
}

bool EpochHistory::still_holds(std::uint32_t epoch, const net::Tuple& initiator,
                               bool outgoing) const {
    const Step* step = find(epoch);
    if (step == nullptr) return false;
    for (std::uint32_t i = 0; i < step->changes; ++i) {
        const bool may_fit =
            initiator.dst_port >= ports_[i].low && initiator.dst_port <= ports_[i].high;
        if (may_fit && changed_[i].matches(initiator, outgoing)) return false;
    }
    return true;
}

PortBits EpochHistory::changed_ports(std::uint32_t epoch) const {
    if (const Step* step = find(epoch)) return step->ports;
    PortBits all;
    all.add_all();
    return all;
}

}  // namespace weir::dataplane
