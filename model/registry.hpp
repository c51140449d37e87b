#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/errors.hpp"
#include "model/snapshot.hpp"
#include "model/value.hpp"
#include "model/walk.hpp"

namespace weir::model {

enum class FieldType : std::uint8_t {
    boolean = 1,
    integer,
    text,
    choice,
    notation,
    reference,
    labels,
    structure,
};

// A field as everybody sees it who does not know the C++ type.
struct FieldInfo {
    std::string_view name;
    std::string_view help;
    std::string_view unit;
    FieldType type = FieldType::text;
    bool is_key = false;
    bool is_required = false;
    bool is_list = false;
    // Integers: the smallest and largest value. Texts: bytes.
    std::int64_t min = 0;
    std::uint64_t max = 0;
    std::uint64_t min_count = 0, max_count = 0;  // entries of a list or of labels
    std::vector<std::string_view> choices;       // of an enum
    std::string_view notation;      // "mac", "ip", "prefix", … where the type has one
    bool takes_numbers = false;     // a notation that may also be written as a number
    std::string_view target_kind;   // of a reference
    Value fallback;                 // the default; null if unset
    std::vector<FieldInfo> fields;  // of a structure
};

// One kind of resource with its C++ type taken away.
class Kind {
public:
    virtual ~Kind() = default;
    std::string_view name() const { return name_; }
    std::string_view summary() const { return summary_; }
    const std::vector<FieldInfo>& fields() const { return fields_; }
    // Operators cannot write it.
    bool is_made_by_weir() const { return is_made_by_weir_; }
    // What shows resources that no store holds; empty: `weir get`.
    std::string_view shown_by() const { return shown_by_; }

    // Decodes one resource, checks it and puts it. False, and nothing put, if an error was added.
    virtual bool put(Snapshot& into, const Value& fields, Errors& errors) const = 0;
    virtual bool erase(Snapshot& from, std::string_view name) const = 0;
    // Puts the resource of this name as it stands in `from`, or erases it where `from` has none.
    virtual void copy(const Snapshot& from, std::string_view name, Snapshot& into) const = 0;

    virtual bool contains(const Snapshot& in, std::string_view name) const = 0;
    virtual std::size_t count(const Snapshot& in) const = 0;
    virtual std::vector<std::string> names(const Snapshot& in) const = 0;  // ordered
    // All fields, the name among them; null if there is no such resource.
    virtual Value encode(const Snapshot& in, std::string_view name) const = 0;
    // True if both have the same table object, so that nothing can differ.
    virtual bool shares(const Snapshot& a, const Snapshot& b) const = 0;
    // Compares the contents; a resource that is missing on both sides is equal.
    virtual bool equal(const Snapshot& a, const Snapshot& b, std::string_view name) const = 0;

    // Bounds and names of every resource of this kind.
    virtual void check(const Snapshot& in, Errors& errors) const = 0;
    virtual std::vector<Reference> references(const Snapshot& in, std::string_view name) const = 0;
    virtual void for_each_reference(const Snapshot& in,
                                    const std::function<void(const Reference&)>& visit) const = 0;

protected:
    template <class Schema>
    Kind(const Schema& schema, std::vector<FieldInfo> fields)
        : name_(schema.kind),
          summary_(schema.summary),
          shown_by_(schema.shown_by),
          is_made_by_weir_(schema.is_made_by_weir),
          fields_(std::move(fields)) {}

private:
    std::string_view name_, summary_, shown_by_;
    bool is_made_by_weir_;
    std::vector<FieldInfo> fields_;
};

// What generic validation cannot know. Empty means valid.
using Validator = std::function<std::vector<Error>(const Snapshot&)>;

// When a validator may be asked. Bounds of all fields hold in either case.
enum class Trust : std::uint8_t {
    references = 1,  // only if every reference names something
    bounds,          // also if some name nothing
};

// The kinds of a program and the checks that go with them.
class Registry {
public:
    template <Resource R>
    void add();
    void add_validator(Validator validator, Trust trust = Trust::references) {
        validators_.push_back({std::move(validator), trust});
    }

    // Null if there is none.
    const Kind* kind(std::string_view name) const;
    const std::vector<const Kind*>& kinds() const { return order_; }  // by name
    std::vector<std::string_view> kind_names() const;

    struct Check {
        Validator validator;
        Trust trust;
    };
    const std::vector<Check>& validators() const { return validators_; }

private:
    void add_kind(std::unique_ptr<Kind> kind);

