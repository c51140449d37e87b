#include "model/secret.hpp"

#include <algorithm>

#include "model/registry.hpp"

namespace weir::model {
namespace {

constexpr std::string_view digits = "0123456789abcdef";

int digit(char c) {
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
    const auto at = digits.find(c);
    return at == digits.npos ? -1 : static_cast<int>(at);
}

bool is_secret(const FieldInfo& field) {
    return field.type == FieldType::notation && field.notation == Secret::notation;
}

// The same entry of the stored list: the one whose first field is equal.
const Value& entry_like(const FieldInfo& list, const Value& entry, const Value& stored) {
    static const Value nothing;
    if (list.fields.empty()) return nothing;
    const Value wanted = entry[list.fields[0].name].resolved();
    const auto at = std::ranges::find_if(stored.items(), [&](const Value& one) {
        return one[list.fields[0].name].resolved() == wanted;
    });
    return at == stored.items().end() ? nothing : *at;
}

void fill_secret(const FieldInfo& field, const Value& stored, Value& value) {
    if (is_secret(field) && value.as_text() == Secret::hidden && stored.is_text()) value = stored;
    if (field.type != FieldType::structure) return;
    if (!field.is_list) return fill_secrets(field.fields, stored, value);
    if (!value.is_array()) return;
    for (Value& entry : value.edit_items())
        fill_secrets(field.fields, entry_like(field, entry, stored), entry);
}

}  // namespace

Result<Secret> Secret::parse(std::string_view text) {
    if (text == hidden)
        return Error{Errc::invalid, "", "",
                     "is not shown, and none is stored here that it could stand for: write it"};
    Secret out;
    bool good = text.size() % 2 == 0;
    for (std::size_t i = 0; good && i < text.size(); i += 2) {
        const int high = digit(text[i]), low = digit(text[i + 1]);
        good = high >= 0 && low >= 0;
        if (good) out.bytes.push_back(static_cast<std::uint8_t>(high << 4 | low));
    }
    if (!good || out.bytes.size() < min_bytes || out.bytes.size() > max_bytes)
        return Error{Errc::invalid, "", "", "expected 32 to 128 hexadecimal digits"};
    return out;
}

std::string Secret::text() const {
    std::string out;
    for (const std::uint8_t byte : bytes) {
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    return out;
}

Secret Secret::arbitrary(std::uint64_t seed) {
    Secret out;
    out.bytes.resize(min_bytes + seed % (max_bytes - min_bytes + 1));
    for (std::uint8_t& byte : out.bytes) byte = static_cast<std::uint8_t>(seed = seed * 7 + 3);
    return out;
}

void hide_secret(const FieldInfo& field, Value& value) {
    if (is_secret(field) && value.is_text()) value = Value(Secret::hidden);
    if (field.type != FieldType::structure) return;
    if (!field.is_list) return hide_secrets(field.fields, value);
    if (!value.is_array()) return;
    for (Value& entry : value.edit_items()) hide_secrets(field.fields, entry);
}

void hide_secrets(const std::vector<FieldInfo>& fields, Value& resource) {
    if (!resource.is_object()) return;
    for (Value::Member& member : resource.edit_members()) {
        const auto field = std::ranges::find(fields, member.key, &FieldInfo::name);
        if (field != fields.end()) hide_secret(*field, member.value);
    }
}

void fill_secrets(const std::vector<FieldInfo>& fields, const Value& stored, Value& resource) {
    if (!resource.is_object()) return;
    for (Value::Member& member : resource.edit_members()) {
        const auto field = std::ranges::find(fields, member.key, &FieldInfo::name);
        if (field != fields.end()) fill_secret(*field, stored[member.key], member.value);
    }
}

}  // namespace weir::model
