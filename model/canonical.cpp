#include "model/canonical.hpp"

#include <algorithm>

#include "model/json.hpp"

namespace weir::model {

namespace {

Value sorted(const Value& value) {
    if (value.is_array()) {
        Value out = Value::array();
        for (const Value& item : value.items()) out.push(sorted(item));
        return out;
    }
    if (!value.is_object()) return value;
    Value out = Value::object();
    for (const auto& [key, member] : value.members())
        out.edit_members().push_back({key, sorted(member)});
    std::ranges::sort(out.edit_members(), {}, &Value::Member::key);
    return out;
}

// The finaliser of MurmurHash3: every bit of the input moves every bit of the output.
std::uint64_t mix(std::uint64_t h) {
    h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdull;
    h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53ull;
    return h ^ (h >> 33);
}

Status put_table(const Kind& kind, const Value& table, Snapshot& into, Errors& errors) {
    if (!table.is_object()) return invalid(std::string(kind.name()), "expected a map of resources");
    for (const auto& [name, fields] : table.members()) {
        const std::string object = std::string(kind.name()) + "/" + name;
        if (fields["name"].as_text() != name)
            return Error{Errc::invalid, object, "name", "does not stand at its place"};
        if (kind.contains(into, name)) return Error{Errc::invalid, object, {}, "is written twice"};
        kind.put(into, fields, errors);
    }
    return {};
}

}  // namespace

std::string canonical_text(const Value& value) {
    return dump_json(sorted(value));
}

std::string encode_canonical(const Registry& registry, const Snapshot& snapshot) {
    std::string out = "{\"revision\":" + std::to_string(snapshot.revision) + ",\"resources\":{";
    bool first_kind = true;
    for (const Kind* kind : registry.kinds()) {
        if (kind->count(snapshot) == 0) continue;
        out.append(first_kind ? "\"" : ",\"").append(kind->name()).append("\":{");
        first_kind = false;
        bool first = true;
        for (const std::string& name : kind->names(snapshot)) {
            out.append(first ? "" : ",").append(dump_json(Value(name))).append(":");
            out += canonical_text(kind->encode(snapshot, name));
            first = false;
        }
        out += "}";
    }
    return out + "}}";
}

Result<Snapshot> decode_canonical(const Registry& registry, std::string_view bytes,
                                  UnknownKinds unknown) {
    const auto value = parse_json(bytes, trusted_limits);
    if (!value) return value.error();
    const Value& revision = (*value)["revision"];
    const Value& resources = (*value)["resources"];
    if (!revision.is_integer() || revision.as_int() < 0)
        return invalid("revision", "expected a revision");
    if (!resources.is_object()) return invalid("resources", "expected a map of kinds");
    Snapshot snapshot;
    snapshot.revision = revision.as_uint();
    Errors errors;
    for (const auto& [name, table] : resources.members()) {
        const Kind* kind = registry.kind(name);
        if (!kind && unknown == UnknownKinds::skip) continue;
        if (!kind) return invalid(name, "is no kind of resource");
        if (Status put = put_table(*kind, table, snapshot, errors); !put) return put.error();
        if (!errors.empty()) return errors.list().front();
    }
    return snapshot;
}

std::uint64_t digest(std::string_view canonical) {
    std::uint64_t h = 0xcbf29ce484222325ull;  // FNV-1a
    for (char c : canonical) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
    return mix(h);
}

std::uint64_t digest(const Kind& kind, const Snapshot& snapshot, std::string_view name) {
    return digest(canonical_text(kind.encode(snapshot, name)));
}

Digests digests(const Registry& registry, const Snapshot& snapshot) {
    Digests out;
    for (const Kind* kind : registry.kinds())
        for (const std::string& name : kind->names(snapshot))
            out.emplace(ResourceKey{std::string(kind->name()), name},
                        digest(*kind, snapshot, name));
    return out;
}

std::uint64_t content_digest(const Registry& registry, const Snapshot& snapshot) {
    std::string all;
    for (const auto& [key, value] : digests(registry, snapshot))
        all += key.text() + "=" + std::to_string(value) + "\n";
    return digest(all);
}

}  // namespace weir::model
