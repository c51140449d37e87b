#include "apps/host/stub_table.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <span>

#include "base/limits.hpp"
#include "net/hash.hpp"

namespace weir::host {

struct StubTable::Row {
    // Without gaps, for its checksum.
    struct Content {
        std::array<char, limits::max_name_bytes + 1> name{};
        std::uint64_t until_ns = 0;
        std::uint32_t port = 0, to_host = 0, to_anchor = 0, news = 0;
    };
    static_assert(sizeof(Content) == limits::max_name_bytes + 1 + 8 + 4 * 4);

    std::uint32_t expected() const {
        return net::crc32c({reinterpret_cast<const std::uint8_t*>(&content), sizeof content});
    }
    bool holds(std::string_view name) const {
        return used.load(std::memory_order_relaxed) == 1 && name == content.name.data();
    }

    std::atomic<std::uint32_t> used{0};  // 1: whole. Written last, and first when it is freed
    std::uint32_t checksum = 0;
    Content content;
};

struct StubTable::Rows {
    std::array<Row, limits::max_ports> rows;
};

std::size_t StubTable::bytes() {
    return sizeof(Rows);
}

StubTable::StubTable(void* memory) : table_(static_cast<Rows*>(memory)) {
    for (Row& row : table_->rows) {
        const std::uint32_t used = row.used.load(std::memory_order_acquire);
        const auto& name = row.content.name;
        const bool whole = used == 1 && name.front() != 0 && name.back() == 0 &&
                           row.checksum == row.expected();
        if (used != 0 && !whole) row.used.store(0, std::memory_order_release);
    }
}

std::vector<Stub> StubTable::all() const {
    std::vector<Stub> out;
    for (const Row& row : table_->rows) {
        if (row.used.load(std::memory_order_relaxed) != 1) continue;
        const Row::Content& c = row.content;
        out.push_back(
            {c.name.data(), {c.port, c.to_host, c.to_anchor, c.until_ns}, c.news != 0});
    }
    return out;
}

void StubTable::keep(const Stub& stub) {
    forget(stub.name);
    const auto row = std::ranges::find_if(table_->rows, [](const Row& one) {
        return one.used.load(std::memory_order_relaxed) != 1;
    });
    if (row == table_->rows.end() || stub.name.size() > limits::max_name_bytes) return;
    Row::Content content;
    std::ranges::copy(stub.name, content.name.begin());
    content.until_ns = stub.move.until_ns;
    content.port = stub.move.port;
    content.to_host = stub.move.to_host;
    content.to_anchor = stub.move.to_anchor;
    content.news = stub.news;
    row->content = content;
    row->checksum = row->expected();
    row->used.store(1, std::memory_order_release);
}

void StubTable::forget(std::string_view name) {
    for (Row& row : table_->rows)
        if (row.holds(name)) row.used.store(0, std::memory_order_release);
}

}  // namespace weir::host
