#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "dataplane/moved.hpp"

namespace weir::engine {

// Ports that were here and are on other hosts now (spec service-plane MB-6). Where to and under
// which handles lies in lasting memory, shared by the engines of a host: a stub outlives the engine
// that made it, and the process. Ports that are only frozen do not: whoever starts anew has them
// still. Control thread only.
class MovedPorts {
public:
    static constexpr std::string_view pool_name = "moved-ports", handles_name = "moved-handles";
    static constexpr std::uint32_t layout_version = 1;
    // Of all ports together; flows beyond are `unknown_flow` to whoever adopts this.
    static constexpr std::size_t max_handles = std::size_t{1} << 20;

    // Null where there is none.
    using OpenPool = std::function<void*(std::string_view name, std::size_t bytes,
                                         std::uint32_t layout_version)>;

    // Takes over what is there. Returns how much of it was damaged, and is forgotten.
    std::size_t open(OpenPool open_pool);

    using Known = std::vector<dataplane::MovedPort>;
    const Known& all() const { return moved_; }
    // What all() was, where a change came to nothing.
    void put_back(const Known& before);
    // Instead of what was known of a port of that name, or of the first one where there is no room.
    void add(dataplane::MovedPort port);
    void erase(std::string_view name);
    void erase_if(const std::function<bool(const dataplane::MovedPort&)>& wanted);

private:
    struct Row;
    struct Rows;
    using Handle = dataplane::HandleMap::value_type;
    struct Gap {
        std::size_t first = 0, count = 0;
    };

    bool adopt(const Row& row);
    void write(const dataplane::MovedPort& port);
    Gap gap_for(std::size_t count) const;
    Handle* handles();
    std::uint32_t checksum(const Row& row, const Handle* handles) const;

    OpenPool open_pool_;
    Rows* rows_ = nullptr;
    Handle* handles_ = nullptr;
    std::vector<dataplane::MovedPort> moved_;
};

}  // namespace weir::engine
