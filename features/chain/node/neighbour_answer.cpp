#include "features/chain/node/neighbour_answer.hpp"

#include "net/arp.hpp"
#include "net/ethernet.hpp"
#include "net/nd.hpp"
#include "net/wire.hpp"

namespace weir::chain {
namespace {

LinkTalk answer_arp(net::Packet& p, const net::Ip& proxy, const net::Mac& mac) {
    const auto arp = net::read_arp(p);
    if (!arp || arp->operation != net::ArpOperation::request || proxy.is_zero() ||
        arp->target != proxy)
        return LinkTalk::other;
    return net::write_arp_reply(p, *arp, mac) ? LinkTalk::question : LinkTalk::other;
}

LinkTalk answer_solicitation(net::Packet& p, const net::Ip& proxy, const net::Mac& mac) {
    const auto message = net::read_neighbour(p);
    if (!message || !message->solicitation || proxy.is_zero() || message->target != proxy)
        return LinkTalk::other;
    const net::Mac asker = net::source_mac(p);
    return net::write_neighbour_advertisement(p, *message, asker, mac, true) ? LinkTalk::question
                                                                             : LinkTalk::other;
}

bool is_discovery(const net::Headers& headers) {
    return headers.proto == net::proto_icmp6 && !headers.icmp_error &&
           headers.icmp_type >= net::icmp6_router_solicitation &&
           headers.icmp_type <= net::icmp6_redirect;
}

}  // namespace

LinkTalk answer_neighbour(net::Packet& p, const LocalNode& node, Side side) {
    const auto& proxy = node.proxy[static_cast<std::size_t>(side)];
    const net::Mac mac = proxy_side_mac(node.id, side);
    if (p.headers.ethertype == net::ethertype_arp) return answer_arp(p, proxy[0], mac);
    if (p.headers.family == net::Family::none) return LinkTalk::other;
    if (is_discovery(p.headers)) return answer_solicitation(p, proxy[1], mac);
    return net::destination_mac(p).is_multicast() ? LinkTalk::other : LinkTalk::none;
}

}  // namespace weir::chain
