#include "model/registry.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace weir::model {

const Kind* Registry::kind(std::string_view name) const {
    const auto at = kinds_.find(name);
    return at == kinds_.end() ? nullptr : at->second.get();
}

std::vector<std::string_view> Registry::kind_names() const {
    std::vector<std::string_view> names;
    for (const Kind* kind : order_) names.push_back(kind->name());
    return names;
}

void Registry::add_kind(std::unique_ptr<Kind> kind) {
    WEIR_CHECK(why_no_name(kind->name()).empty(), "a kind needs a name that can be a name");
    const auto keys = std::ranges::count_if(kind->fields(), &FieldInfo::is_key);
    WEIR_CHECK(keys == 1 && kind->fields().front().is_key && kind->fields().front().name == "name",
               "a described resource has exactly one key, \"name\", and it stands first");
    const Kind* added = kind.get();
    const bool is_new = kinds_.emplace(added->name(), std::move(kind)).second;
    WEIR_CHECK(is_new, "two kinds of one name");
    order_.insert(std::ranges::upper_bound(order_, added->name(), {}, &Kind::name), added);
}

namespace detail {

namespace {

std::string_view first_step(std::string_view field) {
    return field.substr(0, field.find_first_of(".["));
}

}  // namespace

void add_news(Errors& errors, const Errors& known, const Errors& found) {
    errors.add(known.list());
    for (const Error& error : found.list()) {
        const bool told = std::ranges::any_of(known.list(), [&](const Error& k) {
            return first_step(k.field) == first_step(error.field) || k.field.empty();
        });
        if (!told) errors.add(error);
    }
}

std::string object_of(std::string_view kind, const Value& fields) {
    const Value& name = fields["name"];
    if (!name.is_text()) return std::string(kind) + "/?";
    const std::string shown = in_quotes(name.as_text());
    const bool plain = why_no_name(name.as_text()).empty();
    return std::string(kind) + "/" + (plain ? name.as_text() : shown);
}

}  // namespace detail
}  // namespace weir::model
