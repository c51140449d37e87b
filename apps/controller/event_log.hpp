#pragma once
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "model/value.hpp"

namespace weir::controller {

// The newest events of the installation, in the order they happened. Thread-safe.
class EventLog {
public:
    explicit EventLog(std::size_t capacity = 10'000) : capacity_(capacity) {}

    // Adds {"id", "time", "type", "host" (unless empty)} and the members of `details`.
    void add(std::string_view type, std::string_view host, const model::Value& details = {});

    // Those with an id above `id`, oldest first, the newest `limit` of them.
    std::vector<model::Value> after(std::uint64_t id, std::size_t limit) const;

private:
    const std::size_t capacity_;
    mutable std::mutex mutex_;
    std::deque<model::Value> events_;
    std::uint64_t next_id_ = 1;
};

// Now, as RFC 3339 text in UTC.
std::string time_text();

}  // namespace weir::controller
