#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace weir::dataplane {

// Sorted keys that never change, and the question which of them is the last one ≤ x.
//
// A tree without pointers: a level holds every `fanout`-th key of the level below, so a search
// reads one node per level: log₁₆ instead of log₂ cache lines. A node is compared as a whole,
// without branches.
template <class Key, unsigned fanout>
class SearchTree {
public:
    SearchTree() = default;
    // Sorted, no key twice, and the first is the lowest that will ever be asked for.
    explicit SearchTree(std::vector<Key> keys) {
        std::vector<std::vector<Key>> levels;  // bottom first
        for (levels.push_back(std::move(keys)); levels.back().size() > fanout;) {
            std::vector<Key> above;
            for (std::size_t i = 0; i < levels.back().size(); i += fanout)
                above.push_back(levels.back()[i]);
            levels.push_back(std::move(above));
        }
        for (auto level = levels.rbegin(); level != levels.rend(); ++level) {
            levels_.push_back({nodes_.size(), level->size()});
            for (std::size_t i = 0; i < level->size(); i += fanout) {
                Node node;
                node.keys.fill(static_cast<Key>(~Key{0}));
                std::copy_n(level->begin() + static_cast<std::ptrdiff_t>(i),
                            std::min<std::size_t>(fanout, level->size() - i), node.keys.begin());
                nodes_.push_back(node);
            }
        }
    }

    // Index of the last key ≤ x. There must be a key. Calls near(i) while it still waits for the
    // last node; the answer will be i … i + fanout - 1.
    template <class Near>
    std::size_t find(Key x, Near&& near) const {
        std::size_t at = 0;
        for (const Level& level : levels_) {
            if (&level == &levels_.back()) near(at * fanout);
            const Node& node = nodes_[level.first + at];
            unsigned below = 0;
            for (unsigned i = 0; i < fanout; ++i) below += node.keys[i] <= x ? 1 : 0;
            // The padding of a last node counts when x is the highest key there is.
            at = std::min(at * fanout + below, level.size) - 1;
        }
        return at;
    }
    std::size_t find(Key x) const {
        return find(x, [](std::size_t) {});
    }
    std::size_t bytes() const { return nodes_.capacity() * sizeof(Node); }

private:
    struct alignas(64) Node {
        std::array<Key, fanout> keys;
    };
    struct Level {
        std::size_t first = 0;  // node
        std::size_t size = 0;   // keys
    };
    std::vector<Node> nodes_;
    std::vector<Level> levels_;  // top first
};

}  // namespace weir::dataplane
