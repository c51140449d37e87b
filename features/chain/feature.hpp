#pragma once
#include "features/feature.hpp"

namespace weir::chain {

extern const features::Feature feature;

// The parts of it.
void add_kinds(model::Registry& registry);
std::vector<Error> validate(const model::Snapshot& intent);
void plan(const model::Snapshot& intent, std::string_view host, model::Snapshot& out);
// Nodes of the paths that linger, with their ports; what they are to do there.
std::vector<model::ResourceKey> nodes_of_lingering_paths(
    const model::Snapshot& left, std::span<const model::ResourceKey> lingering);
std::vector<model::ResourceKey> waiting_rules(const model::Snapshot& planned,
                                              std::span<const model::ResourceKey> held);
// The part of `answer` that is about nodes: what hosts say of them (plan/node_status.cpp).
bool answer_about_node(const model::Value& event, std::string_view host,
                       const model::Snapshot& intent, model::Snapshot& reported);
bool answer(const model::Value& event, std::string_view host, const model::Snapshot& intent,
            model::Snapshot& reported);
// How many service nodes the host has, keeps while they leave, or waits for.
std::size_t nodes_at(std::string_view host, const model::Snapshot& intent,
                     const model::Snapshot& reported);
bool remember(const features::Occasion& occasion, model::Snapshot& reported);
// The parts of it: links of where nodes were, or of ports they have no more; nodes that count as
// down and that nobody asks any more whether they live (plan/node_status.cpp); nodes that operators
// deleted (plan/leaving.cpp).
bool forget_links_of_others(const features::Occasion& occasion, model::Snapshot& reported);
bool forget_unasked_nodes(const features::Occasion& occasion, model::Snapshot& reported);
bool remember_leaving_nodes(const features::Occasion& occasion, model::Snapshot& reported);

}  // namespace weir::chain
