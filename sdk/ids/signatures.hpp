#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

struct hs_database;
struct hs_scratch;
struct hs_stream;

// What to look for in guests' packets, compiled by Vectorscan (or Hyperscan: the same interface).
namespace weir::ids {

enum class Action : unsigned char { alert, drop, reset };
const char* name(Action);

// One line of a signature file: `1001 drop /evil-[0-9]+/i`. Flags: i (either case), s (`.` also
// matches line ends).
struct Signature {
    unsigned id = 0;
    Action action = Action::alert;
    std::string pattern;
    unsigned flags = 0;  // of hs_compile_multi
};

// Empty lines and those that begin with # are left out. A string: what is wrong, and in which line.
std::variant<std::vector<Signature>, std::string> parse_signatures(const std::string& text);

// One stream of bytes on its way past the signatures. Moves only.
class Stream {
public:
    Stream() = default;
    Stream(Stream&& other) noexcept : stream_(other.stream_) { other.stream_ = nullptr; }
    Stream& operator=(Stream&& other) noexcept {
        std::swap(stream_, other.stream_);
        return *this;
    }
    ~Stream();

private:
    friend class Database;
    explicit Stream(hs_stream* stream) : stream_(stream) {}
    hs_stream* stream_ = nullptr;
};

// All signatures as one automaton. One thread.
class Database {
public:
    static std::variant<Database, std::string> compile(std::vector<Signature> signatures);
    Database(Database&& other) noexcept { *this = std::move(other); }
    Database& operator=(Database&& other) noexcept;
    ~Database();

    Stream open() const;
    // The signatures that end in these bytes, each once; nothing if they could not be scanned.
    std::optional<std::vector<const Signature*>> scan(Stream& stream, const unsigned char* bytes,
                                       unsigned count) const;
    // The stream begins anew.
    void reset(Stream& stream) const;

private:
    Database() = default;
    std::vector<Signature> signatures_;
    hs_database* database_ = nullptr;
    hs_scratch* scratch_ = nullptr;
};

}  // namespace weir::ids
