#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "dataplane/liveness.hpp"
#include "features/chain/node/contexts.hpp"
#include "features/chain/node/cookie.hpp"
#include "features/chain/node/flow_contexts.hpp"
#include "features/chain/node/node_table.hpp"
#include "features/chain/words.hpp"

// What travels with a service node to another host (spec service-plane MB-8), as bytes of one
// version. Parts stand for themselves: the first says who the node is, each has some of what its
// old host remembered of packets inside it. Times are ages, as hosts' clocks differ.
namespace weir::chain {

inline constexpr std::uint16_t node_state_version = 1;
inline constexpr std::uint32_t max_contexts_of_part = 1024;  // of either kind

// What is one of a kind.
struct NodeIdentity {
    NodeSecret secret{};  // that cookies and numbers inside the node were made with
    dataplane::Liveness::Saved liveness;
    std::uint32_t heartbeat = 0;   // number of the last one
    std::uint32_t issuer_sequence = 0;  // no order sent in the node's name had a larger one
    friend bool operator==(const NodeIdentity&, const NodeIdentity&) = default;
};

struct SavedContext {  // of Contexts
    std::uint16_t vlan = no_vlan;
    ContextAge age = ContextAge::finished;
    std::uint64_t idle_ns = 0;
    net::Smd smd;
    friend bool operator==(const SavedContext&, const SavedContext&) = default;
};

struct SavedFlowContext {  // of FlowContexts
    std::uint32_t id = no_context_id;
    std::uint32_t cookie = 0;
    ContextAge age = ContextAge::finished;
    std::uint8_t known = 0;  // directions
    std::uint64_t idle_ns = 0;
    net::Tuple tuple;
    std::array<net::Smd, 2> smd;  // of the directions that are known
    std::array<std::uint32_t, 2> tags{};
    std::uint8_t tag_count = 0;
    std::uint32_t before_mark = 0;  // what the node's mark stands in the place of
    std::uint8_t answered = 0;      // a node that opens connections has opened one
    friend bool operator==(const SavedFlowContext&, const SavedFlowContext&) = default;
};

struct SavedNode {
    std::uint32_t node_id = 0;
    std::uint32_t move = 0;  // its number
    // What the node is given packets as; the new host must do the same.
    NodeMode mode = NodeMode::aware;
    NodeContexts contexts = NodeContexts::vlan;
    NshMetadata metadata = NshMetadata::type2;
    std::optional<NodeIdentity> identity;
    std::vector<SavedContext> by_vlan;
    std::vector<SavedFlowContext> by_flow;
    friend bool operator==(const SavedNode&, const SavedNode&) = default;

    bool has_same_form(const LocalNode& node) const {
        return mode == node.mode && contexts == node.contexts && metadata == node.metadata;
    }
    // By what its packets are told apart in FlowContexts.
    ContextOf context_of() const;
};

std::vector<std::uint8_t> encode(const SavedNode&);
// Errors: invalid, where what is wrong.
Result<SavedNode> decode_saved_node(std::span<const std::uint8_t> bytes);

}  // namespace weir::chain
