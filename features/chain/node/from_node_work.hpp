#pragma once
#include "features/chain/node/from_node.hpp"
#include "features/chain/packet_mark.hpp"

// What the parts of FromNode share. Not for others.
namespace weir::chain::from {

using dataplane::Emit;
using dataplane::Packet;
using Exit = FromNode::Exit;

inline constexpr Exit goes_on = Exit::count_;

// One frame.
struct Work {
    const NodeTable& table;
    FromNode::State& state;
    Emit& emit;
    std::optional<net::NodeControl> order{};  // that came with the packet
    bool taken = false;                       // the packet ended or moved to another worker

    // Either makes `taken` true.
    Exit move_to(Packet& p, std::uint32_t worker) {
        emit.hand_to_worker(p, worker);
        taken = true;
        return goes_on;
    }
    Exit end(Packet& p) {
        emit.release(p);
        taken = true;
        return goes_on;
    }
};

inline const LocalNode& node_at(const NodeTable::Place& place, const Work& work) {
    return work.table.nodes[place.node];
}

// Whether the node may send one more frame; at the polling worker, once per frame.
bool within_rate(const NodeTable::Place& place, Work& work);

// What a node that sees the proxy as its neighbour says to the link between them: questions are
// answered. Nothing: the frame is more than that, look on.
std::optional<Exit> take_link_talk(Packet& p, const NodeTable::Place& place, Work& work);

// `p`: the guest's frame, with the tag of its context or without.
template <class AnyContext>
void leave_context(AnyContext& context, const Packet& p, const NodeTable::Place& place,
                   Work& work) {
    if (context.inside != 0) --context.inside;
    if (context.sampled_ns == 0) return;
    if (context.sample_mark != 0 && context.sample_mark != frame_mark(p)) return;
    work.state.time(place.node, context.sampled_ns, work.emit.now_ns);
    context.sampled_ns = 0;
}

// The metadata as it was, one service further.
void take_back(Packet& p, FlowContext& context, bool reverse, const NodeTable::Place& place,
               Work& work);
// The context that a number names, on the worker that has it; once per frame within the node's
// rate. Null: `why` is the exit to take, or goes_on where the packet moved to that worker.
FlowContext* find_by_number(Packet& p, std::uint32_t id, const NodeTable::Place& place, Exit& why,
                            Work& work);

// The guest's own tags as they were. False without room.
bool restore_tags(Packet& p, const FlowContext& context);

// The context of a packet that a node which ends connections made itself (`contexts: proxy`): an
// answer in the other end's name, or a connection of its own in the client's. Null: neither.
FlowContext* begun_by_node(Packet& p, bool reverse, const NodeTable::Place& place, Work& work);

// Events about nodes that do what no honest one does (refusals.cpp), and what was refused of one.
void tell_refusals(const NodeTable& table, FromNode::State& state, Emit& emit);
void count_refusals(const std::string& node, const Refusals& refusals,
                    dataplane::CounterSink& sink);

// Frames of nodes without service metadata.
Exit from_l2(Packet& p, const NodeTable::Place& place, Work& work);
Exit from_l3(Packet& p, const NodeTable::Place& place, Work& work);
Exit from_gwlb(Packet& p, const NodeTable::Place& place, Work& work);

}  // namespace weir::chain::from
