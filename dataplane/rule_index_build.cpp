#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <unordered_map>

#include "dataplane/rule_values.hpp"

namespace weir::dataplane {

namespace {

using Block = std::pair<std::uint32_t, std::uint64_t>;  // number, bitmap of positions

// How much of a dimension a rule leaves over. A rule that names few and many values has positions
// of both kinds, so that a value among the many costs nothing for each of the few.
enum Breadth : std::uint8_t { open = 0, narrow, broad, breadths };

// One breadth of the values that some rules share.
struct Part {
    // Runs of elementary intervals, by their indices.
    std::vector<Interval<std::uint32_t>> small, large;
    std::vector<Block> blocks;  // positions of the rules that have it
    bool empty() const { return small.empty() && large.empty(); }
};
using Parts = std::array<Part, breadths>;  // by Breadth

template <class Key>
std::vector<Key> limits_of(const std::map<RuleValues, std::uint32_t>& sets,
                           std::vector<Interval<Key>> RuleValues::*list) {
    std::vector<Key> out{0};
    for (const auto& set : sets)
        for (const Interval<Key>& one : set.first.*list) {
            out.push_back(one.first);
            if (one.last != static_cast<Key>(~Key{0})) out.push_back(one.last + 1);
        }
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

template <class Key>
void split(const std::vector<Interval<Key>>& values, const std::vector<Key>& limits,
           std::size_t most_narrow, std::vector<Interval<std::uint32_t>> Part::*list,
           Parts& parts) {
    const auto index = [&](Key key) {
        return static_cast<std::uint32_t>(std::upper_bound(limits.begin(), limits.end(), key) -
                                          limits.begin() - 1);
    };
    for (const Interval<Key>& one : values) {
        const Interval<std::uint32_t> run{index(one.first), index(one.last)};
        (parts[run.last - run.first < most_narrow ? narrow : broad].*list).push_back(run);
    }
}

// A row: its first cell and the entries it has.
struct Row {
    std::uint32_t first = 0;
    std::uint64_t top = 0;
};

// Builds the rows of one dimension and finds those that are equal.
class Rows {
public:
    Rows(RuleDimension& dimension, std::size_t stride, std::size_t max_cells)
        : cells_(dimension.cells), stride_(stride), max_cells_(max_cells) {
        cells_.resize(2);  // something to fetch for a row that has nothing
        keep();
    }
    // The row with these blocks (sorted).
    Row add(const std::vector<Block>& blocks) {
        if (blocks.empty()) return {};
        Row row{static_cast<std::uint32_t>(cells_.size()), 0};
        for (const Block& block : blocks) row.top |= std::uint64_t{1} << top_bit(block);
        cells_.resize(cells_.size() + static_cast<unsigned>(std::popcount(row.top)) * stride_ * 2);
        std::uint64_t digest = blocks.size();
        for (const Block& block : blocks) {
            const auto& [number, word] = block;
            const std::uint64_t before = row.top & ((std::uint64_t{1} << top_bit(block)) - 1);
            const std::size_t entry =
                row.first +
                (static_cast<unsigned>(std::popcount(before)) * stride_ + number / 64 % stride_) *
                    2;
            if (cells_[entry] == 0) cells_[entry + 1] = cells_.size();
            cells_[entry] |= std::uint64_t{1} << number % 64;
            cells_.push_back(word);
            digest = (digest ^ word) * 0x9e3779b97f4a7c15u + number;
            digest ^= digest >> 29;
        }
        const auto [begin, end] = known_.equal_range(digest);
        for (auto at = begin; at != end; ++at) {
            if (at->second.blocks != blocks) continue;
            cells_.resize(row.first);
            return at->second.row;
        }
        known_.emplace(digest, Known{row, blocks});
        return row;
    }
    bool full() const { return cells_.size() - kept_ > max_cells_; }
    // What was added since the last call stays, or goes.
    void keep() {
        kept_ = cells_.size();
        known_.clear();
    }
    void discard() {
        cells_.resize(kept_);
        known_.clear();
    }

private:
    struct Known {
        Row row;
        std::vector<Block> blocks;
    };
    unsigned top_bit(const Block& block) const {
        return static_cast<unsigned>(block.first / 64 / stride_);
    }

    std::vector<std::uint64_t>& cells_;
    std::size_t stride_, max_cells_;
    std::size_t kept_ = 0;
    std::unordered_multimap<std::uint64_t, Known> known_;  // by digest
};

// Walks over the elementary intervals of one breadth and makes the row of each.
class Sweep {
public:
    Sweep(Rows& rows, std::size_t blocks) : rows_(rows), scratch_(blocks) {}

    // Into rows_of, one per elementary interval; false: more than Rows may hold.
    bool run(const std::vector<Parts>& sets, Breadth breadth,
             std::vector<Interval<std::uint32_t>> Part::*list, std::vector<Row>& rows_of) {
        std::vector<Event> events;
        for (const Parts& parts : sets)
            for (const Interval<std::uint32_t>& run : parts[breadth].*list) {
                events.push_back({run.first, &parts[breadth], true});
                events.push_back({run.last + 1, &parts[breadth], false});
            }
        std::sort(events.begin(), events.end(),
                  [](const Event& a, const Event& b) { return a.at < b.at; });
        active_.clear();
        Row row;
        auto event = events.begin();
        for (std::uint32_t i = 0; i < rows_of.size(); ++i) {
            const auto first = event;
            for (; event != events.end() && event->at == i; ++event) apply(*event);
            if (event != first) row = rows_.add(collect());
            if (rows_.full()) return false;
            rows_of[i] = row;
        }
        return true;
    }

private:
    struct Event {
        std::uint32_t at;
        const Part* part;
        bool begins;
    };
    void apply(const Event& event) {
        if (event.begins) {
            active_.push_back(event.part);
            return;
        }
        const auto found = std::find(active_.begin(), active_.end(), event.part);
        *found = active_.back();
        active_.pop_back();
    }
    const std::vector<Block>& collect() {
        touched_.clear();
        for (const Part* part : active_)
            for (const auto& [number, word] : part->blocks) {
                if (scratch_[number] == 0) touched_.push_back({number, 0});
                scratch_[number] |= word;
            }
        std::sort(touched_.begin(), touched_.end());
        for (Block& block : touched_) {
            block.second = scratch_[block.first];
            scratch_[block.first] = 0;
        }
        return touched_;
    }

    Rows& rows_;
    std::vector<std::uint64_t> scratch_;  // by block
    std::vector<Block> touched_;
    std::vector<const Part*> active_;
};

}  // namespace

class RuleIndexBuilder {
public:
    RuleIndexBuilder(RuleIndex& out, std::span<const FlowMatch* const> matches,
                     std::size_t max_cells)
        : out_(out), matches_(matches), max_cells_(max_cells) {}

