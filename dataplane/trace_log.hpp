#pragma once
#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace weir::dataplane {

// What happened to traced packets on this worker: the last `capacity` lines, fixed memory.
class TraceLog {
public:
    static constexpr std::size_t capacity = 1024;
    enum class Kind : std::uint8_t { none, stage, note_text, note_number };

    struct Line {
        std::uint32_t trace_id = 0;
        Kind kind = Kind::none;
        std::uint8_t context = 0;
        std::uint64_t at_ns = 0;
        std::string_view stage;   // of a stage; the key of a note (both of static life)
        std::string_view result;  // of a stage: "continue", "sent" or an exit (static life)
        std::uint64_t number = 0;
        char text[48] = {};  // of a note, cut to fit
    };

    void stage(std::uint32_t trace_id, std::uint8_t context, std::string_view name,
               std::string_view result, std::uint64_t at_ns) {
        Line& line = next(trace_id, Kind::stage);
        line.context = context;
        line.stage = name;
        line.result = result;
        line.at_ns = at_ns;
    }
    // Notes belong to the stage line that follows them. `key` must be of static life.
    void note(std::uint32_t trace_id, std::string_view key, std::string_view value) {
        Line& line = next(trace_id, Kind::note_text);
        line.stage = key;
        const std::size_t n =
            value.size() < sizeof line.text - 1 ? value.size() : sizeof line.text - 1;
        std::memcpy(line.text, value.data(), n);
        line.text[n] = 0;
    }
    void note(std::uint32_t trace_id, std::string_view key, std::uint64_t value) {
        Line& line = next(trace_id, Kind::note_number);
        line.stage = key;
        line.number = value;
    }
    // Oldest first.
    template <class F>
    void for_each(std::uint32_t trace_id, F&& f) const {
        for (std::size_t i = 0; i < capacity; ++i) {
            const Line& line = lines_[(at_ + i) % capacity];
            if (line.kind != Kind::none && line.trace_id == trace_id) f(line);
        }
    }

private:
    Line& next(std::uint32_t trace_id, Kind kind) {
        Line& line = lines_[at_++ % capacity];
        line = Line{};
        line.trace_id = trace_id;
        line.kind = kind;
        return line;
    }
    std::array<Line, capacity> lines_{};
    std::size_t at_ = 0;
};

}  // namespace weir::dataplane
