#include "dataplane/program.hpp"

#include <array>
#include <cstring>
#include <type_traits>

namespace weir::dataplane {
namespace {

constexpr std::uint32_t generations = 1u << 18;
constexpr std::uint32_t probes = 16;

std::uint64_t mixed(std::uint64_t sum, std::uint64_t next) {
    sum = (sum ^ next) * 0x9e3779b97f4a7c15u;
    return sum ^ sum >> 29;
}

static_assert(std::has_unique_object_representations_v<ActionProgram>);

std::uint32_t home_of(const ActionProgram& program) {
    std::array<std::uint64_t, sizeof program / 8> words;
    std::memcpy(words.data(), &program, sizeof program);
    std::uint64_t sum = 0;
    for (const std::uint64_t word : words) sum = mixed(sum, word);
    return static_cast<std::uint32_t>(sum);
}

bool equal(const ActionProgram& a, const ActionProgram& b) {
    return std::memcmp(&a, &b, sizeof a) == 0;
}

}  // namespace

std::uint32_t ProgramStore::put(const ActionProgram& program) {
    const std::uint32_t home = home_of(program);
    for (std::uint32_t i = 0; i < probes; ++i) {
        const std::uint32_t at = (home + i) % capacity;
        Entry& entry = entries_[at];
        if (entry.generation != generation_) entry = {program, generation_};
        else if (!equal(entry.program, program)) continue;
        return generation_ * capacity + at;
    }
    if (++generation_ == generations) {
        for (Entry& entry : entries_) entry.generation = 0;
        generation_ = 1;
    }
    return put(program);
}

}  // namespace weir::dataplane
