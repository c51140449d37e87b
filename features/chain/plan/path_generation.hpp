#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

// Which combinations of nodes become paths of a chain (spec PS-9). Pure numbers, no resources.
namespace weir::chain {

struct CandidateNode {
    std::uint32_t id = 0;
    std::uint32_t host = 0;
    std::uint32_t service = 0;  // index, as in PathRequest::services
};

struct PathRequest {
    std::vector<std::uint32_t> services;  // of each hop, at most limits::max_hops
    std::vector<CandidateNode> nodes;     // in any order
    std::size_t max_paths = 64;
};

// Node ids of each path, hop by hop; no path twice, no node twice in one path.
//
// As long as a node is in no path: the host with the fewest paths through it comes first, of equal
// ones the host that can perform the longest run of the chain with unused nodes, and gets that run.
// Then further combinations, least used nodes first, nodes on the previous hop's host before
// others. Every node is in a path if max_paths allows. Depends on nothing but the request.
std::vector<std::vector<std::uint32_t>> generate_paths(const PathRequest& request);

}  // namespace weir::chain
