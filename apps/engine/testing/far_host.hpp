#pragma once
#include <algorithm>
#include <array>
#include <optional>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "apps/engine/testing/memory_shell.hpp"
#include "features/chain/planned.hpp"
#include "net/ethernet.hpp"
#include "net/geneve.hpp"
#include "net/nsh.hpp"
#include "net/parse.hpp"
#include "net/smd_codec.hpp"
#include "net/wire.hpp"

// The other host, h2, at the far end of the tunnel: its node gives back what it gets, and its own
// anchors send to the nodes of the host under test. It does all it may and some things it may not.
namespace weir::engine::plane {

class FarHost {
public:
    using Frame = MemoryShell::Frame;
    static constexpr std::uint32_t svni = 9001, this_host = 2, other_host = 1, its_node = 4;

    // A packet on the service plane. `guest`: the frame with the guest's MACs.
    struct Leg {
        net::Smd smd;
        Frame guest;
        std::optional<net::Tuple> tuple;
    };

    // `nsh`: the segment's form between hosts. `alone`: packets come one by one; then they may
    // begin flows as well.
    FarHost(std::uint64_t seed, bool nsh, bool alone) : random_(seed), nsh_(nsh), alone_(alone) {}
    bool is_empty() const { return waiting_.empty(); }

    // What came out of the tunnel.
    void took_from_tunnel(const Frame& packet) {
        constexpr std::size_t geneve_at = net::outer_bytes_ip4;
        net::GeneveView view;
        if (packet.size() < geneve_at || packet[12] != 8 || packet[13] != 0 ||
            net::decode(std::span(packet).subspan(geneve_at), view) != net::GeneveError::none ||
            view.vni != svni || view.oam)
            return;
        std::span<const std::uint8_t> inner = view.inner;
        Leg leg;
        if (view.smd) {
            leg.smd = *view.smd;
        } else {
            net::NshView header;
            if (net::decode_nsh(inner.subspan(net::ethernet_bytes), header) != net::NshError::none)
                return;
            leg.smd = header.nsh.smd;
            inner = header.inner;
        }
        leg.guest.assign(inner.begin(), inner.end());
        if (view.smd) {
            leg.smd.original_dst.store(leg.guest.data());
            leg.smd.original_src.store(leg.guest.data() + 6);
        }
        if (!leg.smd.returning && leg.smd.si > 0) pass_node(leg);
    }
    // What the host under test gave to an aware node of its own: as if that node were here.
    void saw_at_node(std::span<const std::uint8_t> nsh) {
        net::NshView header;
        if (below(4) != 0 || net::decode_nsh(nsh, header) != net::NshError::none) return;
        Leg leg{header.nsh.smd, {header.inner.begin(), header.inner.end()}, {}};
        leg.smd.live_query = false;
        leg.smd.original_dst = net::Mac::from(leg.guest.data());
        leg.smd.original_src = net::Mac::from(leg.guest.data() + 6);
        if (leg.smd.copy || leg.smd.trace) return;
        pass_node(leg);
    }

    // Some of it, to be given to the host under test; `goes(tuple)`: whether a packet may be in
    // this burst.
    template <class Goes>
    std::vector<Frame> give(std::size_t most, const Goes& goes) {
        std::vector<Frame> out;
        std::vector<Leg> kept;
        for (Leg& leg : waiting_) {
            const bool single = !alone_ && begins_context(leg.smd);
            if (out.size() >= most || (single && !out.empty()) ||
                (leg.tuple && !goes(*leg.tuple))) {
                kept.push_back(std::move(leg));
                continue;
            }
            if (single) most = 1;
            if (below(60) == 0) continue;
            const Frame frame = below(20) == 0 ? disturbed(leg) : packed(leg, way_of(leg.smd));
            if (below(40) == 0) out.push_back(frame);  // once more
            out.push_back(frame);
        }
        waiting_ = std::move(kept);
        return out;
    }

private:
    struct Way {
        net::Mac to, from;
        const char* address = "10.0.0.2";
        bool oam = false, traced = false;
    };
    std::uint64_t below(std::uint64_t n) { return random_() % n; }

