#include "dataplane/program.hpp"

namespace weir::dataplane {
namespace {

constexpr std::uint32_t generations = 1u << 18;
constexpr std::uint32_t probes = 16;

std::uint64_t mixed(std::uint64_t sum, std::uint64_t next) {
    sum = (sum ^ next) * 0x9e3779b97f4a7c15u;
    return sum ^ sum >> 29;
}

std::uint32_t home_of(const ActionProgram& p) {
    std::uint64_t sum = mixed(p.act_before, p.act_behind);
    sum = mixed(sum, std::uint64_t{p.behind_epoch} << 32 | p.behind_engine);
    sum = mixed(sum, std::uint64_t{p.mtu} << 16 | std::uint64_t{p.routed} << 8 |
                         static_cast<std::uint64_t>(p.egress));
    sum = mixed(sum, std::uint64_t{p.egress_port} << 32 | p.peer);
    sum = mixed(sum, p.vni);
    return static_cast<std::uint32_t>(mixed(mixed(sum, p.new_src.to_u64()), p.new_dst.to_u64()));
}

}  // namespace

std::uint32_t ProgramStore::put(const ActionProgram& program) {
    const std::uint32_t home = home_of(program);
    for (std::uint32_t i = 0; i < probes; ++i) {
        const std::uint32_t at = (home + i) % capacity;
        Entry& entry = entries_[at];
        if (entry.generation != generation_) entry = {program, generation_};
        else if (entry.program != program) continue;
        return generation_ * capacity + at;
    }
    if (++generation_ == generations) {
        for (Entry& entry : entries_) entry.generation = 0;
        generation_ = 1;
    }
    return put(program);
}

}  // namespace weir::dataplane
