#include "dataplane/device.hpp"

namespace weir::dataplane {

Packet* PacketPool::make(std::uint32_t worker, const std::uint8_t* bytes, std::size_t count) {
    Packet* p = nullptr;
    if (allocate(worker, &p, 1) == 0) return nullptr;
    if (count > p->tailroom) {
        release(worker, &p, 1);
        return nullptr;
    }
    if (count != 0)  // no bytes may stand nowhere
        std::memcpy(p->append(static_cast<std::uint32_t>(count)), bytes, count);
    return p;
}

Packet* PacketPool::clone(std::uint32_t worker, const Packet& original) {
    Packet* p = make(worker, original.data, original.length);
    if (!p) return nullptr;
    p->flags = original.flags;
    p->segment_bytes = original.segment_bytes;
    p->hand = original.hand;
    return p;
}

}  // namespace weir::dataplane
