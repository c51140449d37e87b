#include "features/overlay/peer_packets.hpp"

namespace weir::overlay {

PeerPackets::Count& PeerPackets::look(std::uint32_t host) {
    for (std::size_t i = 0; i < probes; ++i) {
        const std::size_t at = (host * std::size_t{0x9e3779b1u} + i) % places;
        Place& place = places_[at];
        if (place.host == net::no_port) place.host = host;
        if (place.host != host) continue;
        last_ = at;
        return place.count;
    }
    return places_[places].count;
}

void PeerPackets::report(std::string_view metric, const std::map<std::uint32_t, std::string>& names,
                         dataplane::CounterSink& sink) const {
    const auto tell = [&](const std::string& peer, const Count& count) {
        sink.add(metric, {{"plane", "guest"}, {"peer", peer}}, count.guest);
        sink.add(metric, {{"plane", "service"}, {"peer", peer}}, count.service);
    };
    std::map<std::string, Count> by_name;
    for (const auto& entry : names) by_name[entry.second];
    for (const Place& place : places_) {
        if (place.count.guest + place.count.service == 0) continue;
        const auto name = names.find(place.host);
        Count& count = by_name[name == names.end() ? std::string() : name->second];
        count.guest += place.count.guest;
        count.service += place.count.service;
    }
    for (const auto& [peer, count] : by_name) tell(peer, count);
}

}  // namespace weir::overlay
