#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/documents.hpp"
#include "model/registry.hpp"
#include "model/snapshot.hpp"

// What differs between two snapshots: for programs (Delta) and for people (Change).
namespace weir::model {

struct ResourceKey {
    std::string kind;
    std::string name;
    std::string text() const { return kind + "/" + name; }
    friend auto operator<=>(const ResourceKey&, const ResourceKey&) = default;
};

// Makes the snapshot of `target_revision` from that of `base_revision`.
struct Delta {
    std::uint64_t base_revision = 0;
    std::uint64_t target_revision = 0;
    std::vector<Document> puts;  // whole resources, created or changed
    std::vector<ResourceKey> deletes;

    bool empty() const { return puts.empty() && deletes.empty(); }
};

Delta diff(const Registry& registry, const Snapshot& base, const Snapshot& target);

// Errors: conflict (another base revision), not_found (deletes what is not there), invalid (a
// resource that does not decode). Nothing is applied then.
Result<Snapshot> apply(const Registry& registry, const Snapshot& base, const Delta& delta);

// JSON, as it travels to hosts: {"base_revision", "target_revision", "puts", "deletes"}.
std::string encode_delta(const Delta& delta);
Result<Delta> decode_delta(std::string_view text);

enum class ChangeType : std::uint8_t { created = 1, changed, deleted };

// Null stands for "not there".
struct FieldChange {
    std::string field;  // "device.type", "addresses"
    Value before, after;
};

struct Change {
    ChangeType type;
    ResourceKey key;
    std::vector<FieldChange> fields;  // of all three types
};

// Ordered by kind and name.
std::vector<Change> changes(const Registry& registry, const Snapshot& before,
                            const Snapshot& after);
// Field by field; lists are compared as a whole, maps member by member.
std::vector<FieldChange> field_changes(const Value& before, const Value& after);

// "+ port/g1", "~ port/g1: mtu 1500 → 9000", "- port/g1": one line a resource.
std::string change_text(const Change& change);

}  // namespace weir::model
