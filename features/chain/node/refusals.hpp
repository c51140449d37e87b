#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

// What the proxy refuses of each node of this host, and who is told of a hostile one: who tampers,
// lies about the service index or floods is named (spec service-plane SEC-9, §12.4).
namespace weir::chain {

struct Refusals {
    static constexpr std::size_t most_reasons = 16;  // exits of FromNode
    std::array<std::uint64_t, most_reasons> count{};
    std::array<std::uint64_t, most_reasons> told{};  // of `count`, with the last event
    std::uint64_t told_ns = 0;

    void add(std::size_t exit) { ++count[exit]; }
};

// Between two events about one node, as one worker sees it.
inline constexpr std::uint64_t refusals_told_every_ns = 10'000'000'000;

}  // namespace weir::chain
