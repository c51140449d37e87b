#pragma once
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "model/describe.hpp"
#include "model/scalars.hpp"
#include "model/secret.hpp"
#include "model/value.hpp"

// Walks over described things: decode, encode, check, compare, collect references. Templates, but
// thin: whatever does not depend on the type stands in scalars.cpp.
namespace weir::model {

struct Reference {
    std::string object;       // who refers: "port/g1"
    std::string field;        // where: "segment"
    std::string target_kind;  // to what: "segment"
    std::string target_name;
};

template <Described S>
void decode_fields(const Value& value, S& out, const Path& path, const Sink& sink);

// Reads `value` into `out`, telling the sink what does not fit; `out` keeps its content there.
template <class T>
void decode_value(const Value& value, T& out, const Bounds& bounds, const Path& path,
                  const Sink& sink) {
    if constexpr (std::is_same_v<T, bool>) {
        decode_bool(value, out, path, sink);
    } else if constexpr (std::is_integral_v<T>) {
        constexpr IntegerLimits limits{static_cast<std::int64_t>(std::numeric_limits<T>::min()),
                                       static_cast<std::uint64_t>(std::numeric_limits<T>::max())};
        std::uint64_t bits = 0;
        if (decode_integer(value, bits, limits, bounds, path, sink)) out = static_cast<T>(bits);
    } else if constexpr (std::is_same_v<T, std::string>) {
        decode_text(value, out, path, sink);
    } else if constexpr (is_ref<T>) {
        decode_text(value, out.name, path, sink);
    } else if constexpr (NamedEnum<T>) {
        std::string text, choices;
        if (!decode_text(value, text, path, sink)) return;
        for (const auto& [enumerator, name] : enum_names(T{})) {
            if (name == text) return void(out = enumerator);
            choices += (choices.empty() ? "" : ", ") + std::string(name);
        }
        sink.fail(path, in_quotes(text) + " is none of " + choices, &value);
    } else if constexpr (Textual<T>) {
        std::string text;
        if (!(NumberTextual<T> && number_text(value, text)) &&
            !decode_text(value, text, path, sink))
            return;
        Result<T> parsed = T::parse(text);
        if (parsed) return void(out = *std::move(parsed));
        sink.fail(path, parsed.error().message, &value);
    } else if constexpr (std::is_same_v<T, Labels>) {
        decode_labels(value, out, path, sink);
    } else if constexpr (is_list<T>) {
        Value::Array items;
        if (!decode_items(value, items, path, sink)) return;
        if (items.size() > bounds.max_count) return check_count(items.size(), bounds, path, sink);
        out.clear();
        out.resize(items.size());
        for (std::size_t i = 0; i < items.size(); ++i)
            decode_value(items[i], out[i], bounds, path.item(i), sink);
    } else {
        static_assert(Structure<T>, "a described field must have a type that describe.hpp names");
        decode_fields(value, out, path, sink);
    }
}

// Tells of members that are unknown or written twice. `known` names the fields.
void check_members(const Value& value, const std::vector<std::string_view>& known, const Path& path,
                   const Sink& sink);

template <Described S>
void decode_fields(const Value& value, S& out, const Path& path, const Sink& sink) {
    if (!value.is_object())
        return sink.fail(path, "expected a map of fields, found " + std::string(value.type_name()),
                         &value);
    std::vector<std::string_view> known;
    for_each_field<S>([&](const auto& f) {
        known.push_back(f.name);
        const Value* found = value.find(f.name);
        const Path here = path.field(f.name);
        if (found && !found->is_null()) {
            decode_value(*found, out.*(f.member), f.bounds, here, sink);
        } else if (f.is_required) {
            sink.fail(here, "is missing", &value);
        }
    });
    check_members(value, known, path, sink);
}

// True for a value that means "nothing": an empty text, a zero address, an unnamed enumerator.
template <class T>
bool is_unset(const T& value) {
    if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, Labels> || is_list<T>) {
        return value.empty();
    } else if constexpr (is_ref<T>) {
        return value.name.empty();
    } else if constexpr (NamedEnum<T>) {
        for (const auto& entry : enum_names(T{}))
            if (entry.first == value) return false;
        return true;
    } else if constexpr (std::is_same_v<T, net::Ip> || std::is_same_v<T, net::Mac>) {
        return value == T{};
    } else if constexpr (std::is_same_v<T, Secret>) {
        return value.bytes.empty();
    } else {
        return false;
    }
}

template <Described S>
void check_fields(const S& s, const Path& path, const Sink& sink);

