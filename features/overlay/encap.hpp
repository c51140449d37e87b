#pragma once
#include <array>
#include <string_view>

#include "dataplane/hold.hpp"
#include "features/overlay/peer_packets.hpp"
#include "features/overlay/tunnel_header.hpp"
#include "features/overlay/underlay.hpp"

namespace weir::overlay {

// Sends frames to another host: Geneve, outer headers, underlay neighbour.
struct Encap {
    static constexpr std::string_view name = "encap";
    using Tables = AuthTables;
    using Exit = EncapExit;
    static constexpr auto exit_names = encap_exit_names;

    struct State : SharedNeighbours {
        dataplane::HoldQueue<net::Ip, 64> waiting;  // for the MAC of this next hop
        net::Ip asked;                              // last address asked for,
        std::uint64_t asked_ns = 0;                 // and when: at most 10 questions a second each
        SharedWindows windows;
        AuthNumbers numbers;
        TunnelHeaders headers;  // of peers that guests' packets went to
        PeerPackets sent;
        std::uint64_t questions = 0;

        void open(const dataplane::OpenInput& input) {
            SharedNeighbours::open(input);
            windows.open(input);
        }
    };

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput& input, const std::shared_ptr<const Tables>& previous) {
        return Tables::compile(input, previous);
    }
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    static void tick(const Tables&, State&, dataplane::Exits<Exit>&, dataplane::Emit&);
    // What waits for a neighbour has its tunnel header already and nobody to go on with it.
    static void leave(State&, dataplane::Exits<Exit>&, dataplane::Emit&);
    static void counters(const Tables& tables, const State& state, dataplane::CounterSink& sink) {
        state.sent.report("weir_tunnel_sent_packets_total", tables.peers, sink);
        sink.add("weir_underlay_questions_total", {}, state.questions);
    }
};
static_assert(dataplane::Stage<Encap>);

}  // namespace weir::overlay
