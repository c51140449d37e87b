#include <cstddef>
#include <cstdint>

#include "features/fuzz.hpp"
#include "model/documents.hpp"
#include "model/yaml.hpp"

// Any text as `weir apply` takes it: resources, or errors. What is accepted comes back from our own
// YAML unchanged; that costs as much as everything else, so one text in eight is asked for it.
namespace {

using namespace weir::model;
using namespace weir::features::fuzz;

void check_way_out(const Snapshot& snapshot) {
    Errors errors;
    Snapshot again;
    put_documents(registry(),
                  parse_documents(dump_documents(documents_of(registry(), snapshot)), errors),
                  again, errors);
    WEIR_CHECK(errors.empty(), "our YAML is readable");
    WEIR_CHECK(encode_canonical(registry(), again) == checked_canonical(snapshot),
               "nothing is lost in YAML");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    Errors errors;
    Snapshot intent;
    put_documents(registry(), parse_documents(text, errors), intent, errors);
    check_errors(errors);
    if (intent.empty()) return 0;
    use(intent);
    if (digest(text) % 8 == 0) check_way_out(intent);
    return 0;
}
