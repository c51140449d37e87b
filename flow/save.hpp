#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "flow/table.hpp"

// Flow records outside of a table: for another layout, another host, a file. README.md has the
// format.
//
// A blob is "WFLW", a version, TLVs and a CRC-32C at the end; all integers big-endian. A reader
// keeps TLVs of a record that it does not know and writes them back, so that N and N+1 exchange
// records both ways. Another major version is refused.
namespace weir::flow {

inline constexpr std::uint32_t save_magic = 0x57464c57;  // "WFLW"
inline constexpr std::uint16_t save_major = 1, save_minor = 0;

// TLVs of a blob: type u16, length u32.
enum class BlobTlv : std::uint16_t {
    none = 0,
    scope = 1,     // name
    captured = 2,  // when (u64 ns), delta (u8)
    record = 3,    // RecordTlvs
    removed = 4,   // ids (u64 each) that an earlier blob carried and that are gone
    gone = 5,      // one such record: id, vni, tuple; found without a walk
    end = 0xffff,  // CRC-32C of everything before its value
};

// TLVs of a record: type u16, length u16.
enum class RecordTlv : std::uint16_t {
    none = 0,
    key = 1,
    identity = 2,
    state = 3,
    direction = 4,  // twice at most
    tcp = 5,        // twice at most
    firewall = 6,
    insertion = 7,
    alias = 8,  // any number
    handle = 9,  // FlowHandle where it was saved; not kept
};

inline constexpr std::size_t max_blob_bytes = std::size_t{1} << 30;
inline constexpr std::size_t max_extension_bytes = 1024;  // unknown TLVs of one record

// Writes the records of one scope of one shard: first all of them while packets still flow, then,
// as often as wanted, what changed since. Changed is a record that saw a packet or whose `changes`
// moved.
class Saver {
public:
    Saver(Table& table, std::uint32_t scope) : table_(table), scope_(scope) {}

    // Appends a blob of everything. `now_ns` is the time of the table's packets.
    Status precopy(std::uint64_t now_ns, std::vector<std::uint8_t>& out);
    // Appends a blob of what is new, changed or gone since the last call.
    Status delta(std::uint64_t now_ns, std::vector<std::uint8_t>& out);
    // Records that the last call wrote.
    std::size_t written() const { return written_; }

private:
    struct Known {
        std::uint64_t id = 0;
        std::uint32_t changes = 0;
    };
    Status write(std::uint64_t now_ns, bool delta, std::vector<std::uint8_t>& out);
    void write_removed(class ByteWriter& bytes);
    bool unchanged(const FlowPair& pair) const;

    Table& table_;
    std::uint32_t scope_;
    std::uint64_t saved_ns_ = 0;
    std::size_t written_ = 0;
    std::unordered_map<std::uint32_t, Known> known_;  // by slot
};

struct LoadOptions {
    std::uint64_t now_ns = 0;
    // The blob's clock is that of another boot or host: times are moved so that ages stay the same.
    bool other_clock = false;
    Timeouts timeouts = {};
    // Called for every record that was put in; `handle`: where it was saved, 0 if not said.
    std::function<void(Table&, FlowPair&, std::uint32_t handle)> loaded = {};
};

struct LoadReport {
    std::string scope;  // name in the blob
    bool delta = false;
    std::uint32_t records = 0;  // in the blob
    std::uint32_t inserted = 0;
    std::uint32_t updated = 0;   // were there under the same id
    std::uint32_t replaced = 0;  // another record had the key
    std::uint32_t removed = 0;
    std::uint32_t refused = 0;  // no room, or the key is an alias of another flow
    std::uint32_t lost_aliases = 0, lost_extensions = 0, lost_insertions = 0;
};

// The shards of a host by worker, and which of them owns a tuple.
struct Shards {
    std::span<Table* const> tables;
    std::function<std::size_t(const net::Tuple&)> worker_of;  // may be empty for one shard
    // What worker_of() says of records that none of `tables` is for; they are passed over.
    static constexpr std::size_t elsewhere = ~std::size_t{0};
};

// Puts the records of a blob into scope `scope`, open in every shard. Checks all of the blob first:
// an Error means that nothing was changed. Ids, creation times, counters and decisions continue;
// slots and nonces, hence handles, do not.
Result<LoadReport> load(std::span<const std::uint8_t> blob, std::uint32_t scope,
                        const Shards& shards, const LoadOptions& options);

// What a blob says of itself, without its records; checked like load().
Result<LoadReport> examine(std::span<const std::uint8_t> blob);

}  // namespace weir::flow
