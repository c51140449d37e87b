// Saved state from anywhere. The first byte chooses: the rest is a blob whose checksum is put
// right, or the TLVs of one record in a good frame. What loads must leave a sound table, and must
// come out again as it went in.
#include <cstdlib>
#include <map>

#include "flow/save.hpp"
#include "flow/save_codec.hpp"
#include "flow/testing.hpp"

namespace {

using namespace weir;
using namespace weir::flow;
using Bytes = std::vector<std::uint8_t>;

constexpr std::uint64_t now_ns = std::uint64_t{1} << 50;

void require(bool holds) {
    if (!holds) std::abort();
}

Bytes framed(std::span<const std::uint8_t> record) {
    Bytes blob;
    ByteWriter out(blob);
    out.u32(save_magic), out.u16(save_major), out.u16(save_minor);
    out.u16(1), out.u32(2), out.u8('g'), out.u8('1');
    out.u16(2), out.u32(9), out.u64(now_ns), out.u8(0);
    out.u16(3), out.u32(static_cast<std::uint32_t>(record.size())), out.bytes(record);
    out.u16(0xffff), out.u32(4), out.u32(0);
    return blob;
}

struct Site {
    Shard shard{{.records = 64, .scopes = 2, .aliases = 8, .chunks = 16, .seed = 1}};
    Table* tables[1] = {&shard.table};

    // A fresh scope with one record of its own.
    void reset() {
        shard.table.close_scope(0);
        require(shard.table.open_scope("g1", 0).ok());
        require(shard.insert(tcp_key(0, 1, 1), now_ns) != nullptr);
    }
    Result<LoadReport> load(const Bytes& blob, bool other_clock) {
        return flow::load(blob, 0, {tables, {}},
                          {.now_ns = now_ns, .other_clock = other_clock, .timeouts = {}});
    }
    std::multimap<std::uint64_t, Bytes> contents() {
        std::multimap<std::uint64_t, Bytes> all;
        shard.table.for_each(0, [&](FlowPair& pair) {
            Bytes bytes;
            ByteWriter out(bytes);
            write_record(out, pair, shard.table, now_ns);
            all.emplace(pair.id, std::move(bytes));
        });
        return all;
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Site first, second;
    if (size == 0) return 0;
    const std::span<const std::uint8_t> input(data + 1, size - 1);
    Bytes blob = (data[0] & 1) != 0 ? framed(input) : Bytes(input.begin(), input.end());
    if (blob.size() >= 4) {
        const std::uint32_t crc = net::crc32c({blob.data(), blob.size() - 4});
        ByteWriter(blob).patch(blob.size() - 4, crc, 4);
    }
    first.reset();
    const bool other_clock = (data[0] & 2) != 0;
    const Result<LoadReport> report = first.load(blob, other_clock);
    if (!report) return 0;
    require(first.shard.check().empty());
    first.shard.table.age(now_ns, 1000);

    Bytes again;
    require(Saver(first.shard.table, 0).precopy(now_ns, again).ok());
    second.reset();
    const Result<LoadReport> copied = second.load(again, false);
    require(copied.ok());
    require(second.shard.check().empty());
    const bool complete = copied->refused + copied->lost_aliases + copied->lost_extensions == 0;
    const bool unique = copied->replaced + copied->updated <= 1;  // a key may be given twice
    if (complete && unique && second.shard.table.size() == first.shard.table.size())
        require(second.contents().size() == first.contents().size());
    return 0;
}
