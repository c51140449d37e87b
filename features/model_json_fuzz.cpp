#include <cstddef>
#include <cstdint>

#include "features/fuzz.hpp"
#include "model/documents.hpp"

// JSON as it comes from a client, the store, or a controller. The first byte says as what the rest
// is read.
namespace {

using namespace weir::model;
using namespace weir::features::fuzz;

void read_value(std::string_view text) {
    const auto value = parse_json(text);
    if (!value) return;
    const auto again = parse_json(dump_json(*value), trusted_limits);
    WEIR_CHECK(again.ok() && *again == *value, "our JSON reads as the same value");
}

void read_body(std::string_view text) {
    const auto value = parse_json(text);
    if (!value) return;
    Errors errors;
    Snapshot intent;
    std::vector<Document> documents;
    split_documents(*value, documents, errors);
    put_documents(registry(), documents, intent, errors);
    check_errors(errors);
    if (!intent.empty()) use(intent);
}

void read_canonical(std::string_view text) {
    const auto snapshot = decode_canonical(registry(), text);
    if (!snapshot) return;
    checked_canonical(*snapshot);
    use(*snapshot);
}

void read_delta(std::string_view text) {
    const auto delta = decode_delta(text);
    if (!delta) return;
    WEIR_CHECK(decode_delta(encode_delta(*delta)).ok(), "our deltas are readable");
    Snapshot base;
    base.revision = delta->base_revision;
    const auto target = apply(registry(), base, *delta);
    if (!target) return;
    const auto again = apply(registry(), base, diff(registry(), base, *target));
    WEIR_CHECK(again.ok() && checked_canonical(*again) == checked_canonical(*target),
               "a delta leads to its target");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
    switch (data[0]) {
        case 'b':
            read_body(text);
            break;
        case 'c':
            read_canonical(text);
            break;
        case 'd':
            read_delta(text);
            break;
        default:
            read_value(text);
            break;
    }
    return 0;
}
