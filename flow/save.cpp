#include "flow/save.hpp"

#include <algorithm>
#include <unordered_set>

#include "base/check.hpp"
#include "flow/save_codec.hpp"
#include "net/hash.hpp"

namespace weir::flow {

namespace {

constexpr std::size_t blob_header_bytes = 8;
constexpr std::size_t end_bytes = 2 + 4 + 4;
constexpr std::uint64_t latest_ns = std::uint64_t{1} << 62;

Error bad(std::string field, std::string why) {
    return {Errc::invalid, "saved flows", std::move(field), std::move(why)};
}

// A blob with its frame checked and its records decoded.
struct Blob {
    LoadReport about;
    std::uint64_t captured_ns = 0;
    std::vector<SavedRecord> records;
    std::vector<std::uint64_t> removed;
    std::vector<SavedRecord> gone;  // with key and id only
};

Status check_frame(std::span<const std::uint8_t> bytes) {
    if (bytes.size() > max_blob_bytes) return bad("blob", "longer than 1 GiB");
    if (bytes.size() < blob_header_bytes + end_bytes) return bad("blob", "cut short");
    ByteReader in(bytes);
    if (in.u32() != save_magic) return bad("magic", "not saved flows");
    const std::uint16_t major = in.u16();
    if (major != save_major)
        return bad("version", std::to_string(major) + " is not " + std::to_string(save_major));
    ByteReader end(bytes.last(end_bytes));
    if (end.u16() != static_cast<std::uint16_t>(BlobTlv::end) || end.u32() != 4)
        return bad("end", "cut short");
    if (end.u32() != net::crc32c(bytes.first(bytes.size() - 4)))
        return bad("end", "the checksum does not fit");
    return {};
}

Status read_captured(ByteReader in, Blob& blob) {
    blob.captured_ns = in.u64();
    const std::uint8_t delta = in.u8();
    if (!in.done() || delta > 1) return bad("captured", "wrong length or value");
    if (blob.captured_ns == 0 || blob.captured_ns > latest_ns)
        return bad("captured", "out of range");
    blob.about.delta = delta == 1;
    return {};
}

Status read_tlv(std::uint16_t type, std::span<const std::uint8_t> value, Blob& blob) {
    switch (static_cast<BlobTlv>(type)) {
        case BlobTlv::scope:
            if (value.empty() || value.size() > limits::max_name_bytes || !blob.about.scope.empty())
                return bad("scope", "must be one name of 1 … 63 bytes");
            blob.about.scope.assign(value.begin(), value.end());
            return {};
        case BlobTlv::captured:
            if (blob.captured_ns != 0) return bad("captured", "occurs twice");
            return read_captured(ByteReader(value), blob);
        case BlobTlv::record: {
            if (blob.captured_ns == 0) return bad("record", "stands before captured");
            Result<SavedRecord> record = read_record(value, blob.captured_ns);
            if (!record)
                return bad(
                    "record " + std::to_string(blob.records.size()) + "." + record.error().field,
                    record.error().message);
            blob.records.push_back(std::move(*record));
            return {};
        }
        case BlobTlv::removed: {
            if (value.size() % 8 != 0) return bad("removed", "wrong length");
            for (ByteReader in(value); in.left() > 0;) blob.removed.push_back(in.u64());
            return {};
        }
        case BlobTlv::gone: {
            ByteReader in(value);
            SavedRecord& record = blob.gone.emplace_back();
            record.pair.id = in.u64();
            record.pair.key.vni = in.u32();
            record.pair.key.tuple = in.tuple();
            if (!in.done()) return bad("gone", "wrong length");
            return {};
        }
        case BlobTlv::end:
            return bad("end", "occurs twice");
        default:
            return {};  // of a later minor version
    }
}

Result<Blob> read_blob(std::span<const std::uint8_t> bytes) {
    if (Status status = check_frame(bytes); !status) return status.error();
    Blob blob;
    ByteReader in(bytes.first(bytes.size() - end_bytes).subspan(blob_header_bytes));
    while (in.left() > 0) {
        const std::uint16_t type = in.u16();
        const auto value = in.bytes(in.u32());
        if (!in.ok()) return bad("tlv", "longer than the blob");
        if (Status status = read_tlv(type, value, blob); !status) return status.error();
    }
    if (blob.about.scope.empty() || blob.captured_ns == 0)
        return bad("blob", "has no scope or no time");
    blob.about.records = static_cast<std::uint32_t>(blob.records.size());
    return blob;
}

// Puts decoded records into shards.
class Loader {
public:
    Loader(Blob& blob, std::uint32_t scope, const Shards& shards, const LoadOptions& options)
        : blob_(blob), scope_(scope), shards_(shards), options_(options) {}

