// What is read as the state of a node is written the same again, and nothing else is accepted.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "features/chain/node/node_state.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weir::chain;
    const std::span<const std::uint8_t> bytes(data, size);
    const auto read = decode_saved_node(bytes);
    if (!read) return 0;
    const auto written = encode(*read);
    if (!std::ranges::equal(written, bytes)) std::abort();
    const auto again = decode_saved_node(written);
    if (!again || *again != *read) std::abort();
    return 0;
}
