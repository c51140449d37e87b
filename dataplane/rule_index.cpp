#include "dataplane/rule_index.hpp"

#include <algorithm>
#include <bit>

#include "base/prefetch.hpp"
#include "net/wire.hpp"

namespace weir::dataplane {

namespace {

enum Which : std::size_t { source, destination, service, source_port };

template <class Tree, class Key>
const RuleDimension::Class* class_of(const RuleDimension& dimension, const Tree& limits,
                                     const std::vector<std::uint32_t>& class_of, Key key) {
    const std::size_t at = limits.find(key, [&](std::size_t near) { prefetch(&class_of[near]); });
    return &dimension.classes[class_of[at]];
}

const RuleDimension::Class* class_of(const RuleDimension& dimension, std::uint32_t key) {
    return class_of(dimension, dimension.limits, dimension.class_of, key);
}

const RuleDimension::Class* class_of(const RuleDimension& dimension, const net::Ip& ip) {
    if (ip.is4()) return class_of(dimension, address_key4(ip));
    return class_of(dimension, dimension.limits6, dimension.class_of6, address_key6(ip));
}

unsigned count_below(std::uint64_t bits, unsigned bit) {
    return static_cast<unsigned>(std::popcount(bits & ((std::uint64_t{1} << bit) - 1)));
}

}  // namespace

std::uint32_t address_key4(const net::Ip& ip) {
    const std::uint8_t* p = ip.data4();
    return std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 | std::uint32_t{p[2]} << 8 | p[3];
}

Address6 address_key6(const net::Ip& ip) {
    std::uint64_t half[2] = {};
    for (std::size_t i = 0; i < 16; ++i) half[i / 8] = half[i / 8] << 8 | ip.bytes[i];
    return Address6{half[0]} << 64 | half[1];
}

RuleIndex::Classes RuleIndex::classes_of(const net::Tuple& tuple, bool outgoing) const {
    Classes classes{};
    if (dimension_[source].used) classes[source] = class_of(dimension_[source], tuple.src);
    if (dimension_[destination].used)
        classes[destination] = class_of(dimension_[destination], tuple.dst);
    if (dimension_[service].used)
        classes[service] = class_of(dimension_[service], service_key(outgoing, !tuple.src.is4(),
                                                                     tuple.proto, tuple.dst_port));
    if (dimension_[source_port].used) {
        const bool icmp = tuple.proto == net::proto_icmp || tuple.proto == net::proto_icmp6;
        classes[source_port] =
            class_of(dimension_[source_port], icmp ? icmp_source_port : tuple.src_port);
    }
    return classes;
}

// One look-up, at one bit of the tops.
struct RuleIndex::Search {
    using Entry = RuleDimension::Entry;
    using Class = RuleDimension::Class;
    struct View {
        const RuleDimension* dimension;
        const Class* one;
        const Entry *narrow, *broad;          // the first of the bit's entries
        std::size_t narrow_step, broad_step;  // 0: a row without them; all are `no_entry`
    };
    static constexpr Entry no_entry{};

    const RuleIndex& index;
    const net::Tuple& tuple;
    bool outgoing;
    std::array<View, dimensions> views;  // the first `used` of them mean something
    std::size_t used = 0;
    std::uint32_t best = none;

    Search(const RuleIndex& of, const net::Tuple& flow, bool goes_out)
        : index(of), tuple(flow), outgoing(goes_out) {}

