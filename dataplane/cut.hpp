#pragma once
#include "dataplane/emit.hpp"
#include "net/fragment.hpp"

namespace weir::dataplane {

// Both cut a packet, give the pieces in order to `take`, which takes them over, and free the whole.
// A piece stands where the whole stood, on the same way. False: it cannot be cut, and nothing was
// done. Without a buffer for every piece, those that there are go on (pipeline.no_buffer).

// A super-frame into segments of its own segment_bytes.
bool cut_super_frame(Packet& whole, Emit& emit, net::EmitPacket take);
// An IPv4 packet without DF into fragments of at most `mtu` bytes.
bool cut_fragments(Packet& whole, std::uint32_t mtu, Emit& emit, net::EmitPacket take);

}  // namespace weir::dataplane