    std::map<std::string_view, std::unique_ptr<Kind>> kinds_;
    std::vector<const Kind*> order_;
    std::vector<Check> validators_;
};

namespace detail {

template <class T>
constexpr std::string_view notation_of() {
    if constexpr (std::is_same_v<T, net::Mac>) return "mac";
    else if constexpr (std::is_same_v<T, net::Ip>) return "ip";
    else if constexpr (std::is_same_v<T, net::Prefix>) return "prefix";
    else if constexpr (std::is_same_v<T, HostAddress>) return "address/length";
    else return T::notation;
}

template <Described S>
std::vector<FieldInfo> describe_fields();

template <class T>
void describe_type(FieldInfo& info, const Bounds& bounds) {
    if constexpr (std::is_same_v<T, bool>) {
        info.type = FieldType::boolean;
    } else if constexpr (std::is_integral_v<T>) {
        info.type = FieldType::integer;
        info.min =
            bounds.bounded ? bounds.min : static_cast<std::int64_t>(std::numeric_limits<T>::min());
        info.max = static_cast<std::uint64_t>(
            bounds.bounded ? static_cast<std::uint64_t>(bounds.max)
                           : static_cast<std::uint64_t>(std::numeric_limits<T>::max()));
    } else if constexpr (std::is_same_v<T, std::string>) {
        info.type = FieldType::text;
        info.min = bounds.bounded ? bounds.min : 0;
        info.max = bounds.bounded ? static_cast<std::uint64_t>(bounds.max) : default_max_text_bytes;
    } else if constexpr (is_ref<T>) {
        info.type = FieldType::reference;
        info.target_kind = T::kind();
    } else if constexpr (NamedEnum<T>) {
        info.type = FieldType::choice;
        for (const auto& entry : enum_names(T{})) info.choices.push_back(entry.second);
    } else if constexpr (Textual<T>) {
        info.type = FieldType::notation;
        info.notation = notation_of<T>();
        info.takes_numbers = NumberTextual<T>;
    } else if constexpr (std::is_same_v<T, Labels>) {
        info.type = FieldType::labels;
    } else if constexpr (is_list<T>) {
        describe_type<typename T::value_type>(info, bounds);
        info.is_list = true;
    } else {
        info.type = FieldType::structure;
        info.fields = describe_fields<T>();
    }
}

template <Described S>
std::vector<FieldInfo> describe_fields() {
    std::vector<FieldInfo> out;
    const S fallback{};
    for_each_field<S>([&](const auto& f) {
        using T = typename std::remove_cvref_t<decltype(f)>::Type;
        FieldInfo info;
        info.name = f.name;
        info.help = f.help;
        info.unit = f.unit_name;
        info.is_key = f.is_key;
        info.is_required = f.is_required;
        info.min_count = f.bounds.min_count;
        info.max_count = f.bounds.max_count;
        describe_type<T>(info, f.bounds);
        if (!is_unset(fallback.*(f.member)) && !f.is_required && !Structure<T>)
            info.fallback = encode_value(fallback.*(f.member), {});
        out.push_back(std::move(info));
    });
    return out;
}

// Adds those of `found` that do not repeat what `known` says about the same field.
void add_news(Errors& errors, const Errors& known, const Errors& found);
std::string object_of(std::string_view kind, const Value& fields);

template <Resource R>
class KindOf final : public Kind {
public:
    KindOf() : Kind(R::schema(), describe_fields<R>()) {}

    bool put(Snapshot& into, const Value& fields, Errors& errors) const override {
        R resource{};
        Errors decoding, checking;
        const std::string object = object_of(name(), fields);
        decode_fields(fields, resource, Path{}, Sink{decoding, object});
        check_fields(resource, Path{}, Sink{checking, object});
        add_news(errors, decoding, checking);
        if (!decoding.empty() || !checking.empty()) return false;
        into.put(std::move(resource));
        return true;
    }
    bool erase(Snapshot& from, std::string_view n) const override { return from.erase<R>(n); }
    void copy(const Snapshot& from, std::string_view n, Snapshot& into) const override {
        if (const R* r = from.find<R>(n)) {
            into.put(*r);
        } else {
            into.erase<R>(n);
        }
    }
    bool contains(const Snapshot& in, std::string_view n) const override {
        return in.find<R>(n) != nullptr;
    }
    std::size_t count(const Snapshot& in) const override { return in.all<R>().size(); }
    std::vector<std::string> names(const Snapshot& in) const override {
        std::vector<std::string> out;
        for (const auto& row : in.all<R>()) out.push_back(row.first);
        return out;
    }
    Value encode(const Snapshot& in, std::string_view n) const override {
        const R* r = in.find<R>(n);
        static const R fallback{};
        return r ? encode_fields(*r, fallback) : Value();
    }
    bool shares(const Snapshot& a, const Snapshot& b) const override { return a.shares<R>(b); }
    bool equal(const Snapshot& a, const Snapshot& b, std::string_view n) const override {
        const R *left = a.find<R>(n), *right = b.find<R>(n);
        return left == right || (left && right && equal_fields(*left, *right));
    }
    void check(const Snapshot& in, Errors& errors) const override {
        for (const auto& [n, r] : in.all<R>())
            check_fields(r, Path{}, Sink{errors, object_name<R>(std::string_view(n))});
    }
    std::vector<Reference> references(const Snapshot& in, std::string_view n) const override {
        std::vector<Reference> out;
        if (const R* r = in.find<R>(n))
            visit(*r, [&](const Reference& reference) { out.push_back(reference); });
        return out;
    }
    void for_each_reference(const Snapshot& in,
                            const std::function<void(const Reference&)>& tell) const override {
        for (const auto& row : in.all<R>()) visit(row.second, tell);
    }

private:
    template <class Tell>
    static void visit(const R& r, const Tell& tell) {
        auto found = [&](const Path& path, std::string_view kind, const std::string& target) {
            tell(Reference{object_name(r), path.text(), std::string(kind), target});
        };
        visit_references(r, Path{}, found);
    }
};

}  // namespace detail

template <Resource R>
void Registry::add() {
    add_kind(std::make_unique<detail::KindOf<R>>());
}

}  // namespace weir::model
