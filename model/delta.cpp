#include "model/delta.hpp"

#include <algorithm>

#include "model/json.hpp"

namespace weir::model {

namespace {

constexpr std::size_t max_shown_bytes = 120;  // of a value in change_text()

// Calls visit(kind, name) for every resource that is not equal on both sides, ordered.
template <class Visit>
void for_each_difference(const Registry& registry, const Snapshot& a, const Snapshot& b,
                         Visit&& visit) {
    for (const Kind* kind : registry.kinds()) {
        if (kind->shares(a, b)) continue;
        const std::vector<std::string> left = kind->names(a), right = kind->names(b);
        std::vector<std::string> all;
        std::ranges::set_union(left, right, std::back_inserter(all));
        for (const std::string& name : all)
            if (!kind->equal(a, b, name)) visit(*kind, name);
    }
}

void collect(const std::string& field, const Value& before, const Value& after,
             std::vector<FieldChange>& out) {
    if (before == after) return;
    const bool walk =
        (before.is_object() || before.is_null()) && (after.is_object() || after.is_null());
    if (!walk) return out.push_back({field, before, after});
    const std::string prefix = field.empty() ? "" : field + ".";
    for (const auto& [key, value] : before.members()) collect(prefix + key, value, after[key], out);
    for (const auto& [key, value] : after.members())
        if (!before.find(key)) collect(prefix + key, Value(), value, out);
}

// Keys are told of as changed, not shown.
void hide(const Kind& kind, FieldChange& change) {
    const std::string_view top = std::string_view(change.field).substr(0, change.field.find('.'));
    const auto field = std::ranges::find(kind.fields(), top, &FieldInfo::name);
    if (field == kind.fields().end() || top.size() != change.field.size()) return;
    hide_secret(*field, change.before);
    hide_secret(*field, change.after);
}

std::string shown(const Value& value) {
    std::string text = value.is_null() ? "unset" : dump_json(value);
    if (text.size() <= max_shown_bytes) return text;
    text.resize(max_shown_bytes);
    while (!text.empty() && !is_utf8(text)) text.pop_back();
    return text + "…";
}

Result<std::uint64_t> revision_in(const Value& value, const char* field) {
    const Value& found = value[field];
    if (!found.is_integer() || (found.as_int() < 0)) return invalid(field, "expected a revision");
    return found.as_uint();
}

Status decode_deletes(const Value& list, std::vector<ResourceKey>& out) {
    if (!list.is_array()) return invalid("deletes", "expected a list");
    for (const Value& item : list.items()) {
        if (!item["kind"].is_text() || !item["name"].is_text())
            return invalid("deletes", "expected a kind and a name");
        out.push_back({item["kind"].as_text(), item["name"].as_text()});
    }
    return {};
}

}  // namespace

Delta diff(const Registry& registry, const Snapshot& base, const Snapshot& target) {
    Delta delta{base.revision, target.revision, {}, {}};
    for_each_difference(registry, base, target, [&](const Kind& kind, const std::string& name) {
        Value fields = kind.encode(target, name);
        if (fields.is_null()) {
            delta.deletes.push_back({std::string(kind.name()), name});
        } else {
            delta.puts.push_back({std::string(kind.name()), std::move(fields)});
        }
    });
    return delta;
}

Result<Snapshot> apply(const Registry& registry, const Snapshot& base, const Delta& delta) {
    if (base.revision != delta.base_revision)
        return Error{Errc::conflict,
                     {},
                     "base_revision",
                     "the delta starts from revision " + std::to_string(delta.base_revision) +
                         ", here is " + std::to_string(base.revision)};
    Snapshot target = base;
    target.revision = delta.target_revision;
    for (const ResourceKey& key : delta.deletes) {
        const Kind* kind = registry.kind(key.kind);
        if (!kind || !kind->erase(target, key.name))
            return Error{Errc::not_found, key.text(), {}, "does not exist"};
    }
    Errors errors;
    put_documents(registry, delta.puts, target, errors);
    if (!errors.empty()) return errors.list().front();
    return target;
}

std::string encode_delta(const Delta& delta) {
    Value out = Value::object();
    out.set("base_revision", delta.base_revision);
    out.set("target_revision", delta.target_revision);
    Value& puts = out.set("puts", Value::array());
    for (const Document& document : delta.puts) puts.push(written(document));
    Value& deletes = out.set("deletes", Value::array());
    for (const ResourceKey& key : delta.deletes) {
        Value item = Value::object();
        item.set("kind", key.kind);
        item.set("name", key.name);
        deletes.push(std::move(item));
    }
    return dump_json(out);
}

Result<Delta> decode_delta(std::string_view text) {
    const auto value = parse_json(text, trusted_limits);
    if (!value) return value.error();
    Delta delta;
    const auto base = revision_in(*value, "base_revision");
    if (!base) return base.error();
    const auto target = revision_in(*value, "target_revision");
    if (!target) return target.error();
    delta.base_revision = *base;
    delta.target_revision = *target;
    if (!(*value)["puts"].is_array()) return invalid("puts", "expected a list");
    Errors errors;
    split_documents((*value)["puts"], delta.puts, errors);
    if (!errors.empty()) return errors.list().front();
    if (Status deletes = decode_deletes((*value)["deletes"], delta.deletes); !deletes)
        return deletes.error();
    return delta;
}

std::vector<FieldChange> field_changes(const Value& before, const Value& after) {
    std::vector<FieldChange> out;
    collect("", before, after, out);
    return out;
}

std::vector<Change> changes(const Registry& registry, const Snapshot& before,
                            const Snapshot& after) {
    std::vector<Change> out;
    for_each_difference(registry, before, after, [&](const Kind& kind, const std::string& name) {
        const Value left = kind.encode(before, name), right = kind.encode(after, name);
        const ChangeType type = left.is_null()    ? ChangeType::created
                                : right.is_null() ? ChangeType::deleted
                                                  : ChangeType::changed;
        out.push_back({type, {std::string(kind.name()), name}, field_changes(left, right)});
        for (FieldChange& change : out.back().fields) hide(kind, change);
    });
    return out;
}

std::string change_text(const Change& change) {
    if (change.type == ChangeType::created) return "+ " + change.key.text();
    if (change.type == ChangeType::deleted) return "- " + change.key.text();
    std::string out = "~ " + change.key.text() + ":";
    const char* separator = " ";
    for (const auto& [field, before, after] : change.fields) {
        out += separator + field + " " + shown(before) + " → " + shown(after);
        separator = ", ";
    }
    return out;
}

}  // namespace weir::model
