#include <array>
#include <cstddef>

#include "base/check.hpp"
#include "features/chain/orders/ctrl.hpp"

// Any content of a CTRL option: what is accepted can be written and read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weir::chain;
    Ctrl ctrl, again;
    if (decode(std::span(data, size), ctrl) != CtrlError::none) return 0;
    std::array<std::uint8_t, weir::net::ctrl_bytes> bytes;
    encode(ctrl, bytes);
    WEIR_CHECK(decode(bytes, again) == CtrlError::none && again == ctrl, "unchanged");
    WEIR_CHECK((ctrl.scope == ctrl_node_scope) == (ctrl.flow_handle == 0), "scope fits the handle");
    return 0;
}
