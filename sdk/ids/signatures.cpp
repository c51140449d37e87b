#include "ids/signatures.hpp"

#include <hs.h>

#include <algorithm>
#include <charconv>
#include <sstream>
#include <utility>

namespace weir::ids {
namespace {

constexpr std::size_t most_signatures = 10'000;

std::string wrong(std::size_t line, const std::string& why) {
    return "line " + std::to_string(line) + ": " + why;
}

bool read_flags(std::string_view letters, unsigned& flags) {
    flags = HS_FLAG_SINGLEMATCH;
    for (const char letter : letters) {
        if (letter == 'i') flags |= HS_FLAG_CASELESS;
        else if (letter == 's') flags |= HS_FLAG_DOTALL;
        else return false;
    }
    return true;
}

// What is wrong with a line, or nothing.
std::string read_line(const std::string& line, Signature& out) {
    std::istringstream words(line);
    std::string id, action, rest;
    words >> id >> action;
    std::getline(words >> std::ws, rest);
    const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), out.id);
    if (error != std::errc{} || end != id.data() + id.size())
        return "'" + id + "' is no number of a signature";
    const auto actions = {Action::alert, Action::drop, Action::reset};
    const auto* known = std::ranges::find_if(actions, [&](Action a) { return action == name(a); });
    if (known == actions.end()) return "'" + action + "' is not alert, drop or reset";
    out.action = *known;
    const std::size_t last = rest.rfind('/');
    if (rest.size() < 3 || rest.front() != '/' || last < 2)
        return "the pattern stands between slashes";
    out.pattern = rest.substr(1, last - 1);
    if (!read_flags(std::string_view(rest).substr(last + 1), out.flags))
        return "flags are i and s";
    return {};
}

}  // namespace

const char* name(Action action) {
    switch (action) {
        case Action::drop:
            return "drop";
        case Action::reset:
            return "reset";
        default:
            return "alert";
    }
}

std::variant<std::vector<Signature>, std::string> parse_signatures(const std::string& text) {
    std::vector<Signature> out;
    std::istringstream lines(text);
    std::string line;
    for (std::size_t number = 1; std::getline(lines, line); ++number) {
        if (line.empty() || line.front() == '#') continue;
        Signature one;
        if (const std::string why = read_line(line, one); !why.empty()) return wrong(number, why);
        if (std::ranges::any_of(out, [&](const Signature& s) { return s.id == one.id; }))
            return wrong(number, "signature " + std::to_string(one.id) + " is there already");
        if (out.size() == most_signatures)
            return wrong(number, "more than " + std::to_string(most_signatures) + " signatures");
        out.push_back(std::move(one));
    }
    return out;
}

Stream::~Stream() {
    if (stream_) hs_close_stream(stream_, nullptr, nullptr, nullptr);
}

Database& Database::operator=(Database&& other) noexcept {
    std::swap(signatures_, other.signatures_);
    std::swap(database_, other.database_);
    std::swap(scratch_, other.scratch_);
    return *this;
}

Database::~Database() {
    hs_free_scratch(scratch_);
    hs_free_database(database_);
}

std::variant<Database, std::string> Database::compile(std::vector<Signature> signatures) {
    Database out;
    out.signatures_ = std::move(signatures);
    if (out.signatures_.empty()) return out;
    std::vector<const char*> patterns;
    std::vector<unsigned> flags, ids;
    for (const Signature& s : out.signatures_) {
        ids.push_back(static_cast<unsigned>(patterns.size()));
        patterns.push_back(s.pattern.c_str());
        flags.push_back(s.flags);
    }
    hs_compile_error_t* error = nullptr;
    const auto count = static_cast<unsigned>(patterns.size());
    if (hs_compile_multi(patterns.data(), flags.data(), ids.data(), count, HS_MODE_STREAM, nullptr,
                         &out.database_, &error) != HS_SUCCESS) {
        std::string why = error->message;
        if (error->expression >= 0)
            why = "signature " +
                  std::to_string(out.signatures_[static_cast<unsigned>(error->expression)].id) +
                  ": " + why;
        hs_free_compile_error(error);
        return why;
    }
    if (hs_alloc_scratch(out.database_, &out.scratch_) != HS_SUCCESS) return "no memory to scan in";
    return out;
}

Stream Database::open() const {
    hs_stream* stream = nullptr;
    if (database_) hs_open_stream(database_, 0, &stream);
    return Stream(stream);
}

void Database::reset(Stream& stream) const {
    if (stream.stream_) hs_reset_stream(stream.stream_, 0, nullptr, nullptr, nullptr);
}

std::optional<std::vector<const Signature*>> Database::scan(Stream& stream,
                                                            const unsigned char* bytes,
                                                            unsigned count) const {
    struct Found {
        const std::vector<Signature>& all;
        std::vector<const Signature*> matched;
    } found{signatures_, {}};
    if (!database_ || count == 0) return found.matched;  // no signatures, no bytes
    if (!stream.stream_) return std::nullopt;
    const auto note = [](unsigned id, unsigned long long, unsigned long long, unsigned,
                         void* where) {
        auto& into = *static_cast<Found*>(where);
        into.matched.push_back(&into.all[id]);
        return 0;
    };
    if (hs_scan_stream(stream.stream_, reinterpret_cast<const char*>(bytes), count, 0, scratch_,
                       note, &found) != HS_SUCCESS)
        return std::nullopt;
    return std::move(found.matched);
}

}  // namespace weir::ids