    void build() {
        read_values();
        give_positions();
        out_.entries_ = (blocks() + 63) / 64;
        out_.stride_ = (out_.entries_ + 63) / 64;
        for (std::size_t entry = 0, bit = 0; entry < out_.entries_; entry += out_.stride_, ++bit)
            out_.tops_ |= std::uint64_t{1} << bit;
        bool left_out = false;
        for (std::size_t d = 0; d < RuleIndex::dimensions; ++d)
            if (out_.dimension_[d].used) left_out |= !build_dimension(d);
        if (!left_out) return;
        for (const FlowMatch* match : matches_) out_.compared_.push_back(*match);
    }

private:
    static constexpr std::uint32_t left_open = 0xffffffffu;

    // Where one rule, or a part of it, stands.
    struct Position {
        std::array<std::uint8_t, RuleIndex::dimensions> breadth{};
        std::uint32_t rule = 0;
        friend auto operator<=>(const Position&, const Position&) = default;
    };

    std::size_t blocks() const { return out_.rule_at_.size() / 64; }

    void read_values() {
        std::array<std::map<RuleValues, std::uint32_t>, RuleIndex::dimensions> sets;
        for (const FlowMatch* match : matches_) {
            auto values = values_of(*match);
            auto& set_of = set_of_.emplace_back();
            for (std::size_t d = 0; d < RuleIndex::dimensions; ++d) {
                set_of[d] = left_open;
                if (!values[d]) continue;
                const auto next = static_cast<std::uint32_t>(sets[d].size());
                set_of[d] = sets[d].try_emplace(std::move(*values[d]), next).first->second;
            }
        }
        for (std::size_t d = 0; d < RuleIndex::dimensions; ++d) split_sets(d, sets[d]);
    }

    void split_sets(std::size_t d, const std::map<RuleValues, std::uint32_t>& sets) {
        RuleDimension& dimension = out_.dimension_[d];
        dimension.used = !sets.empty();
        const auto small = limits_of(sets, &RuleValues::small);
        const auto large = limits_of(sets, &RuleValues::large);
        // Rows of narrow parts take (rules × span) words at most, those of broad ones about
        // (values / span × blocks): equal when the span is about √rules / 4.
        const auto intervals = static_cast<double>(small.size() + large.size());
        const auto most_narrow =
            std::max<std::size_t>(16, static_cast<std::size_t>(std::sqrt(intervals) / 4));
        sets_[d].resize(sets.size());
        for (const auto& [values, id] : sets) {
            split(values.small, small, most_narrow, &Part::small, sets_[d][id]);
            split(values.large, large, most_narrow, &Part::large, sets_[d][id]);
        }
        dimension.class_of.resize(small.size());
        dimension.class_of6.resize(large.size());
        dimension.limits = SearchTree<std::uint32_t, 16>(small);
        dimension.limits6 = SearchTree<Address6, 8>(large);
    }

