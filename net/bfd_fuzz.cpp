#include <array>
#include <cstddef>

#include "base/check.hpp"
#include "net/bfd.hpp"
#include "net/builder.hpp"
#include "net/parse.hpp"

// Control packets from anywhere: what is read, written and read again says the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weir::net;
    PacketBuffer frame(std::span(data, size), 0, 0);
    if (parse(frame.packet()) == ParseError::none) (void)bfd_payload(frame.packet());
    Bfd bfd, again;
    if (decode(std::span(data, size), bfd) != BfdError::none) return 0;
    std::array<std::uint8_t, bfd_bytes> bytes{};
    encode(bfd, bytes);
    WEIR_CHECK(decode(bytes, again) == BfdError::none, "what was read can be read again");
    WEIR_CHECK(bfd == again, "unchanged");
    PacketBuffer out({}, 64, 128);
    const BfdRoute route{{}, {}, Ip::from4(0x0a000001u), Ip::from4(0x0a000002u)};
    WEIR_CHECK(build_bfd(out.packet(), route, bfd), "and sent");
    const auto payload = bfd_payload(out.packet());
    WEIR_CHECK(payload && decode(*payload, again) == BfdError::none && bfd == again, "and found");
    return 0;
}
