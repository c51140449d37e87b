#pragma once
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

// The text format that Prometheus collects (exposition format 0.0.4).
namespace weir::metrics {

enum class Type : std::uint8_t { counter, gauge, histogram };

using Label = std::pair<std::string_view, std::string_view>;

// One answer to a collector. A family's samples follow it.
class Page {
public:
    // Names consist of a-z, 0-9 and _; counters end in _total. Units are seconds and bytes.
    void family(std::string_view name, Type type, std::string_view help);
    void sample(std::uint64_t value, std::initializer_list<Label> labels = {}) {
        sample(value, std::span(labels.begin(), labels.size()));
    }
    void sample(std::uint64_t value, std::span<const Label> labels);
    // A value that is no whole number; `suffix`: "_bucket", "_sum" or "_count" of a histogram, or
    // nothing. Buckets go in the order of their bounds, "le", the last of which is "+Inf".
    void sample_real(std::string_view suffix, double value, std::span<const Label> labels);

    const std::string& text() const { return text_; }

private:
    void line(std::string_view suffix, std::string_view value, std::span<const Label> labels);

    std::string text_;
    std::string name_;
};

}  // namespace weir::metrics
