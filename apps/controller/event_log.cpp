#include "apps/controller/event_log.hpp"

#include <chrono>
#include <ctime>

namespace weir::controller {

std::string time_text() {
    const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    std::tm utc{};
    gmtime_r(&now, &utc);
    char text[32];
    const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return {text, size};
}

void EventLog::add(std::string_view type, std::string_view host, const model::Value& details) {
    model::Value event;
    const std::lock_guard lock(mutex_);
    event.set("id", next_id_++);
    event.set("time", time_text());
    event.set("type", type);
    if (!host.empty()) event.set("host", host);
    for (const model::Value::Member& member : details.members()) {
        if (event.find(member.key) == nullptr) event.set(member.key, member.value);
    }
    events_.push_back(std::move(event));
    if (events_.size() > capacity_) events_.pop_front();
}

std::vector<model::Value> EventLog::after(std::uint64_t id, std::size_t limit) const {
    const std::lock_guard lock(mutex_);
    const std::uint64_t first = next_id_ - events_.size();
    const std::size_t known = id + 1 <= first ? 0 : static_cast<std::size_t>(id + 1 - first);
    if (known >= events_.size()) return {};
    const std::size_t begin = events_.size() - std::min(limit, events_.size() - known);
    return {events_.begin() + static_cast<std::ptrdiff_t>(begin), events_.end()};
}

}  // namespace weir::controller