    // One service further, and one leg.
    void pass_node(Leg& leg) {
        if (waiting_.size() >= 400 || leg.smd.ttl <= 1) return;
        --leg.smd.ttl;
        --leg.smd.si;
        leg.smd.returning = leg.smd.si == 0;
        net::Headers headers;
        net::Tuple tuple;
        if (net::parse_inner(leg.guest, headers, tuple) == net::ParseError::none && headers.l4 != 0)
            leg.tuple = tuple;
        // An anchor of its own, whose packets go where this one's do.
        if (!leg.smd.returning && below(3) == 0) leg.smd.anchor_host = this_host;
        waiting_.push_back(std::move(leg));
    }
    // To the node whose turn it is, by what chains the host under test has: all of node n are p<n>.
    static Way way_of(const net::Smd& smd) {
        const net::Mac from = chain::node_mac(its_node);
        if (smd.returning) return {net::service_plane_mac(other_host), from};
        // Chains as of plane_traffic.hpp, by number: the node of each place. The last one's second
        // is to get copies; this host sends it originals.
        constexpr std::array<std::array<std::uint8_t, 3>, 9> nodes = {
            {{}, {1}, {2}, {3}, {1, 2}, {2, 3, 1}, {1, 4}, {3, 2}, {1, 3}}};
        const auto& order = nodes[smd.sci % nodes.size()];
        const int hops = smd.initial_si, place = hops - smd.si;
        const int at = smd.reverse ? hops - 1 - place : place;
        const std::uint32_t node = at >= 0 && at < 3 ? order[static_cast<std::size_t>(at)] : 0;
        return {chain::node_mac(node), from};
    }

    // Contexts begin one by one, so that they have equal numbers.
    static bool begins_context(const net::Smd& smd) {
        return !smd.returning && way_of(smd).to == chain::node_mac(2);
    }

    Frame packed(const Leg& leg, const Way& way) const {
        constexpr std::size_t room = 256;
        std::vector<std::uint8_t> memory(room + leg.guest.size());
        std::copy(leg.guest.begin(), leg.guest.end(), memory.begin() + room);
        net::Packet p;
        p.data = memory.data() + room;
        p.headroom = room;
        p.length = static_cast<std::uint32_t>(leg.guest.size());
        net::GeneveHeader header;
        header.vni = svni;
        header.oam = way.oam;
        const net::SmdTrace trace{7, this_host};
        if (way.traced) header.trace = &trace;
        if (nsh_) {
            net::Nsh nsh;
            nsh.smd = leg.smd;
            net::push_nsh(p, nsh);
            net::push_ethernet(p, way.to, way.from, net::ethertype_nsh);
        } else {
            net::set_macs(p, way.to, way.from);
            header.smd = &leg.smd;
        }
        net::push_geneve(p, header);
        net::push_outer(p,
                        {net::Ip::parse(way.address).value(), net::Ip::parse("10.0.0.1").value(),
                         net::Mac{{2, 0x5b, 0, 0, 0, 2}}, net::Mac{{2, 0x5b, 0, 0, 0, 1}}},
                        50'000, 64);
        return {p.data, p.data + p.length};
    }

    // What a host must not send, or seldom does.
    Frame disturbed(Leg leg) {
        Way way = way_of(leg.smd);
        switch (below(alone_ ? 10 : 8)) {
            case 0:
                disturb(leg.smd);
                break;
            case 1:
                (below(2) ? way.to : way.from).bytes[below(6)] ^=
                    static_cast<std::uint8_t>(1u << below(8));
                break;
            case 2:
                way.address = "10.0.0.3";
                break;
            case 3:
                (below(2) ? way.oam : way.traced) = true;
                break;
            case 4:
                if (leg.guest.size() > 54) leg.guest[14 + below(40)] ^= 1;
                break;
            case 5: {
                Frame frame = packed(leg, way);
                frame[below(frame.size())] ^= static_cast<std::uint8_t>(1u << below(8));
                return frame;
            }
            case 6: {
                Frame frame = packed(leg, way);
                frame.resize(1 + below(frame.size()));
                return frame;
            }
            case 7:
                leg.smd.anchor_host ^= 3;
                break;
            case 8:
                leg.smd.flow_handle ^= 1u << below(32);
                break;
            default:
                leg.smd.anchor_port ^= 1u << below(32);
        }
        return packed(leg, way);
    }
    void disturb(net::Smd& smd) {
        constexpr std::array flags = {&net::Smd::oam,        &net::Smd::reverse,
                                      &net::Smd::at_ingress, &net::Smd::returning,
                                      &net::Smd::copy,       &net::Smd::live_query,
                                      &net::Smd::live_ack,   &net::Smd::trace,
                                      &net::Smd::moved};
        switch (below(10)) {
            case 0:
                smd.ttl = static_cast<std::uint8_t>(below(3));
                return;
            case 1:
                smd.si = static_cast<std::uint8_t>(below(10));
                return;
            case 2:
                smd.path_epoch ^= 1;
                return;
            case 3:
                smd.spi ^= 1;
                return;
            case 4:
                smd.initial_si = static_cast<std::uint8_t>(below(12));
                return;
            case 5:
                smd.skip_mask = static_cast<std::uint8_t>(below(256));
                return;
            case 6:
                smd.flow_tag ^= 1;
                return;
            case 7:
                smd.reserved = 1;
                return;
            default: {
                bool net::Smd::*flag = flags[below(flags.size())];
                smd.*flag = !(smd.*flag);
            }
        }
    }

    std::mt19937_64 random_;
    const bool nsh_, alone_;
    std::vector<Leg> waiting_;
};

}  // namespace weir::engine::plane
