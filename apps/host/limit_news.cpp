#include "apps/host/limit_news.hpp"

#include "model/json.hpp"
#include "model/value.hpp"

namespace weir::host {

void LimitNews::look(std::uint64_t now_ns, const Ask& ask, const Tell& tell) {
    if (looked_ns_ != 0 && now_ns - looked_ns_ < pause_ns) return;
    looked_ns_ = now_ns;
    for (const auto& [table, hits] : ask()) {
        Told& told = told_[table];
        if (hits < told.hits) told.hits = 0;  // another engine counts from the beginning
        if (hits == told.hits || (told.at_ns != 0 && now_ns - told.at_ns < again_ns)) continue;
        model::Value event = model::Value::object();
        event.set("event", "limit-hit");
        event.set("limit", table);
        event.set("count", hits - told.hits);
        tell(model::dump_json(event));
        told = {hits, now_ns};
    }
}

}  // namespace weir::host
