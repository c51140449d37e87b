#pragma once
#include <array>
#include <compare>
#include <concepts>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "net/address.hpp"

// The one description of a resource: its kind, its fields, their help and bounds. Storage, REST,
// command line, validation and reference pages are derived from it. See model/README.md.
namespace weir::model {

inline constexpr std::uint64_t default_max_items = 65536;      // of a list, unless described
inline constexpr std::uint64_t default_max_text_bytes = 1024;  // of a text, unless described

// An address and the length of its network, host bits kept: "10.0.0.1/24".
struct HostAddress {
    net::Ip address;
    std::uint8_t length = 0;

    static Result<HostAddress> parse(std::string_view text) {
        auto prefix = net::Prefix::parse_host(text);
        if (!prefix) return prefix.error();
        return HostAddress{prefix->address, prefix->length};
    }
    std::string text() const { return net::Prefix{address, length}.text(); }
    net::Prefix network() const { return net::Prefix{address, length}.network(); }
    friend auto operator<=>(const HostAddress&, const HostAddress&) = default;
};

// The name of another resource; validation refuses a name that nothing carries. Empty: none.
template <class R>
struct Ref {
    using Target = R;
    std::string name;

    Ref() = default;
    Ref(std::string n) : name(std::move(n)) {}
    Ref(const char* n) : name(n) {}
    explicit operator bool() const { return !name.empty(); }
    static constexpr std::string_view kind() { return R::schema().kind; }
    friend auto operator<=>(const Ref&, const Ref&) = default;
};

using Labels = std::map<std::string, std::string>;

// What one field may hold. For lists, `min` and `max` bound the items, the counts the list itself.
struct Bounds {
    std::int64_t min = 0, max = 0;  // integers: value; texts: bytes
    bool bounded = false;           // false: whatever the type holds
    std::uint64_t min_count = 0, max_count = default_max_items;
};

// One line of a description: the member, its outside name, its help and its bounds.
template <class Owner, class T>
struct Field {
    using Type = T;
    T Owner::*member;
    std::string_view name;
    std::string_view help;
    bool is_key = false;
    bool is_required = false;
    Bounds bounds{};
    std::string_view unit_name{};  // "s", "bytes", …

    // Must be written, and must not be empty, zero or none.
    constexpr Field required() const {
        Field f = *this;
        f.is_required = true;
        return f;
    }
    constexpr Field range(std::int64_t min, std::int64_t max) const {
        Field f = *this;
        f.bounds.min = min;
        f.bounds.max = max;
        f.bounds.bounded = true;
        return f;
    }
    constexpr Field count(std::uint64_t min, std::uint64_t max) const {
        Field f = *this;
        f.bounds.min_count = min;
        f.bounds.max_count = max;
        return f;
    }
    constexpr Field unit(std::string_view name_of_unit) const {
        Field f = *this;
        f.unit_name = name_of_unit;
        return f;
    }
};

template <class Owner, class T>
constexpr auto key(T Owner::*m, std::string_view name, std::string_view help) {
    Field<Owner, T> f{m, name, help};
    f.is_key = f.is_required = true;
    return f;
}
template <class Owner, class T>
constexpr auto field(T Owner::*m, std::string_view name, std::string_view help) {
    return Field<Owner, T>{m, name, help};
}
template <class Owner, class T>
constexpr auto field(T Owner::*m, std::string_view name, std::string_view help, std::int64_t min,
                     std::int64_t max) {
    return Field<Owner, T>{m, name, help}.range(min, max);
}

template <class... F>
struct ResourceSchema {
    std::string_view kind;  // CLI noun, REST collection, storage key
    std::string_view summary;
    std::tuple<F...> fields;
    bool is_made_by_weir = false;
    std::string_view shown_by{};  // see made_resource()
};
template <class... F>
struct StructSchema {
    std::string_view summary;
    std::tuple<F...> fields;
};

// A thing with a name, stored on its own.
template <class... F>
constexpr ResourceSchema<F...> resource(std::string_view kind, std::string_view summary, F... f) {
    return {kind, summary, {f...}};
}
// One that Weir makes and operators only read. `shown_by`: the command that shows it if no store
// holds it and `weir get` finds none; else empty.
template <class... F>
constexpr ResourceSchema<F...> made_resource(std::string_view kind, std::string_view summary,
                                             std::string_view shown_by, F... f) {
    return {kind, summary, {f...}, true, shown_by};
}
// A part of a resource, without a name of its own.
template <class... F>
constexpr StructSchema<F...> structure(std::string_view summary, F... f) {
    return {summary, {f...}};
}

template <class T>
concept Described = requires {
    T::schema().fields;
};
template <class R>
concept Resource = Described<R> && requires(R r) {
    R::schema().kind;
    { r.name } -> std::same_as<std::string&>;
};
// A part of a resource with fields of its own.
template <class T>
concept Structure = Described<T> && !Resource<T>;
// An enum whose names stand in `constexpr auto enum_names(E)`: an array of {enumerator, name}.
// The zero enumerator is a choice only if it is listed there.
template <class E>
concept NamedEnum = std::is_enum_v<E> && requires(E e) {
    enum_names(e).size();
};
// A type with a notation of its own, e.g. an address or a range of ports ("80-90").
template <class T>
concept Textual = !Described<T> && requires(const T& t, std::string_view text) {
    { T::parse(text) } -> std::same_as<Result<T>>;
    { t.text() } -> std::convertible_to<std::string>;
};

// One whose notation may be a bare number, as 80 for a range of ports: JSON may then write one.
template <class T>
concept NumberTextual = Textual<T> && T::takes_numbers;

template <class T>
inline constexpr bool is_list = false;
template <class T>
inline constexpr bool is_list<std::vector<T>> = true;
template <class T>
inline constexpr bool is_ref = false;
template <class R>
inline constexpr bool is_ref<Ref<R>> = true;

template <Described R, class Visit>
constexpr void for_each_field(Visit&& visit) {
    std::apply([&](const auto&... f) { (visit(f), ...); }, R::schema().fields);
}

// The name of an enumerator, or "none" for a value that has no name.
template <NamedEnum E>
constexpr std::string_view enum_name(E value) {
    for (const auto& [enumerator, name] : enum_names(E{}))
        if (enumerator == value) return name;
    return "none";
}

// "firewall-rule/web": how messages, storage and links name a resource.
template <Resource R>
std::string object_name(std::string_view name) {
    return std::string(R::schema().kind) + "/" + std::string(name);
}
template <Resource R>
std::string object_name(const R& r) {
    return object_name<R>(std::string_view(r.name));
}

}  // namespace weir::model