// Tells the sink of everything in `value` that is out of bounds.
template <class T>
void check_value(const T& value, const Bounds& bounds, const Path& path, const Sink& sink) {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
        if (bounds.bounded)
            check_integer(std::cmp_less(value, bounds.min), std::cmp_greater(value, bounds.max),
                          std::to_string(value), bounds, path, sink);
    } else if constexpr (std::is_same_v<T, std::string>) {
        check_text(value, bounds, path, sink);
    } else if constexpr (is_ref<T>) {
        if (value) check_name(value.name, path, sink);
    } else if constexpr (std::is_same_v<T, Labels>) {
        check_labels(value, bounds, path, sink);
    } else if constexpr (is_list<T>) {
        check_count(value.size(), bounds, path, sink);
        for (std::size_t i = 0; i < value.size(); ++i) {
            if (is_unset(value[i])) sink.fail(path.item(i), "must not be empty");
            check_value(value[i], bounds, path.item(i), sink);
        }
    } else if constexpr (Structure<T>) {
        check_fields(value, path, sink);
    }
}

template <Described S>
void check_fields(const S& s, const Path& path, const Sink& sink) {
    for_each_field<S>([&](const auto& f) {
        const auto& value = s.*(f.member);
        const Path here = path.field(f.name);
        if (f.is_key) {
            if constexpr (std::is_same_v<std::remove_cvref_t<decltype(value)>, std::string>)
                return check_name(value, here, sink);
        }
        if (f.is_required && is_unset(value)) return sink.fail(here, "must not be empty");
        check_value(value, f.bounds, here, sink);
    });
}

template <Described S>
Value encode_fields(const S& s, const S& fallback);

// `fallback` is what reading nothing would give.
template <class T>
Value encode_value(const T& value, [[maybe_unused]] const T& fallback) {
    if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::string>) {
        return Value(value);
    } else if constexpr (std::is_integral_v<T>) {
        using Wide = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
        return Value(static_cast<Wide>(value));
    } else if constexpr (is_ref<T>) {
        return Value(value.name);
    } else if constexpr (NamedEnum<T>) {
        return Value(enum_name(value));
    } else if constexpr (Textual<T>) {
        return Value(std::string(value.text()));
    } else if constexpr (std::is_same_v<T, Labels>) {
        Value out = Value::object();
        for (const auto& [key, text] : value) out.edit_members().push_back({key, Value(text)});
        return out;
    } else if constexpr (is_list<T>) {
        Value out = Value::array();
        for (const auto& item : value) out.push(encode_value(item, {}));
        return out;
    } else {
        return encode_fields(value, fallback);
    }
}

template <Described S>
bool equal_fields(const S& a, const S& b);

// True for fields that need not be written because reading nothing gives the same.
template <class T>
bool may_omit(const T& value, const T& fallback) {
    if constexpr (Structure<T>) {
        return equal_fields(value, fallback);
    } else {
        return is_unset(value) && is_unset(fallback);
    }
}

// All fields in the order of the description, without those that are unset in `fallback` and still.
template <Described S>
Value encode_fields(const S& s, [[maybe_unused]] const S& fallback) {
    Value out = Value::object();
    for_each_field<S>([&](const auto& f) {
        const auto& value = s.*(f.member);
        if (!may_omit(value, fallback.*(f.member)))
            out.edit_members().push_back(
                {std::string(f.name), encode_value(value, fallback.*(f.member))});
    });
    return out;
}

template <class T>
bool equal_values(const T& a, const T& b) {
    if constexpr (Structure<T>) {
        return equal_fields(a, b);
    } else if constexpr (is_list<T>) {
        if (a.size() != b.size()) return false;
        for (std::size_t i = 0; i < a.size(); ++i)
            if (!equal_values(a[i], b[i])) return false;
        return true;
    } else {
        return a == b;
    }
}

template <Described S>
bool equal_fields(const S& a, const S& b) {
    bool equal = true;
    for_each_field<S>(
        [&](const auto& f) { equal = equal && equal_values(a.*(f.member), b.*(f.member)); });
    return equal;
}

template <Described S, class Visit>
void visit_references(const S& s, const Path& path, Visit& visit);

// Calls visit(path, target kind, target name) for every reference that is set.
template <class T, class Visit>
void visit_value_references(const T& value, const Path& path, Visit& visit) {
    if constexpr (is_ref<T>) {
        if (value) visit(path, T::kind(), value.name);
    } else if constexpr (is_list<T>) {
        for (std::size_t i = 0; i < value.size(); ++i)
            visit_value_references(value[i], path.item(i), visit);
    } else if constexpr (Structure<T>) {
        visit_references(value, path, visit);
    }
}

template <Described S, class Visit>
void visit_references(const S& s, const Path& path, Visit& visit) {
    for_each_field<S>(
        [&](const auto& f) { visit_value_references(s.*(f.member), path.field(f.name), visit); });
}

}  // namespace weir::model
