#include "model/validate.hpp"

#include "base/closest.hpp"

namespace weir::model {

namespace {

void check_reference(const Registry& registry, const Snapshot& snapshot, const Reference& reference,
                     Errors& errors) {
    const Kind* kind = registry.kind(reference.target_kind);
    if (kind && kind->contains(snapshot, reference.target_name)) return;
    std::string message = reference.target_kind + "/" + reference.target_name + " does not exist";
    if (kind && !errors.full())
        message += did_you_mean(reference.target_name, kind->names(snapshot));
    errors.add({Errc::not_found, reference.object, reference.field, std::move(message)});
}

}  // namespace

Errors validate(const Registry& registry, const Snapshot& snapshot) {
    Errors errors;
    for (const Kind* kind : registry.kinds()) kind->check(snapshot, errors);
    const bool in_bounds = errors.empty();
    for (const Kind* kind : registry.kinds())
        kind->for_each_reference(snapshot, [&](const Reference& reference) {
            check_reference(registry, snapshot, reference, errors);
        });
    const bool references_hold = errors.empty();
    for (const auto& [validator, trust] : registry.validators())
        if (references_hold || (in_bounds && trust == Trust::bounds))
            errors.add(validator(snapshot));
    return errors;
}

}  // namespace weir::model
