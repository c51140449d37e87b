#include "apps/host/metrics_page.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "api/metrics/metrics.hpp"

namespace weir::host {
namespace {

using metrics::Label;
using metrics::Type;
using model::Value;

// How the rows of one metric are served.
struct Serving {
    std::string family, suffix;
    Type type = Type::gauge;
    double scale = 1;
};

Serving serving_of(const std::string& metric) {
    const auto stem = [&](std::string_view end) {
        return metric.substr(0, metric.size() - end.size());
    };
    constexpr std::pair<const char*, const char*> units[] = {{"_microseconds", "_seconds"},
                                                             {"_millionths", "_ratio"}};
    for (const auto& [counted, served] : units)
        for (const std::string_view part : {"_bucket", "_sum", "_count"}) {
            const std::string end = counted + std::string(part);
            if (metric.ends_with(end))
                return {stem(end) + served, std::string(part), Type::histogram,
                        part == "_sum" ? 1e-6 : 1.0};
        }
    if (constexpr std::string_view end = "_ns_total"; metric.ends_with(end))
        return {stem(end) + "_seconds_total", {}, Type::counter, 1e-9};
    return {metric, {}, metric.ends_with("_total") ? Type::counter : Type::gauge, 1};
}

struct Row {
    Serving how;
    std::vector<std::pair<std::string, std::string>> labels;
    double bound = 0;  // of a bucket, microseconds or millionths
    std::uint64_t value = 0;
};

Row row_of(const Value& counter) {
    Row row{serving_of(counter["metric"].as_text()), {}, 0, counter["value"].as_uint()};
    for (const auto& [key, text] : counter["labels"].members()) {
        std::string value = text.as_text();
        if (row.how.suffix == "_bucket" && key == "le") {
            row.bound = value == "+Inf" ? std::numeric_limits<double>::infinity()
                                        : std::strtod(value.c_str(), nullptr);
            if (value != "+Inf") {
                char seconds[32];
                std::snprintf(seconds, sizeof seconds, "%.9g", row.bound * 1e-6);
                value = seconds;
            }
        }
        row.labels.emplace_back(key, std::move(value));
    }
    return row;
}

// Series by series; the buckets of one by their bounds, then its sum and count.
bool goes_before(const Row& a, const Row& b) {
    const auto series = [](const Row& row) {
        std::vector<std::pair<std::string, std::string>> labels;
        for (const auto& label : row.labels)
            if (row.how.suffix != "_bucket" || label.first != "le") labels.push_back(label);
        return labels;
    };
    if (a.how.type != Type::histogram) return a.labels < b.labels;
    const auto left = series(a), right = series(b);
    if (left != right) return left < right;
    if (a.how.suffix != b.how.suffix) return a.how.suffix < b.how.suffix;
    return a.bound < b.bound;
}

}  // namespace

std::string metrics_page(const Value& counters) {
    std::map<std::string, std::vector<Row>> families;
    for (const Value& counter : counters["rows"].items()) {
        Row row = row_of(counter);
        std::string family = row.how.family;
        families[std::move(family)].push_back(std::move(row));
    }
    metrics::Page page;
    for (auto& [name, rows] : families) {
        std::stable_sort(rows.begin(), rows.end(), goes_before);
        page.family(name, rows.front().how.type, metric_help(name));
        for (const Row& row : rows) {
            const std::vector<Label> labels(row.labels.begin(), row.labels.end());
            if (row.how.suffix.empty() && row.how.scale == 1) {
                page.sample(row.value, std::span<const Label>(labels));
            } else {
                page.sample_real(row.how.suffix, static_cast<double>(row.value) * row.how.scale,
                                 labels);
            }
        }
    }
    return page.text();
}

}  // namespace weir::host
