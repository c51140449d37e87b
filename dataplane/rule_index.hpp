#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/classifier.hpp"
#include "dataplane/search_tree.hpp"

// Which of ten thousand rules is the first that means a flow, in about the time of one.
// docs/decisions/rule-index.md says why it looks like this.
namespace weir::dataplane {

__extension__ using Address6 = unsigned __int128;

// One thing that rules say of flows (sources, destinations, service, source ports): where a value
// falls decides which rules it leaves over.
//
// Rules are grouped in blocks of 64, blocks in entries of 64. A row says which rules a value leaves
// over: in `cells`, first the entries that have any (see Class), then a bitmap for each of their
// blocks.
struct RuleDimension {
    // Two cells of a row.
    struct Entry {
        std::uint64_t blocks = 0;  // that leave any rule over
        std::uint64_t words = 0;   // cell of the first one's bitmap
    };
    // What all values between two neighbouring limits have in common: a row of the rules that name
    // few such values, and one of those that name many. A bit of narrow_top or broad_top stands for
    // RuleIndex::stride_ entries, which are in the row if it is set.
    struct Class {
        std::uint64_t narrow_top = 0, broad_top = 0;
        std::uint32_t narrow = 0, broad = 0;  // the rows' first cells
    };
    SearchTree<std::uint32_t, 16> limits;  // IPv4 addresses, services, ports
    SearchTree<Address6, 8> limits6;
    std::vector<std::uint32_t> class_of, class_of6;  // by what limits.find() answers
    std::vector<Class> classes;
    std::vector<std::uint64_t> cells;
    std::vector<std::uint64_t> any;  // by entry: blocks whose rules leave this dimension open
    std::uint64_t any_top = 0;
    bool used = false;  // false: all rules leave it open

    std::size_t bytes() const;
};

// An ordered list of matches, compiled. Never changes; workers share it.
class RuleIndex {
public:
    static constexpr std::uint32_t none = 0xffffffffu;
    // Of one dimension and breadth, 8 bytes each. Beyond this the dimension is left out for the
    // rules concerned and they are compared word by word instead.
    static constexpr std::size_t default_max_cells = 8u << 20;

    RuleIndex() = default;
    // matches[0] is looked at first. Nothing of `matches` is kept.
    explicit RuleIndex(std::span<const FlowMatch* const> matches,
                       std::size_t max_cells = default_max_cells);

    // The place in `matches` of the first that means the flow, or `none`.
    std::uint32_t find(const net::Tuple& tuple, bool outgoing) const;

    // A mask: the bits of a tuple that answers depend on, besides its IP version and direction.
    net::Tuple asked() const;

    std::size_t bytes() const;  // of memory, all in

private:
    friend class RuleIndexBuilder;
    static constexpr std::size_t dimensions = 4;  // source, destination, service, source port

    using Classes = std::array<const RuleDimension::Class*, dimensions>;
    Classes classes_of(const net::Tuple& tuple, bool outgoing) const;
    struct Search;

    std::array<RuleDimension, dimensions> dimension_;
    // A rule has one or more positions; a block's positions leave the same dimensions open and
    // stand in the order of their rules.
    std::vector<std::uint32_t> rule_at_;  // by position; `none`: padding of a block
    std::vector<FlowMatch> compared_;     // by rule, if some dimension was left out
    std::size_t stride_ = 1;              // entries that one bit of a top stands for
    std::size_t entries_ = 0;             // of a row
    std::uint64_t tops_ = 0;              // bits of a top that stand for entries
};

// What a flow's protocol, destination port (or ICMP type), IP version and direction are to the
// service dimension.
constexpr std::uint32_t service_key(bool outgoing, bool ip6, std::uint8_t proto,
                                    std::uint16_t port) {
    return std::uint32_t{outgoing} << 25 | std::uint32_t{ip6} << 24 | std::uint32_t{proto} << 16 |
           port;
}
inline constexpr std::uint32_t icmp_source_port = 0x10000;  // ICMP has no ports

std::uint32_t address_key4(const net::Ip& ip);
Address6 address_key6(const net::Ip& ip);

}  // namespace weir::dataplane