    LoadReport run() {
        remove();
        for (const SavedRecord& record : blob_.gone) remove(record);
        for (SavedRecord& record : blob_.records) put(record);
        return blob_.about;
    }

private:
    void remove() {
        if (blob_.removed.empty()) return;
        const std::unordered_set<std::uint64_t> ids(blob_.removed.begin(), blob_.removed.end());
        for (Table* table : shards_.tables) {
            table->for_each(scope_, [&](FlowPair& pair) {
                if (ids.count(pair.id) == 0) return;
                table->erase(pair);
                ++blob_.about.removed;
            });
        }
    }

    void remove(const SavedRecord& gone) {
        const Key& key = gone.pair.key;
        const std::uint32_t hash = net::symmetric_hash(key.tuple);
        Table* const table = shard_of(key.tuple);
        if (table == nullptr) return;
        const Table::Hit hit = table->find(scope_, key.vni, key.tuple, hash);
        if (!hit || hit.pair->id != gone.pair.id) return;
        table->erase(*hit.pair);
        ++blob_.about.removed;
    }

    // Null: the record is not for any of these.
    Table* shard_of(const net::Tuple& tuple) const {
        const std::size_t worker = shards_.worker_of ? shards_.worker_of(tuple) : 0;
        if (worker == Shards::elsewhere) return nullptr;
        WEIR_CHECK(worker < shards_.tables.size(), "every flow has a worker");
        return shards_.tables[worker];
    }

    std::uint64_t time(std::uint64_t saved) const {
        if (saved == 0 || !options_.other_clock) return saved;
        const std::uint64_t age = blob_.captured_ns - saved;
        return options_.now_ns > age ? options_.now_ns - age : 1;
    }

    void put(SavedRecord& saved) {
        Key key = saved.pair.key;
        key.scope = scope_;
        const std::uint32_t hash = net::symmetric_hash(key.tuple);
        Table* const shard = shard_of(key.tuple);
        if (shard == nullptr) return;
        Table& table = *shard;
        if (const Table::Hit hit = table.find(scope_, key.vni, key.tuple, hash)) {
            if (hit.pair->id == saved.pair.id && hit.pair->key == key) {
                ++blob_.about.updated;
                fill(table, *hit.pair, saved);
                return;
            }
            if (hit.pair->key != key && hit.pair->key.tuple.reversed() != key.tuple) {
                ++blob_.about.refused;  // an alias of a flow that is to stay
                return;
            }
            table.erase(*hit.pair);
            ++blob_.about.replaced;
        }
        FlowPair* pair = table.insert(key, hash, options_.now_ns);
        if (pair == nullptr) {
            ++blob_.about.refused;
            return;
        }
        table.set_identity(*pair, saved.pair.id, time(saved.pair.created_ns));
        ++blob_.about.inserted;
        fill(table, *pair, saved);
    }

