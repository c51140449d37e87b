#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/limits.hpp"
#include "dataplane/health.hpp"
#include "features/chain/anchor/draws.hpp"
#include "features/chain/plane.hpp"
#include "features/chain/resources.hpp"
#include "net/packet.hpp"

// Which path a new flow gets (spec §5.2, §5.3). Pure; never allocates.
namespace weir::chain {

// Contiguous ranges over [0, 2^32), one per entry, as wide as its weight (PS-4).
class Ranges {
public:
    void add(std::uint32_t weight, std::uint16_t entry) {
        if (weight == 0 || size_ == capacity) return;
        total_ += weight;
        ends_[size_] = total_;
        entries_[size_++] = entry;
    }
    bool empty() const { return size_ == 0; }
    // Only if not empty().
    std::uint16_t pick(std::uint32_t number) const;

private:
    static constexpr std::size_t capacity = max_paths_per_chain;
    std::uint64_t ends_[capacity];  // running sums of the weights
    std::uint16_t entries_[capacity];
    std::size_t size_ = 0;
    std::uint64_t total_ = 0;
};

// The number of a flow: keyed, and equal for both of its directions and on every host.
std::uint32_t flow_number(std::uint32_t sci, std::uint32_t tenant_vni, const net::Tuple& tuple);

// What numbers come from where they come by chance.
struct Chance {
    Draws* draws = nullptr;  // null: there is none, all numbers are hashes
    std::uint64_t now_ns = 0;
};
// The number that the chain gives the flow now; by chance, another one each time it is asked.
std::uint32_t number_of(const Chain& chain, std::uint32_t tenant_vni, const net::Tuple& tuple,
                        const Chance& chance);

// How many limits the path does not keep, or its nodes, that new flows are to avoid it for.
std::uint32_t limits_missed(const Path& path, const dataplane::HealthBoard& health);

// The path of a new or re-selecting flow; null if there is no candidate. Candidates are usable
// (OBJ-14), not in maintenance, have a weight, and miss no more limits than others. `without_node`:
// and do not pass this node.
const Path* select_path(const Chain& chain, std::uint32_t this_host,
                        const dataplane::HealthBoard& health, std::uint32_t number,
                        std::uint32_t without_node = 0);

// What is left of the path's weight by OVERLOAD of its nodes, in thousandths.
std::uint32_t ordered_share(const Path& path, const dataplane::HealthBoard& health);

// One path of a chain as a new flow would see it now, for operators.
struct Choice {
    const Path* path = nullptr;
    bool candidate = false;          // usable, not in maintenance, with a weight
    bool takes_part = false;         // and of the best class
    std::uint32_t weight = 0;        // that its range is made of
    std::uint64_t from = 0, to = 0;  // numbers that lead to it: from ≤ number < to, below 2^32
};
// All paths of the chain, in their order; select_path() takes the one whose range has the number.
std::vector<Choice> choices(const Chain& chain, std::uint32_t this_host,
                            const dataplane::HealthBoard& health);

}  // namespace weir::chain
