#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/limits.hpp"
#include "base/result.hpp"

namespace weir::host {

// Which port has which index, kept in lasting memory: flow records and service metadata name ports
// by index, so a port keeps its own over restarts.
class PortTable {
public:
    static constexpr std::uint32_t layout_version = 1;
    static std::size_t bytes() { return sizeof(Rows); }

    // `memory` is zeroed when it is new. Rows a crash left half-written are dropped.
    explicit PortTable(void* memory);

    struct Place {
        std::uint32_t index = 0;
        std::uint32_t incarnation = 0;
    };
    // The place of the port of that name; a new one where it has none.
    Result<Place> take(std::string_view name);
    // The name is not used any more; its index goes to others, with a higher incarnation.
    void free(std::string_view name);
    bool contains(std::string_view name) const { return find(name) != nullptr; }

private:
    struct Row {
        char name[limits::max_name_bytes + 1];
        std::uint32_t incarnation;
        std::uint32_t used;  // written last when taken, first when freed
    };
    struct Rows {
        Row rows[limits::max_ports];
    };
    Row* find(std::string_view name) const;

    Rows* table_;
};

}  // namespace weir::host
