#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace weir::host {

// Tells of bounded tables that had no room (spec service-plane §10.5, §12.4): the event `limit-hit`
// {limit, count}, at most once a minute for each table; `count` is how often since it was told
// last.
class LimitNews {
public:
    using Hits = std::map<std::string, std::uint64_t>;  // by table, since its engine began
    using Ask = std::function<Hits()>;
    using Tell = std::function<void(const std::string& json)>;
    static constexpr std::uint64_t pause_ns = 10'000'000'000, again_ns = 60'000'000'000;

    // Asks every ten seconds.
    void look(std::uint64_t now_ns, const Ask& ask, const Tell& tell);

private:
    struct Told {
        std::uint64_t hits = 0;
        std::uint64_t at_ns = 0;  // 0: never
    };
    std::map<std::string, Told> told_;
    std::uint64_t looked_ns_ = 0;
};

}  // namespace weir::host
