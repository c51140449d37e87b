#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/abi.hpp"

namespace weir::host {

// A port that left this host a short time ago.
struct Stub {
    std::string name;
    weir_port_move move{};
    bool news = true;  // the snapshot has the port here still
};

// Which ports have left, kept in lasting memory: a host that starts anew must not open them again
// because an old snapshot names them, and ends their stubs in its engine when it is time.
class StubTable {
public:
    static constexpr std::uint32_t layout_version = 1;
    static std::size_t bytes();

    // `memory` is zeroed when it is new. Rows that are damaged or half-written are dropped.
    explicit StubTable(void* memory);

    std::vector<Stub> all() const;
    // Instead of what was kept of a port of that name; nothing where there is no room.
    void keep(const Stub& stub);
    void forget(std::string_view name);

private:
    struct Row;
    struct Rows;
    Rows* table_;
};

}  // namespace weir::host
