#include <cstddef>
#include <vector>

#include "base/check.hpp"
#include "net/notation.hpp"

// Text in, and bytes in: a line that describe() calls notation gives the frame back.
namespace {

void describe_and_return(const std::vector<std::uint8_t>& frame) {
    using namespace weir::net;
    const std::string line = describe(frame);
    const auto again = parse_notation(line);
    WEIR_CHECK(!again.ok() || *again == frame, "a described frame comes back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    describe_and_return(std::vector<std::uint8_t>(data, data + size));
    const std::string_view line(reinterpret_cast<const char*>(data), size);
    if (const auto frame = weir::net::parse_notation(line); frame.ok()) describe_and_return(*frame);
    return 0;
}