    void add(const RuleDimension& dimension, const Class* one) {
        views[used++] = {&dimension, one, nullptr, nullptr, 0, 0};
        prefetch(&dimension.cells[one->narrow]);
        prefetch(&dimension.cells[one->broad]);
    }
    std::uint64_t tops() const {
        std::uint64_t tops = index.tops_;
        for (std::size_t i = 0; i < used; ++i)
            tops &=
                views[i].dimension->any_top | views[i].one->narrow_top | views[i].one->broad_top;
        return tops;
    }
    const Entry* entries(const RuleDimension& dimension, std::uint64_t top, std::uint32_t row,
                         unsigned bit, std::size_t& step) const {
        step = top >> bit & 1;
        if (step == 0) return &no_entry;
        return reinterpret_cast<const Entry*>(&dimension.cells[row]) +
               count_below(top, bit) * index.stride_;
    }
    void look_at(unsigned top_bit) {
        for (std::size_t i = 0; i < used; ++i) {
            View& view = views[i];
            view.narrow = entries(*view.dimension, view.one->narrow_top, view.one->narrow, top_bit,
                                  view.narrow_step);
            view.broad = entries(*view.dimension, view.one->broad_top, view.one->broad, top_bit,
                                 view.broad_step);
        }
        const std::size_t first = top_bit * index.stride_;
        const std::size_t end = std::min(first + index.stride_, index.entries_);
        for (std::size_t entry = first; entry < end; ++entry) {
            look_at_entry(entry);
            for (std::size_t i = 0; i < used; ++i) {
                views[i].narrow += views[i].narrow_step;
                views[i].broad += views[i].broad_step;
            }
        }
    }
    void look_at_entry(std::size_t entry) {
        std::uint64_t blocks = ~std::uint64_t{0};
        for (std::size_t i = 0; i < used; ++i)
            blocks &=
                views[i].dimension->any[entry] | views[i].narrow->blocks | views[i].broad->blocks;
        for (; blocks != 0; blocks &= blocks - 1) {
            const auto bit = static_cast<unsigned>(std::countr_zero(blocks));
            const std::size_t position = (entry * 64 + bit) * 64;
            if (position >= index.rule_at_.size()) return;
            if (index.rule_at_[position] < best) look_at_block(entry, bit, position);
        }
    }
    void look_at_block(std::size_t entry, unsigned bit, std::size_t position) {
        std::uint64_t word = ~std::uint64_t{0};
        for (std::size_t i = 0; i < used; ++i) {
            const View& view = views[i];
            if ((view.dimension->any[entry] >> bit & 1) != 0) continue;
            const Entry& row = (view.narrow->blocks >> bit & 1) != 0 ? *view.narrow : *view.broad;
            word &= view.dimension->cells[row.words + count_below(row.blocks, bit)];
        }
        for (; word != 0; word &= word - 1) {
            const std::uint32_t rule =
                index.rule_at_[position + static_cast<unsigned>(std::countr_zero(word))];
            if (rule >= best) return;
            if (!index.compared_.empty() && !index.compared_[rule].matches(tuple, outgoing))
                continue;
            best = rule;
            return;
        }
    }
};

std::uint32_t RuleIndex::find(const net::Tuple& tuple, bool outgoing) const {
    if (rule_at_.empty()) return none;
    Search search(*this, tuple, outgoing);
    const Classes classes = classes_of(tuple, outgoing);
    for (std::size_t d = 0; d < dimensions; ++d)
        if (classes[d]) search.add(dimension_[d], classes[d]);
    for (std::uint64_t tops = search.tops(); tops != 0; tops &= tops - 1)
        search.look_at(static_cast<unsigned>(std::countr_zero(tops)));
    return search.best;
}

net::Tuple RuleIndex::asked() const {
    net::Tuple mask;
    if (dimension_[source].used) mask.src.bytes.fill(0xff);
    if (dimension_[destination].used) mask.dst.bytes.fill(0xff);
    if (dimension_[service].used) mask.dst_port = 0xffff;
    if (dimension_[source_port].used) mask.src_port = 0xffff;
    if (dimension_[service].used || dimension_[source_port].used) mask.proto = 0xff;
    return mask;
}

std::size_t RuleDimension::bytes() const {
    return limits.bytes() + limits6.bytes() + class_of.capacity() * sizeof class_of[0] +
           class_of6.capacity() * sizeof class_of6[0] + classes.capacity() * sizeof classes[0] +
           cells.capacity() * sizeof cells[0] + any.capacity() * sizeof any[0];
}

std::size_t RuleIndex::bytes() const {
    std::size_t sum = sizeof *this + rule_at_.capacity() * sizeof rule_at_[0] +
                      compared_.capacity() * sizeof(FlowMatch);
    for (const RuleDimension& dimension : dimension_) sum += dimension.bytes();
    return sum;
}

}  // namespace weir::dataplane
