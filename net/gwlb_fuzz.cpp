#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "net/builder.hpp"
#include "net/gwlb.hpp"

// What an appliance says: read without a step outside, and what was read is written alike.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weir::net;
    GwlbView view;
    if (decode_gwlb({data, size}, view) != GwlbError::none) return 0;
    PacketBuffer out(view.inner);
    if (!push_gwlb(out.packet(), view.gwlb, view.protocol)) std::abort();
    const auto frame = out.frame();
    GwlbView again;
    if (decode_gwlb(frame, again) != GwlbError::none || again.gwlb != view.gwlb ||
        again.inner.size() != view.inner.size())
        std::abort();
    return 0;
}
