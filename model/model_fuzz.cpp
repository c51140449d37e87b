#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.hpp"
#include "model/canonical.hpp"
#include "model/core_resources.hpp"
#include "model/documents.hpp"
#include "model/json.hpp"
#include "model/validate.hpp"
#include "model/yaml.hpp"

// Any text → resources → validation. What is accepted must survive every way out and in unchanged.
namespace {

using namespace weir;
using namespace weir::model;

const Registry& core() {
    static const Registry registry = [] {
        Registry made;
        add_core_kinds(made);
        return made;
    }();
    return registry;
}

void check_errors(const Errors& errors) {
    for (const Error& error : errors.list()) {
        WEIR_CHECK(!error.message.empty(), "an error says what is wrong");
        WEIR_CHECK(is_utf8(error.text()), "messages are text");
    }
}

void check_ways_out(const Snapshot& snapshot) {
    const std::string canonical = encode_canonical(core(), snapshot);
    const auto back = decode_canonical(core(), canonical);
    WEIR_CHECK(back.ok(), "the canonical text is readable");
    WEIR_CHECK(encode_canonical(core(), *back) == canonical, "the canonical text is stable");
    WEIR_CHECK(changes(core(), snapshot, *back).empty(), "nothing is lost in the canonical text");

    Errors errors;
    Snapshot from_yaml;
    from_yaml.revision = snapshot.revision;
    put_documents(core(), parse_documents(dump_documents(documents_of(core(), snapshot)), errors),
                  from_yaml, errors);
    WEIR_CHECK(errors.empty(), "our YAML is readable");
    WEIR_CHECK(encode_canonical(core(), from_yaml) == canonical, "nothing is lost in YAML");

    const auto delta = decode_delta(encode_delta(diff(core(), Snapshot{}, snapshot)));
    WEIR_CHECK(delta.ok(), "our deltas are readable");
    const auto applied = apply(core(), Snapshot{}, *delta);
    WEIR_CHECK(applied.ok() && encode_canonical(core(), *applied) == canonical,
               "a delta leads to its target");
}

void use(const Snapshot& snapshot) {
    check_errors(validate(core(), snapshot));
    for (const auto& row : snapshot.all<Group>()) (void)group_members(snapshot, row.second);
    check_ways_out(snapshot);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    Errors errors;
    Snapshot snapshot;
    put_documents(core(), parse_documents(text, errors), snapshot, errors);
    check_errors(errors);
    if (!snapshot.empty()) use(snapshot);

    if (const auto decoded = decode_canonical(core(), text)) use(*decoded);
    (void)decode_delta(text);
    if (const auto value = parse_json(text)) {
        const auto again = parse_json(dump_json(*value), trusted_limits);
        WEIR_CHECK(again.ok() && *again == *value, "our JSON reads as the same value");
    }
    return 0;
}
