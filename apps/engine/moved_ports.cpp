#include "apps/engine/moved_ports.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/limits.hpp"
#include "net/hash.hpp"
#include "net/packet.hpp"

namespace weir::engine {
namespace {

using dataplane::MovedPort;

template <class T>
std::span<const std::uint8_t> bytes_of(const T* from, std::size_t count) {
    return {reinterpret_cast<const std::uint8_t*>(from), count * sizeof(T)};
}

}  // namespace

// As they lie in lasting memory: no pointers, and zeroed is empty.
struct MovedPorts::Row {
    // Of everything that a row says: no gaps, for its checksum.
    struct Content {
        std::array<char, limits::max_name_bytes + 1> name{};
        std::uint64_t until_ns = 0;
        std::uint32_t index = 0, anchor_id = 0, vni = 0;
        std::uint32_t to_host = 0, to_anchor = 0;
        std::uint32_t first_handle = 0, handle_count = 0;
        net::Mac mac;
        std::array<std::uint8_t, 6> zero{};
    };
    static_assert(sizeof(Content) == limits::max_name_bytes + 1 + 8 + 7 * 4 + 6 + 6);

    std::atomic<std::uint32_t> used{0};  // 1: whole. Written last, and first when it is freed
    std::uint32_t checksum = 0;
    Content content;
};

struct MovedPorts::Rows {
    std::array<Row, limits::max_ports> rows;
};

std::size_t MovedPorts::open(OpenPool open_pool) {
    open_pool_ = std::move(open_pool);
    rows_ = static_cast<Rows*>(open_pool_(pool_name, sizeof(Rows), layout_version));
    std::size_t damaged = 0;
    for (std::size_t i = 0; rows_ && i < limits::max_ports; ++i) {
        Row& row = rows_->rows[i];
        const std::uint32_t used = row.used.load(std::memory_order_acquire);
        if (used == 0 || (used == 1 && adopt(row))) continue;
        ++damaged;
        row.used.store(0, std::memory_order_release);
    }
    return damaged;
}

bool MovedPorts::adopt(const Row& row) {
    const Row::Content& from = row.content;
    if (from.name.front() == 0 || from.name.back() != 0 || from.handle_count > max_handles ||
        from.first_handle > max_handles - from.handle_count)
        return false;
    const Handle* first = from.handle_count == 0 ? nullptr : handles();
    if (from.handle_count != 0 && !first) return false;
    if (first) first += from.first_handle;
    if (row.checksum != checksum(row, first)) return false;
    auto map = std::make_shared<dataplane::HandleMap>(first, first + from.handle_count);
    moved_.push_back({from.name.data(), from.index, from.anchor_id, from.vni, from.mac,
                      from.to_host, from.to_anchor, from.until_ns, std::move(map)});
    return true;
}

std::uint32_t MovedPorts::checksum(const Row& row, const Handle* first) const {
    const std::uint32_t content = net::crc32c(bytes_of(&row.content, 1));
    return first ? net::crc32c(bytes_of(first, row.content.handle_count), content) : content;
}

// Memory that most hosts never need: made with the first port that leaves with flows.
MovedPorts::Handle* MovedPorts::handles() {
    if (!handles_)
        handles_ = static_cast<Handle*>(
            open_pool_(handles_name, max_handles * sizeof(Handle), layout_version));
    return handles_;
}

// The first that is long enough, else the longest.
MovedPorts::Gap MovedPorts::gap_for(std::size_t count) const {
    std::vector<Gap> used;
    for (const Row& row : rows_->rows)
        if (row.used.load(std::memory_order_relaxed) == 1 && row.content.handle_count != 0)
            used.push_back({row.content.first_handle, row.content.handle_count});
    std::ranges::sort(used, {}, &Gap::first);
    used.push_back({max_handles, 0});
    Gap best;
    std::size_t at = 0;
    for (const Gap& one : used) {
        const std::size_t room = one.first > at ? one.first - at : 0;
        if (room >= count) return {at, count};
        if (room > best.count) best = {at, room};
        at = std::max(at, one.first + one.count);
    }
    return best;
}

void MovedPorts::write(const MovedPort& port) {
    const auto row = std::ranges::find_if(rows_->rows, [](const Row& one) {
        return one.used.load(std::memory_order_relaxed) != 1;
    });
    if (row == rows_->rows.end() || port.name.size() > limits::max_name_bytes) return;
    Handle* const memory = port.handles->empty() ? nullptr : handles();
    const Gap gap = memory ? gap_for(port.handles->size()) : Gap{};
    Row::Content content;
    std::ranges::copy(port.name, content.name.begin());
    content.until_ns = port.until_ns;
    content.index = port.index;
    content.anchor_id = port.anchor_id;
    content.vni = port.vni;
    content.to_host = port.to_host;
    content.to_anchor = port.to_anchor;
    content.first_handle = static_cast<std::uint32_t>(gap.first);
    content.handle_count = static_cast<std::uint32_t>(gap.count);
    content.mac = port.mac;
    row->content = content;
    Handle* const first = gap.count == 0 ? nullptr : memory + gap.first;
    std::copy_n(port.handles->begin(), gap.count, first);
    row->checksum = checksum(*row, first);
    row->used.store(1, std::memory_order_release);
}

void MovedPorts::add(MovedPort port) {
    erase(port.name);
    if (moved_.size() == limits::max_ports) erase(std::string(moved_.front().name));
    if (rows_ && port.to_host != net::no_port) write(port);
    moved_.push_back(std::move(port));
}

void MovedPorts::erase(std::string_view name) {
    std::erase_if(moved_, [&](const MovedPort& one) { return one.name == name; });
    for (std::size_t i = 0; rows_ && i < limits::max_ports; ++i) {
        Row& row = rows_->rows[i];
        if (row.used.load(std::memory_order_relaxed) == 1 && name == row.content.name.data())
            row.used.store(0, std::memory_order_release);
    }
}

void MovedPorts::erase_if(const std::function<bool(const MovedPort&)>& wanted) {
    std::vector<std::string> names;
    for (const MovedPort& one : moved_)
        if (wanted(one)) names.push_back(one.name);
    for (const std::string& name : names) erase(name);
}

void MovedPorts::put_back(const Known& before) {
    const Known then = before;  // it may be a view of what changes here
    erase_if([](const MovedPort&) { return true; });
    for (const MovedPort& one : then) add(one);
}

}  // namespace weir::engine
