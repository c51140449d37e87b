#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace weir::example {

// One IPv4 address that is known by another beyond this node.
struct Translation {
    std::array<std::uint8_t, 4> inside{}, outside{};
};

// "192.168.10.11=192.168.10.99".
std::optional<Translation> parse_translation(const std::string& text);

// The source `inside` becomes `outside`, the destination `outside` becomes `inside`, with every
// checksum that covers them (RFC 1624). False: an Ethernet frame that has neither, or that is cut
// short; it is left as it is.
bool translate(std::span<std::uint8_t> frame, const Translation& translation);

}  // namespace weir::example
