#include "apps/reference/main/wire_layout.hpp"

#include <algorithm>

namespace weir::reference {
namespace {

bool bit_of(const Bytes& bytes, std::size_t at) {
    return at / 8 < bytes.size() && (bytes[at / 8] >> (7 - at % 8) & 1) != 0;
}

Error wrong(const WireField& field, const std::string& why) {
    return Error{Errc::invalid, "wire.md", field.name, why};
}

// "0–3", or "4" for a single bit; within its word, or from word to word.
std::string bits_text(std::size_t first, std::size_t bits) {
    const std::size_t last = first + bits - 1;
    const auto number = [](std::size_t n) { return std::to_string(n); };
    if (first / 32 != last / 32)
        return "w" + number(first / 32) + " " + number(first % 32) + " – w" + number(last / 32) +
               " " + number(last % 32);
    return "w" + number(first / 32) + " " + number(first % 32) +
           (bits == 1 ? "" : "–" + number(last % 32));
}

std::string row(const std::string& bits, std::size_t width, const WireField& field) {
    return "| " + bits + " | " + field.name + " | " + std::to_string(width) + " | " + field.set_by +
           " | " + field.meaning + " |\n";
}

}  // namespace

Result<Place> place_of(const WireField& field, const Bytes& empty, const Bytes& filled) {
    if (empty.size() != filled.size()) return wrong(field, "changes the length");
    Place place{field, 0, 0};
    for (std::size_t at = 0; at < 8 * empty.size(); ++at) {
        if (bit_of(empty, at) == bit_of(filled, at)) continue;
        if (place.bits == 0) place.first = at;
        if (place.first + place.bits != at) return wrong(field, "is not in one piece");
        ++place.bits;
    }
    if (place.bits == 0) return wrong(field, "stands nowhere");
    return place;
}

Result<std::vector<Place>> in_order(std::vector<Place> places) {
    std::ranges::sort(places, {}, &Place::first);
    for (std::size_t i = 1; i < places.size(); ++i)
        if (places[i - 1].first + places[i - 1].bits > places[i].first)
            return wrong(places[i].field, "shares a bit with " + places[i - 1].field.name);
    return places;
}

std::string layout_table(const std::vector<Place>& places, std::size_t bytes,
                         const WireField& between) {
    std::string out = "| bits | field | width | set by | meaning |\n|---|---|---|---|---|\n";
    std::size_t at = 0;
    for (const Place& place : places) {
        if (place.first > at)
            out += row(bits_text(at, place.first - at), place.first - at, between);
        out += row(bits_text(place.first, place.bits), place.bits, place.field);
        at = place.first + place.bits;
    }
    if (at < 8 * bytes) out += row(bits_text(at, 8 * bytes - at), 8 * bytes - at, between);
    return out + "\n";
}

}  // namespace weir::reference