    void add_positions(Position position, std::size_t d, std::vector<Position>& all) const {
        if (d == RuleIndex::dimensions) {
            all.push_back(position);
            return;
        }
        const std::uint32_t set = set_of_[position.rule][d];
        for (const Breadth breadth : {open, narrow, broad}) {
            const bool has = set == left_open ? breadth == open
                                              : breadth != open && !sets_[d][set][breadth].empty();
            if (!has) continue;
            position.breadth[d] = breadth;
            add_positions(position, d + 1, all);
        }
    }

    void give_positions() {
        std::vector<Position> all;
        for (std::uint32_t rule = 0; rule < matches_.size(); ++rule) {
            Position position;
            position.rule = rule;
            add_positions(position, 0, all);
        }
        std::sort(all.begin(), all.end());
        const Position* previous = nullptr;
        for (const Position& position : all) {
            if (previous && previous->breadth != position.breadth) pad();
            if (out_.rule_at_.size() % 64 == 0) breadth_of_.push_back(position.breadth);
            place(position, static_cast<std::uint32_t>(out_.rule_at_.size()));
            out_.rule_at_.push_back(position.rule);
            previous = &position;
        }
        pad();
    }
    void pad() { out_.rule_at_.resize((out_.rule_at_.size() + 63) / 64 * 64, RuleIndex::none); }
    void place(const Position& position, std::uint32_t at) {
        const std::uint64_t bit = std::uint64_t{1} << at % 64;
        for (std::size_t d = 0; d < RuleIndex::dimensions; ++d) {
            if (position.breadth[d] == open) continue;
            auto& blocks = sets_[d][set_of_[position.rule][d]][position.breadth[d]].blocks;
            if (blocks.empty() || blocks.back().first != at / 64) blocks.push_back({at / 64, 0});
            blocks.back().second |= bit;
        }
    }

    // False when a breadth had to be left out: its rules are then to be compared.
    bool build_dimension(std::size_t d) {
        RuleDimension& dimension = out_.dimension_[d];
        Rows rows(dimension, out_.stride_, max_cells_);
        std::array<std::vector<Row>, breadths> small, large;
        std::array<bool, breadths> any = {true, false, false};
        for (const Breadth breadth : {narrow, broad}) {
            small[breadth].resize(dimension.class_of.size());
            large[breadth].resize(dimension.class_of6.size());
            Sweep sweep(rows, blocks());
            any[breadth] = !sweep.run(sets_[d], breadth, &Part::small, small[breadth]) ||
                           !sweep.run(sets_[d], breadth, &Part::large, large[breadth]);
            if (!any[breadth]) {
                rows.keep();
                continue;
            }
            rows.discard();
            small[breadth].assign(small[breadth].size(), {});
            large[breadth].assign(large[breadth].size(), {});
        }
        leave_open(dimension, d, any);
        Classes classes;
        for (std::size_t i = 0; i < dimension.class_of.size(); ++i)
            dimension.class_of[i] = class_of(dimension, small[narrow][i], small[broad][i], classes);
        for (std::size_t i = 0; i < dimension.class_of6.size(); ++i)
            dimension.class_of6[i] =
                class_of(dimension, large[narrow][i], large[broad][i], classes);
        return !any[narrow] && !any[broad];
    }

    void leave_open(RuleDimension& dimension, std::size_t d,
                    const std::array<bool, breadths>& any) {
        dimension.any.assign(out_.entries_, 0);
        for (std::size_t block = 0; block < blocks(); ++block) {
            if (!any[breadth_of_[block][d]]) continue;
            dimension.any[block / 64] |= std::uint64_t{1} << block % 64;
            dimension.any_top |= std::uint64_t{1} << block / 64 / out_.stride_;
        }
    }

    using Classes = std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t>;
    static std::uint32_t class_of(RuleDimension& dimension, const Row& of_narrow,
                                  const Row& of_broad, Classes& classes) {
        const auto next = static_cast<std::uint32_t>(dimension.classes.size());
        const auto [at, added] = classes.try_emplace({of_narrow.first, of_broad.first}, next);
        if (added)
            dimension.classes.push_back(
                {of_narrow.top, of_broad.top, of_narrow.first, of_broad.first});
        return at->second;
    }

    RuleIndex& out_;
    std::span<const FlowMatch* const> matches_;
    std::size_t max_cells_;
    std::vector<std::array<std::uint32_t, RuleIndex::dimensions>> set_of_;  // by rule
    std::array<std::vector<Parts>, RuleIndex::dimensions> sets_;
    std::vector<std::array<std::uint8_t, RuleIndex::dimensions>> breadth_of_;  // by block
};

RuleIndex::RuleIndex(std::span<const FlowMatch* const> matches, std::size_t max_cells) {
    RuleIndexBuilder(*this, matches, max_cells).build();
}

}  // namespace weir::dataplane
