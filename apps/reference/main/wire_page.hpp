#pragma once
#include <string>

#include "base/result.hpp"

namespace weir::reference {

// docs/reference/wire.md: every header of the service plane, bit by bit. Where a field stands is
// not written down but found out: the codecs write a header with nothing but that field set. An
// error if a field's bits are not in one piece, or two fields share one.
Result<std::string> wire_page();

}  // namespace weir::reference
