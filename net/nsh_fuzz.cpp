#include <algorithm>
#include <cstddef>

#include "base/check.hpp"
#include "net/builder.hpp"
#include "net/nsh.hpp"

// What a service node returns: decode → encode → decode says the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weir::net;
    const PacketBuffer exact(std::span(data, size), 0, 0);
    NshView view, again;
    if (decode_nsh(exact.packet().bytes(), view) != NshError::none) return 0;
    WEIR_CHECK(view.header_bytes + view.inner.size() <= size,
               "header and inner frame lie in the packet");

    PacketBuffer out(view.inner, nsh_max_bytes, 0);
    if (view.inner.empty() && !view.nsh.smd.oam) return 0;  // an empty packet would read as O
    WEIR_CHECK(push_nsh(out.packet(), view.nsh), "what was read can be written");
    WEIR_CHECK(decode_nsh(out.packet().bytes(), again) == NshError::none, "and read again");
    WEIR_CHECK(view.nsh == again.nsh, "unchanged");
    WEIR_CHECK(
        std::equal(view.inner.begin(), view.inner.end(), again.inner.begin(), again.inner.end()),
        "with its frame");
    return 0;
}
