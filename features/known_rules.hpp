#pragma once
#include <array>
#include <cstdint>

#include "base/limits.hpp"
#include "features/all.hpp"

namespace weir::features {

// Which rule allows a new flow that is plain (see First), remembered: flows that differ only in
// what no rule of their port asks for, mostly the source port, have one answer.
class KnownRules {
public:
    // A burst begins, under the program of `ticket`. Answers of another one are void.
    void begin(const Plane::Tables& tables, std::uint64_t ticket) {
        tables_ = &tables;
        ticket_ = ticket;
    }
    // Null: a service rule, a log line, a rule that denies; the stages must look.
    const firewall::CompiledRule* find(std::uint32_t port, const net::Tuple& tuple, bool outgoing);

private:
    using Words = std::array<std::uint64_t, 5>;
    static_assert(sizeof(Words) == sizeof(net::Tuple));
    struct Asked {
        std::uint64_t ticket = 0;  // no program has this one
        Words mask{};
    };
    struct alignas(64) Answer {
        Words asked{};
        std::uint64_t ticket = 0;
        std::uint64_t of = 0;  // port, direction, IP version
        const firewall::CompiledRule* rule = nullptr;
    };
    static_assert(sizeof(Answer) == 64);
    const Words& mask_of(std::uint32_t port);
    const firewall::CompiledRule* look(std::uint32_t port, const net::Tuple& tuple,
                                       bool outgoing) const;

    const Plane::Tables* tables_ = nullptr;
    std::uint64_t ticket_ = 0;
    std::array<Asked, limits::max_ports> asked_{};
    std::array<Answer, 1024> answers_{};
};

}  // namespace weir::features