    void fill(Table& table, FlowPair& pair, const SavedRecord& saved) {
        for (std::size_t i = 0; i < 2; ++i) {
            Hot& to = pair.hot[i];
            const Hot& from = saved.pair.hot[i];
            to.packets = from.packets;
            to.bytes = from.bytes;
            to.last_seen_ns = time(from.last_seen_ns);
            to.window_edge = from.window_edge;
            to.sequence_end = from.sequence_end;
            to.acknowledged = from.acknowledged;
            to.window_scale = from.window_scale;
            to.tcp_seen = from.tcp_seen;
            to.epoch = 0;  // the program is rebuilt from the decisions
        }
        pair.tcp = saved.pair.tcp;
        pair.initiator_outside = saved.pair.initiator_outside;
        pair.traced = saved.pair.traced;
        store_decision(pair.firewall, saved.pair.firewall);
        blob_.about.lost_insertions += !table.set_insertion(pair, saved.insertion);
        for (const SavedAlias& alias : saved.aliases)
            blob_.about.lost_aliases += !table.add_alias(pair, alias.tuple, alias.direction,
                                                         net::symmetric_hash(alias.tuple));
        blob_.about.lost_extensions += !table.set_extension(pair, saved.extension);
        table.refile(pair, options_.timeouts);
        if (options_.loaded) options_.loaded(table, pair, saved.handle);
    }

    Blob& blob_;
    std::uint32_t scope_;
    const Shards& shards_;
    const LoadOptions& options_;
};

}  // namespace

bool Saver::unchanged(const FlowPair& pair) const {
    const auto it = known_.find(table_.slot(pair));
    return it != known_.end() && it->second.id == pair.id && it->second.changes == pair.changes &&
           pair.hot[0].last_seen_ns < saved_ns_ && pair.hot[1].last_seen_ns < saved_ns_;
}

Status Saver::precopy(std::uint64_t now_ns, std::vector<std::uint8_t>& out) {
    known_.clear();
    return write(now_ns, false, out);
}

Status Saver::delta(std::uint64_t now_ns, std::vector<std::uint8_t>& out) {
    return write(now_ns, true, out);
}

Status Saver::write(std::uint64_t now_ns, bool delta, std::vector<std::uint8_t>& out) {
    const Scope* scope = table_.scope(scope_);
    if (scope == nullptr)
        return Error{Errc::not_found, "scope " + std::to_string(scope_), {}, "is not open"};
    if (now_ns == 0 || now_ns > latest_ns || now_ns < saved_ns_)
        return invalid("now_ns", "time is 1 … 2^62 and does not run backwards");
    written_ = 0;
    write_blob(out, scope->name, now_ns, delta, [&](ByteWriter& bytes) {
        if (delta) write_removed(bytes);
        table_.for_each(scope_, [&](FlowPair& pair) {
            if (delta && unchanged(pair)) return;
            write_blob_tlv(bytes, BlobTlv::record,
                           [&] { write_record(bytes, pair, table_, now_ns); });
            known_[table_.slot(pair)] = {pair.id, pair.changes};
            ++written_;
        });
    });
    saved_ns_ = now_ns;
    return {};
}

void Saver::write_removed(ByteWriter& bytes) {
    write_blob_tlv(bytes, BlobTlv::removed, [&] {
        std::erase_if(known_, [&](const auto& entry) {
            const FlowPair* pair = table_.at(entry.first);
            const bool gone = pair->live != record_live || pair->id != entry.second.id;
            if (gone) bytes.u64(entry.second.id);
            return gone;
        });
    });
}

Result<LoadReport> examine(std::span<const std::uint8_t> blob) {
    Result<Blob> read = read_blob(blob);
    if (!read) return read.error();
    return read->about;
}

Result<LoadReport> load(std::span<const std::uint8_t> blob, std::uint32_t scope,
                        const Shards& shards, const LoadOptions& options) {
    Result<Blob> read = read_blob(blob);
    if (!read) return read.error();
    if (options.now_ns == 0 || options.now_ns > latest_ns) return bad("now_ns", "must be 1 … 2^62");
    if (!options.other_clock && read->captured_ns > options.now_ns)
        return bad("captured", "lies in the future; is it another host's clock?");
    for (const Table* table : shards.tables)
        if (table->scope(scope) == nullptr)
            return Error{Errc::not_found, "saved flows", "scope",
                         "worker " + std::to_string(table->worker()) + " has not opened it"};
    return Loader(*read, scope, shards, options).run();
}

}  // namespace weir::flow
