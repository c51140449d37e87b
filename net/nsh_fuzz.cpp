#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include "base/check.hpp"
#include "net/builder.hpp"
#include "net/nsh.hpp"
#include "net/quick_nsh.hpp"

namespace {

using namespace weir::net;

// What is read and written in one go is what the codec reads and writes.
void check_quick(const NshView& view, std::span<const std::uint8_t> bytes,
                 std::span<const std::uint8_t> written) {
    if (bytes.size() < nsh_md2_bytes) return;
    Smd smd;
    std::uint32_t cookie = 0;
    if (read_quick_nsh(bytes.data(), smd, cookie, NshFrom::host))
        WEIR_CHECK(smd == view.nsh.smd && cookie == view.nsh.cookie && !view.nsh.control &&
                       view.header_bytes == nsh_md2_bytes,
                   "as the codec reads it");
    if (view.nsh.md_type == MdType::fixed || view.nsh.control || view.inner.empty()) return;
    std::array<std::uint8_t, nsh_md2_bytes> quick{};
    write_quick_nsh(quick.data(), view.nsh.smd, view.nsh.cookie);
    WEIR_CHECK(std::equal(quick.begin(), quick.end(), written.begin()), "as the codec writes it");
}

}  // namespace

// What a service node returns: decode → encode → decode says the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
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
    check_quick(view, exact.packet().bytes(), out.packet().bytes());
    return 0;
}
