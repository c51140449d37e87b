#include "dataplane/cut.hpp"

namespace weir::dataplane {
namespace {

void follow(Packet& piece, const Packet& whole) {
    piece.hand = whole.hand;
    piece.context = whole.context;
    piece.hash = whole.hash;
    piece.vni = whole.vni;
    piece.source_port = whole.source_port;
    piece.tunnel_peer = whole.tunnel_peer;
    piece.smd = whole.smd;
    piece.oam = false;  // what is cut is a guest's
    piece.ctrl_count = 0;
}

template <class Cut>
bool cut(Packet& whole, Emit& emit, net::EmitPacket take, Cut&& into_pieces) {
    const auto make = [&](std::uint32_t) { return emit.allocate(); };
    const auto send = [&](Packet& piece) {
        follow(piece, whole);
        take(piece);
    };
    const net::SplitError error = into_pieces(make, send);
    if (error != net::SplitError::none && error != net::SplitError::no_packets) return false;
    emit.release(whole);
    return true;
}

}  // namespace

bool cut_super_frame(Packet& whole, Emit& emit, net::EmitPacket take) {
    return cut(whole, emit, take, [&](auto& make, auto& send) {
        return net::segment_tcp(whole, whole.segment_bytes, make, send);
    });
}

bool cut_fragments(Packet& whole, std::uint32_t mtu, Emit& emit, net::EmitPacket take) {
    return cut(whole, emit, take,
               [&](auto& make, auto& send) { return net::fragment_ip4(whole, mtu, make, send); });
}

}  // namespace weir::dataplane
