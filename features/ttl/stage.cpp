#include "features/ttl/stage.hpp"

#include "dataplane/icmp_reply.hpp"
#include "net/checksum.hpp"

namespace weir::ttl {

void Ttl::run(dataplane::Burst& burst, const Tables&, State&, dataplane::Exits<Exit>& exits,
              dataplane::Emit& emit) {
    for (dataplane::Packet* p : burst.packets()) {
        if (!p->program->routed || net::decrement_ttl(*p)) continue;
        dataplane::reply_icmp(*p, net::IcmpErrorKind::time_exceeded, 0, emit);
        exits.take(*p, Exit::expired);
    }
}

}  // namespace weir::ttl
