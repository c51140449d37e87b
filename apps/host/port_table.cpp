#include "apps/host/port_table.hpp"

#include <atomic>
#include <cstring>

namespace weir::host {

PortTable::PortTable(void* memory) : table_(static_cast<Rows*>(memory)) {
    for (Row& row : table_->rows) {
        row.name[sizeof row.name - 1] = 0;
        if (row.used == 1 && row.name[0] != 0) continue;
        row.used = 0;
    }
}

PortTable::Row* PortTable::find(std::string_view name) const {
    for (Row& row : table_->rows)
        if (row.used == 1 && name == row.name) return &row;
    return nullptr;
}

Result<PortTable::Place> PortTable::take(std::string_view name) {
    if (name.empty() || name.size() > limits::max_name_bytes)
        return Error{Errc::invalid, "port " + std::string(name), "name", "has a bad length"};
    const auto index_of = [&](const Row* row) {
        return static_cast<std::uint32_t>(row - table_->rows);
    };
    if (const Row* row = find(name)) return Place{index_of(row), row->incarnation};
    for (Row& row : table_->rows) {
        if (row.used == 1) continue;
        std::memset(row.name, 0, sizeof row.name);
        std::memcpy(row.name, name.data(), name.size());
        ++row.incarnation;
        std::atomic_ref(row.used).store(1, std::memory_order_release);
        return Place{index_of(&row), row.incarnation};
    }
    return Error{Errc::limit,
                 "port " + std::string(name),
                 {},
                 "a host has at most " + std::to_string(limits::max_ports) + " ports"};
}

void PortTable::free(std::string_view name) {
    if (Row* row = find(name)) row->used = 0;
}

}  // namespace weir::host
