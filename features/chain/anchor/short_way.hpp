#pragma once
#include <array>
#include <cstdint>

#include "features/chain/anchor/insert.hpp"
#include "features/chain/anchor/return.hpp"
#include "features/chain/hop/arrive.hpp"
#include "features/chain/hop/resolve.hpp"
#include "features/chain/node/from_node.hpp"
#include "features/chain/node/to_node.hpp"
#include "net/quick.hpp"

namespace weir::chain {

// What Insert, Arrive, FromNode, Resolve, ToNode and Return do for packets of decided flows that
// are usual in every way, packet by packet instead of stage by stage: into the service plane, from
// tunnels and from nodes of this host to the next ones, here or behind a tunnel, and back to their
// anchor here.
//
// Each part first looks, changing nothing but the packet's scratch, and says whether the packet is
// usual; what it does then is what the stages would do, to the packet and to every counter. What
// is not usual (orders, skipped hops, copies, queries, a timed or traced packet, whatever would
// take an exit) takes the stages, untouched.
class ShortWay {
public:
    struct Tables {
        const InsertTables* insert = nullptr;
        const Plane* plane = nullptr;
        const NodeTable* nodes = nullptr;
        const ToNode::Tables* to_node = nullptr;
    };
    struct States {
        Insert::State& insert;
        Arrive::State& arrive;
        Resolve::State& resolve;
        ToNode::State& to_node;
        FromNode::State& from_node;
        Return::State& back;
        dataplane::Exits<ToNode::Exit>& to_node_exits;
    };
    ShortWay(dataplane::Emit& emit, const States& states) : emit_(emit), states_(states) {}

    void begin_burst(const Tables& tables) {
        tables_ = tables;
        is_ready_ = false;
        origin_.port = net::no_port;
    }

    // A packet of a guest at its port's insertion point. `frame`: with nothing in front of it.
    struct Entrance {
        flow::FlowPair& pair;
        const dataplane::PortEntry& port;
        CallPoint point = CallPoint::egress;
        const std::uint8_t* frame = nullptr;
        std::uint32_t bytes = 0;     // of the frame
        std::uint32_t ip_bytes = 0;  // of the IP packet in it
        std::uint32_t hash = 0;      // of the flow
    };
    // Whether it is put on its flow's path as ever. Fills `p.smd`.
    bool is_usual(net::Packet& p, const Entrance& at);
    // Puts it there, as the last packet that is_usual() was asked of. `p` begins with the frame.
    void enter(net::Packet& p, const Entrance& at, const net::QuickFrame& frame);
    // Whether the packet that was taken last is still here, for the tunnel to `p.tunnel_peer`.
    bool leaves_host() const { return leaves_host_; }

    // A frame that a node gave back. False: not the answer that a node usually gives. Fills `p.smd`
    // and `frame`, whose offsets count from `strip` bytes behind `p.data`.
    bool read_returned(net::Packet& p, net::QuickFrame& frame, std::uint32_t& strip);

    // Whether an unusual one tells its flow all the same: then `frame` is filled.
    bool tells_flow(const net::Packet& p, net::QuickFrame& frame);

    // Where it goes next.
    enum class Next : std::uint8_t { unusual, on, anchor };
    Next look_further(net::Packet& p, std::uint32_t strip);

    // What another host sent, as usual metadata in `p.smd` says, the guest's frame `strip` bytes
    // behind `p.data` and `bytes` long. `macs`: of the service plane, to and from.
    struct Arrived {
        std::uint32_t svni = 0;
        const std::uint8_t* macs = nullptr;
        std::uint32_t strip = 0, bytes = 0;
    };
    Next look_at_arrived(net::Packet& p, const Arrived& arrived);
    bool in_span(std::uint32_t svni, std::uint32_t host) const {
        return tables_.plane->in_span(svni, host);
    }
    // Takes the tunnel's headers off; to its node here unless its anchor is here.
    void take_arrived(net::Packet& p, const Arrived& arrived, Next next,
                      const net::QuickFrame& frame);

    // Of `anchor`: whether its flow is here, with the addresses that it came back with.
    struct Anchor {
        const dataplane::PortEntry* port = nullptr;  // null: the stages must look
        flow::FlowPair* pair = nullptr;
        std::uint8_t direction = 0;
        bool ingress = false;
    };
    Anchor find_anchor(const net::Packet& p, std::uint32_t svni, std::uint32_t strip,
                       const net::QuickFrame& frame);
    std::uint32_t svni_of(const net::Packet& from_node) { return origin_of(from_node).node->svni; }
    // False: the node sent more than it may; nothing has changed. Else the frame is the guest's
    // again, and goes on to the next node or host unless its anchor is here.
    bool take_back(net::Packet& p, std::uint32_t strip, Next next, const net::QuickFrame& frame);
    // Of `anchor`, behind take_back() or take_arrived(): it stands at its port again.
    void resume(net::Packet& p, const Anchor& anchor);

private:
    // What was found for a packet of this burst, and is asked again by most of the others.
    struct Origin {  // the node that they come from
        std::uint32_t port = net::no_port;
        const NodeTable::Place* place = nullptr;  // null: no node has the port
        const LocalNode* node = nullptr;
    };
    struct Step {  // where they go
        std::uint64_t number = 0;  // NextHopTable::number_of()
        bool usual = false;
        std::uint32_t host = 0;
        net::Mac mac;
        const NodeTable::Place* place = nullptr;  // of the node; null: on another host
    };
    struct OnPath {  // the path they enter
        std::uint32_t sci = 0, spi = 0;
        const Path* path = nullptr;
        Insert::PathCounters* counters = nullptr;
    };

    void make_ready();  // for the burst's first packet of the service plane
    const Origin& origin_of(const net::Packet& p) {
        if (p.hand.port != origin_.port) look_at_origin(p.hand.port);
        return origin_;
    }
    void look_at_origin(std::uint32_t port);
    const Path* path_of(const flow::InsertionDecision& record);
    const Step& step_of(const net::Smd& smd, std::uint32_t svni);
    bool is_of_segment(const net::Smd& smd, std::uint32_t svni);
    bool fits(const NodeTable::Place& place, const net::Packet& p, std::uint32_t bytes,
              std::uint32_t headroom) const;
    Next find_next(net::Packet& p, std::uint32_t svni, std::uint32_t bytes, std::uint32_t headroom);
    bool read_aware(net::Packet& p, const Origin& from, net::QuickFrame& frame,
                    std::uint32_t& strip);
    bool read_l2(net::Packet& p, const Origin& from, net::QuickFrame& frame, std::uint32_t& strip);
    void go_on(net::Packet& p, const net::QuickFrame& frame);
    void give_to_node(net::Packet& p, const net::QuickFrame& frame);

    dataplane::Emit& emit_;
    States states_;
    Tables tables_;
    bool is_ready_ = false, may_deliver_ = false, may_take_back_ = false;
    std::uint32_t generation_ = 0;
    Origin origin_;
    std::array<Step, 8> steps_{};
    OnPath on_path_;
    std::uint32_t chain_sci_ = 0, chain_svni_ = 0;  // of the chain whose segment was asked for last
    std::uint32_t rule_counted_ = 0;
    Insert::RuleCounters* rule_counters_ = nullptr;
    // Of the packet that was looked at last.
    const Path* path_ = nullptr;
    const NodeTable::Place* place_ = nullptr;  // of the node it goes to; null: another host
    std::uint32_t host_ = 0;
    net::Mac next_mac_;  // of the node, or the anchor, on that host
    std::uint32_t rule_id_ = 0;
    bool reverse_ = false, leaves_host_ = false;
};

}  // namespace weir::chain
