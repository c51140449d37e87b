#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "flow/save.hpp"
#include "net/hash.hpp"

// One record and its TLVs, apart from any table.
namespace weir::flow {

// Big-endian bytes, appended.
class ByteWriter {
public:
    explicit ByteWriter(std::vector<std::uint8_t>& out) : out_(out) {}
    void u8(std::uint8_t value) { out_.push_back(value); }
    void u16(std::uint16_t value) { put(value, 2); }
    void u32(std::uint32_t value) { put(value, 4); }
    void u64(std::uint64_t value) { put(value, 8); }
    void bytes(std::span<const std::uint8_t> value) {
        out_.insert(out_.end(), value.begin(), value.end());
    }
    void tuple(const net::Tuple& tuple);
    std::size_t size() const { return out_.size(); }
    // Writes `value` over the `count` bytes at `at`.
    void patch(std::size_t at, std::uint64_t value, unsigned count);

private:
    void put(std::uint64_t value, unsigned count) {
        for (unsigned i = count; i-- > 0;)
            out_.push_back(static_cast<std::uint8_t>(value >> 8 * i));
    }
    std::vector<std::uint8_t>& out_;
};

// Big-endian bytes, read within bounds: behind the end everything is 0 and ok() is false.
class ByteReader {
public:
    explicit ByteReader(std::span<const std::uint8_t> in) : in_(in) {}
    std::uint8_t u8() { return static_cast<std::uint8_t>(get(1)); }
    std::uint16_t u16() { return static_cast<std::uint16_t>(get(2)); }
    std::uint32_t u32() { return static_cast<std::uint32_t>(get(4)); }
    std::uint64_t u64() { return get(8); }
    std::span<const std::uint8_t> bytes(std::size_t count);
    net::Tuple tuple();
    std::size_t left() const { return in_.size(); }
    bool ok() const { return ok_; }
    bool done() const { return ok_ && in_.empty(); }

private:
    std::uint64_t get(unsigned count);
    std::span<const std::uint8_t> in_;
    bool ok_ = true;
};

struct SavedAlias {
    std::uint8_t direction = 0;
    net::Tuple tuple;
};

// A record as a blob carries it. `pair` has key (scope 0), id, times, counters, TCP and the
// firewall's decision.
struct SavedRecord {
    FlowPair pair;
    InsertionDecision insertion;
    std::vector<SavedAlias> aliases;
    std::vector<std::uint8_t> extension;  // unknown TLVs as they came
    std::uint32_t handle = 0;             // FlowHandle where it was saved; 0: not said
};

// Times are written as no later than `captured_ns`.
void write_record(ByteWriter& out, const FlowPair& pair, const Table& table,
                  std::uint64_t captured_ns);
void write_handle(ByteWriter& out, std::uint32_t handle);  // a further TLV of a record
// The frame of a blob: magic, version, scope and time; then what `body` writes, and the checksum.
template <class Body>
void write_blob(std::vector<std::uint8_t>& out, std::string_view scope, std::uint64_t captured_ns,
                bool delta, Body&& body);
// One TLV of a blob: `body` writes the value.
template <class Body>
void write_blob_tlv(ByteWriter& out, BlobTlv type, Body&& body) {
    out.u16(static_cast<std::uint16_t>(type));
    out.u32(0);
    const std::size_t begin = out.size();
    body();
    out.patch(begin - 4, out.size() - begin, 4);
}

// The value of a record TLV. Times may not be later than `captured_ns`.
Result<SavedRecord> read_record(std::span<const std::uint8_t> value, std::uint64_t captured_ns);

template <class Body>
void write_blob(std::vector<std::uint8_t>& out, std::string_view scope, std::uint64_t captured_ns,
                bool delta, Body&& body) {
    const std::size_t begin = out.size();
    ByteWriter bytes(out);
    bytes.u32(save_magic);
    bytes.u16(save_major);
    bytes.u16(save_minor);
    write_blob_tlv(bytes, BlobTlv::scope, [&] {
        bytes.bytes({reinterpret_cast<const std::uint8_t*>(scope.data()), scope.size()});
    });
    write_blob_tlv(bytes, BlobTlv::captured, [&] {
        bytes.u64(captured_ns);
        bytes.u8(delta);
    });
    body(bytes);
    write_blob_tlv(bytes, BlobTlv::end, [&] { bytes.u32(0); });
    const std::size_t end = out.size() - 4;
    bytes.patch(end, net::crc32c({out.data() + begin, end - begin}), 4);
}

}  // namespace weir::flow
