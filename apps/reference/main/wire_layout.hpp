#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"

// Finds out where fields stand in a header, by writing it.
namespace weir::reference {

using Bytes = std::vector<std::uint8_t>;

// One field: its name, who sets it, what it means.
struct WireField {
    std::string name, set_by, meaning;
};

// A field and how to write a header in which it alone has all bits set.
template <class Header>
struct Probe {
    WireField field;
    std::function<void(Header&)> fill;
};

struct Place {
    WireField field;
    std::size_t first = 0, bits = 0;  // counted from the header's most significant bit
};

// The bits in which `filled` differs from `empty`, as one piece. Errors: none, or in two pieces.
Result<Place> place_of(const WireField& field, const Bytes& empty, const Bytes& filled);

// The fields in the order they stand; an error if two share a bit.
Result<std::vector<Place>> in_order(std::vector<Place> places);

// What stands between fields, unless a table says otherwise.
inline const WireField reserved{"reserved", "", "Zero on send; ignored, and kept on transit."};

// A table of them, and of what stands between them; `bytes`: of the whole header.
std::string layout_table(const std::vector<Place>& places, std::size_t bytes,
                         const WireField& between = reserved);

template <class Header, class Encode>
Result<std::vector<Place>> layout(const std::vector<Probe<Header>>& probes, const Header& nothing,
                                  Encode&& encode) {
    std::vector<Place> places;
    const Bytes empty = encode(nothing);
    for (const Probe<Header>& probe : probes) {
        Header header = nothing;
        probe.fill(header);
        const auto place = place_of(probe.field, empty, encode(header));
        if (!place) return place.error();
        places.push_back(*place);
    }
    return in_order(std::move(places));
}

}  // namespace weir::reference
