#include "features/overlay/auth_tables.hpp"

#include <algorithm>
#include <chrono>

#include "model/core_resources.hpp"

namespace weir::overlay {
namespace {

using model::ServiceSegment;

bool takes_part(const ServiceSegment& segment, const std::string& host) {
    return segment.hosts.empty() ||
           std::ranges::any_of(segment.hosts, [&](const auto& ref) { return ref.name == host; });
}

AuthLink make_link(const ServiceSegment& segment, std::uint32_t here, const dataplane::Peer& peer) {
    AuthLink link;
    link.optional = segment.auth_optional;
    link.peer = peer.name;
    link.segment = segment.name;
    const model::AuthKey& first = segment.auth_keys.front();
    link.send = {first.id, net::derive_auth_key(first.secret.bytes, segment.svni, here,  //
                                                peer.host_id)};
    for (const model::AuthKey& key : segment.auth_keys)
        link.accept.push_back(
            {key.id, net::derive_auth_key(key.secret.bytes, segment.svni, peer.host_id, here)});
    return link;
}

}  // namespace

Result<std::shared_ptr<const AuthTables>> AuthTables::compile(
    const dataplane::CompileInput& input, const std::shared_ptr<const AuthTables>& previous) {
    auto made = std::make_shared<AuthTables>();
    for (const auto& [id, peer] : input.ports.peers) made->peers[id] = peer.name;
    for (const auto& [name, segment] : input.snapshot.all<ServiceSegment>()) {
        if (segment.auth_keys.empty()) continue;
        for (const auto& [id, peer] : input.ports.peers)
            if (takes_part(segment, peer.name))
                made->links.emplace(key(segment.svni, id),
                                    make_link(segment, input.ports.host_id, peer));
    }
    if (previous && previous->links == made->links && previous->peers == made->peers)
        return previous;
    return std::shared_ptr<const AuthTables>(std::move(made));
}

// Without a memory a host cannot know which numbers it has used. The time stands in: four million
// numbers a second are more than it sends, and 48 bits of them last more than two years.
void SharedWindows::open(const dataplane::OpenInput& input) {
    using Ticks = std::chrono::duration<std::uint64_t, std::ratio<1, 4'000'000>>;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    first = std::max<std::uint64_t>(
        1, std::chrono::duration_cast<Ticks>(now).count() & net::auth_sequence_mask);
    bool fresh = false;
    windows = static_cast<AuthWindows*>(
        input.pool("service-auth", sizeof(AuthWindows), AuthWindows::layout_version, fresh));
}

AuthFault check_auth(const net::GeneveView& view, bool nsh, const AuthLink* link,
                     AuthWindows::Window* window) {
    if (!link || !window) return AuthFault::unknown_key;
    const auto refuse = [&](AuthFault why) {
        window->refuse(why);
        return why;
    };
    if (view.auth.empty()) return link->optional ? AuthFault::none : refuse(AuthFault::missing);
    const net::Auth auth = net::decode_auth(view.auth.first<net::auth_bytes>());
    const auto key = std::ranges::find(link->accept, auth.key_id, &AuthLink::Key::id);
    if (key == link->accept.end() || auth.algorithm != net::auth_hmac_sha256_128)
        return refuse(AuthFault::unknown_key);
    if (!net::same_mac(net::auth_mac(key->state, auth, view, nsh), auth.mac))
        return refuse(AuthFault::bad_mac);
    return window->take(auth.sequence) ? AuthFault::none : refuse(AuthFault::replay);
}

}  // namespace weir::overlay
