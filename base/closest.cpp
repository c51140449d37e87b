#include "base/closest.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace weir {
namespace {

constexpr std::size_t max_bytes = 64;    // of words that are compared at all
constexpr std::size_t max_names = 4096;  // a message is not worth more

// Optimal string alignment distance.
std::size_t mistakes(std::string_view a, std::string_view b) {
    std::array<std::array<std::size_t, max_bytes + 1>, 3> rows{};
    for (std::size_t j = 0; j <= b.size(); ++j) rows[0][j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        auto& row = rows[i % 3];
        const auto& above = rows[(i + 2) % 3];
        const auto& two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t other = a[i - 1] == b[j - 1] ? 0 : 1;
            row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + other});
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) row[j] = std::min(row[j], two_above[j - 2] + 1);
        }
    }
    return rows[a.size() % 3][b.size()];
}

template <class Name>
std::string_view closest_of(std::string_view word, std::span<const Name> names) {
    if (word.empty() || word.size() > max_bytes) return {};
    std::size_t fewest = 1 + word.size() / 3;  // this many are too many
    std::string_view best;
    for (const std::string_view name : names.first(std::min(names.size(), max_names))) {
        if (name.size() > max_bytes || name.size() >= word.size() + fewest) continue;
        const std::size_t found = mistakes(word, name);
        if (found >= fewest || found >= name.size()) continue;
        fewest = found;
        best = name;
    }
    return best;
}

std::string question(std::string_view meant) {
    return meant.empty() ? std::string() : "; did you mean " + std::string(meant) + "?";
}

}  // namespace

std::string_view closest(std::string_view word, std::span<const std::string> names) {
    return closest_of(word, names);
}
std::string_view closest(std::string_view word, std::span<const std::string_view> names) {
    return closest_of(word, names);
}
std::string did_you_mean(std::string_view word, std::span<const std::string> names) {
    return question(closest(word, names));
}
std::string did_you_mean(std::string_view word, std::span<const std::string_view> names) {
    return question(closest(word, names));
}

}  // namespace weir
