#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "flow/save.hpp"

// The records of a scope, saved in short steps between which packets pass: for a port that moves to
// another host while it works.
namespace weir::flow {

inline constexpr std::uint32_t max_saved_records = 1u << 20;  // of a port (spec MB-2)

// Goes over one scope of one shard in passes, each pass in slices, each slice a blob of its own.
// The first pass carries all records, each further one what is new, changed or gone since. What a
// packet changes behind the back of a pass is in the next one; a pass over a frozen scope is
// complete. Records carry their FlowHandle. Called by the worker that owns the shard.
class SliceSaver {
public:
    static constexpr std::uint32_t slabs_per_slice = 256;    // looked at
    static constexpr std::uint32_t records_per_slice = 256;  // about, written

    SliceSaver(Table& table, std::uint32_t scope) : table_(table), scope_(scope) {}

    // A new pass; the first is never a delta.
    void begin(bool delta);
    // Appends the blob of the next slice, nothing if that slice has nothing to tell. True: there
    // are more slices. `now_ns` is the time of the table's packets.
    Result<bool> next(std::uint64_t now_ns, std::vector<std::uint8_t>& out);
    std::uint32_t written() const { return written_; }  // records of this pass so far
    bool done() const { return done_; }

private:
    struct Known {
        Key key;
        std::uint64_t id = 0;  // 0: nothing
        std::uint32_t changes = 0;
    };
    using KnownSlab = std::array<Known, slab_records>;

    bool has_news(std::uint32_t slab);
    bool unchanged(const FlowPair& pair, const Known& known) const;
    void write_slab(std::uint32_t slab, ByteWriter& out, std::uint64_t now_ns);
    void write_gone(std::uint32_t slab, ByteWriter& out);

    Table& table_;
    std::uint32_t scope_;
    std::vector<std::unique_ptr<KnownSlab>> known_;
    std::uint64_t began_ns_ = 0, before_ns_ = 0;  // this pass and the one before
    std::uint32_t slab_ = 0, written_ = 0, in_slice_ = 0, total_ = 0;
    bool delta_ = false, done_ = true;
};

}  // namespace weir::flow
