#include <algorithm>
#include <map>

#include "dataplane/digest.hpp"
#include "features/chain/liveness/bfd.hpp"
#include "model/core_resources.hpp"

// With whom there are sessions.
namespace weir::chain {
namespace {

bool takes_part(const model::ServiceSegment& segment, const std::string& host) {
    return segment.hosts.empty() ||
           std::ranges::any_of(segment.hosts, [&](const auto& ref) { return ref.name == host; });
}

}  // namespace

Result<std::shared_ptr<const Bfd::Tables>> Bfd::compile(
    const dataplane::CompileInput& input, const std::shared_ptr<const Tables>& previous) {
    const dataplane::Topology& here = input.ports;
    std::map<std::uint32_t, Peer> peers;
    for (const auto& [name, segment] : input.snapshot.all<model::ServiceSegment>()) {
        if (!takes_part(segment, here.host_name)) continue;
        for (const auto& [host_name, host] : input.snapshot.all<model::Host>()) {
            if (!takes_part(segment, host_name) || !here.peer(host.id)) continue;
            Peer& peer =
                peers.try_emplace(host.id, Peer{host.id, segment.svni, host_name}).first->second;
            peer.svni = std::min(peer.svni, segment.svni);
        }
    }
    Tables tables;
    tables.host_id = here.host_id;
    tables.address = here.tunnel_address.is4() ? here.tunnel_address : net::Ip::from4(0x7f000001u);
    dataplane::Digest digest;
    for (auto& [id, peer] : peers) {
        if (tables.peers.size() == max_sessions) break;
        digest.add(peer.host_id).add(peer.svni);
        tables.peers.push_back(std::move(peer));
    }
    tables.digest = digest.value64();
    if (previous && *previous == tables) return std::shared_ptr(previous);
    return std::shared_ptr<const Tables>(std::make_shared<Tables>(std::move(tables)));
}

}  // namespace weir::chain
