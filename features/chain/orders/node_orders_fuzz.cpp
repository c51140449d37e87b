#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.hpp"
#include "features/chain/orders/node_orders.hpp"
#include "net/builder.hpp"
#include "net/parse.hpp"

// What a node says at the proxy: an order becomes one that the anchor can read and the service may
// give; a frame that was cut becomes readable or stays unreadable, within its bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weir;
    using namespace weir::chain;
    if (size < 9) return 0;
    LocalNode node;
    node.privileges = data[0];
    node.signed_legs = (data[0] & 1) != 0;
    const net::NodeControl control{data[1], data[2], data[3], data[4] * 0x01010101u};
    OrderFate fate = OrderFate::sent;
    if (auto ctrl = translate(control, node, fate)) {
        WEIR_CHECK(fate == OrderFate::sent, "no order is both sent and refused");
        ctrl->flow_handle = 0x01000007;
        std::array<std::uint8_t, net::ctrl_bytes> bytes;
        encode(*ctrl, bytes);
        Ctrl read;
        WEIR_CHECK(decode(bytes, read) == CtrlError::none && read == *ctrl, "the anchor reads it");
        WEIR_CHECK(read.op <= static_cast<std::uint8_t>(CtrlOp::restore), "nodes order for flows");
    } else {
        WEIR_CHECK(fate != OrderFate::sent, "a refusal has its reason");
    }
    const std::span<const std::uint8_t> frame(data + 8, size - 8);
    net::PacketBuffer buffer(std::vector<std::uint8_t>(frame.begin(), frame.end()));
    net::Packet& p = buffer.packet();
    mend_cut_frame(p);
    WEIR_CHECK(p.length == frame.size(), "lengths are mended, not bytes added");
    if (net::parse(p) == net::ParseError::none && p.headers.family != net::Family::none)
        WEIR_CHECK(p.headers.l3_end <= p.length, "the packet ends in its frame");
    return 0;
}
