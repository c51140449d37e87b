#pragma once
#include "base/check.hpp"
#include "features/feature.hpp"
#include "model/canonical.hpp"
#include "model/core_resources.hpp"
#include "model/json.hpp"
#include "model/validate.hpp"

// What the fuzzers of the model share: every kind there is, and what must hold of anything that was
// accepted.
namespace weir::features::fuzz {

inline const model::Registry& registry() {
    static const model::Registry every = registry_of(all());
    return every;
}

inline void check_errors(const model::Errors& errors) {
    for (const Error& error : errors.list()) {
        WEIR_CHECK(!error.message.empty(), "an error says what is wrong");
        WEIR_CHECK(model::is_utf8(error.text()), "messages are text");
    }
}

// The canonical text, which must be readable and give the same text again.
inline std::string checked_canonical(const model::Snapshot& snapshot) {
    const std::string canonical = model::encode_canonical(registry(), snapshot);
    const auto back = model::decode_canonical(registry(), canonical);
    WEIR_CHECK(back.ok(), "the canonical text is readable");
    WEIR_CHECK(model::encode_canonical(registry(), *back) == canonical,
               "nothing is lost in the canonical text");
    return canonical;
}

// What the controller does with intent: refuses it, or plans it for every host.
inline void use(const model::Snapshot& intent) {
    const model::Errors errors = model::validate(registry(), intent);
    check_errors(errors);
    if (!errors.empty()) return;
    for (const auto& [name, host] : intent.all<model::Host>())
        checked_canonical(plan_for(all(), registry(), intent, {}, name));
}

}  // namespace weir::features::fuzz
