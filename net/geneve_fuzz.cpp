#include <algorithm>
#include <cstddef>

#include "base/check.hpp"
#include "net/builder.hpp"
#include "net/geneve.hpp"
#include "net/parse.hpp"
#include "net/smd_codec.hpp"

// What stands behind the outer UDP header: decode → encode → decode says the same.
namespace weir::net {
namespace {

bool same(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

void check_same(const GeneveView& a, const GeneveView& b) {
    WEIR_CHECK(a.vni == b.vni && a.oam == b.oam && a.protocol == b.protocol, "fixed part");
    WEIR_CHECK(a.smd == b.smd, "service metadata, reserved bits included");
    WEIR_CHECK(a.live == b.live, "heartbeat");
    WEIR_CHECK(a.trace.has_value() == b.trace.has_value(), "trace");
    if (a.trace)
        WEIR_CHECK(a.trace->trace_id == b.trace->trace_id &&
                       a.trace->collector_host == b.trace->collector_host,
                   "trace");
    WEIR_CHECK(a.serviced.has_value() == b.serviced.has_value(), "serviced");
    if (a.serviced)
        WEIR_CHECK(a.serviced->flags == b.serviced->flags && a.serviced->sci == b.serviced->sci &&
                       a.serviced->anchor_host == b.serviced->anchor_host,
                   "serviced");
    WEIR_CHECK(same(a.auth, b.auth) && a.ctrl_count == b.ctrl_count, "auth and ctrl");
    for (std::size_t i = 0; i < a.ctrl_count; ++i) WEIR_CHECK(same(a.ctrl[i], b.ctrl[i]), "ctrl");
    WEIR_CHECK(same(a.inner, b.inner), "inner frame");
}

GeneveHeader header_of(const GeneveView& view) {
    GeneveHeader header;
    header.vni = view.vni;
    header.protocol = view.protocol;
    header.oam = view.oam;
    header.smd = view.smd ? &*view.smd : nullptr;
    header.auth = view.auth;
    header.ctrl = view.ctrl;
    header.ctrl_count = view.ctrl_count;
    header.live = view.live ? &*view.live : nullptr;
    header.trace = view.trace ? &*view.trace : nullptr;
    header.serviced = view.serviced ? &*view.serviced : nullptr;
    return header;
}

}  // namespace
}  // namespace weir::net

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weir::net;
    const PacketBuffer exact(std::span(data, size), 0, 0);
    GeneveView view, again;
    if (decode(exact.packet().bytes(), view) != GeneveError::none) return 0;
    WEIR_CHECK(view.header_bytes + view.inner.size() == size,
               "header and inner frame make the packet");
    if (view.smd) (void)check_smd(*view.smd);
    (void)check_inner_frame(view.inner);
    Headers headers;
    Tuple tuple;
    (void)parse_inner(view.inner, headers, tuple);

    PacketBuffer out(view.inner, max_geneve_bytes + outer_bytes_ip6, 0);
    WEIR_CHECK(push_geneve(out.packet(), header_of(view)), "what was read can be written");
    WEIR_CHECK(decode(out.packet().bytes(), again) == GeneveError::none, "and read again");
    check_same(view, again);

    const OuterAddresses way{Ip{{{0xfd}}}, Ip{{{0xfd, 1}}}, Mac{{2}}, Mac{{2, 1}}, 0};
    if (!push_outer(out.packet(), way, 50000, 64)) return 0;
    WEIR_CHECK(parse(out.packet()) == ParseError::none, "the outer packet can be read");
    return 0;
}
