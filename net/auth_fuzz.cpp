#include <algorithm>

#include "base/check.hpp"
#include "net/auth.hpp"
#include "net/builder.hpp"

// Whatever has an AUTH option can be judged, in either profile; what we sign is right, and what
// is changed afterwards in its covered part is not.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weir::net;
    static const AuthKeyState key(std::array<std::uint8_t, 3>{1, 2, 3});
    PacketBuffer exact(std::span(data, size), 0, 0);
    Packet& packet = exact.packet();
    GeneveView view;
    if (decode(packet.bytes(), view) != GeneveError::none || view.auth.empty()) return 0;
    for (const bool nsh : {false, true}) {
        WEIR_CHECK(sign(packet, key, nsh), "a packet with the option can be signed");
        WEIR_CHECK(decode(packet.bytes(), view) == GeneveError::none, "and read again");
        const Auth auth = decode_auth(view.auth.first<auth_bytes>());
        WEIR_CHECK(same_mac(auth.mac, auth_mac(key, auth, view, nsh)), "and is right");
        if (view.inner.empty()) continue;
        const auto at = view.inner.data() - packet.data;
        packet.data[at] ^= 1;
        WEIR_CHECK(!same_mac(auth.mac, auth_mac(key, auth, view, nsh)), "a change is seen");
        packet.data[at] ^= 1;
    }
    return 0;
}
