#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "net/geneve.hpp"

// The AUTH option of the service plane (spec service-plane §4.3, type 0x83): who sends a packet to
// whom, and that nobody changed what the next host acts on. docs/decisions/auth.md says why so.
namespace weir::net {

inline constexpr std::uint8_t auth_hmac_sha256_128 = 1;
inline constexpr std::size_t auth_mac_bytes = 16;
inline constexpr std::size_t auth_inner_bytes = 64;  // of the guest's frame that are covered

// Numbers of one sender to one receiver: 48 bits, serial arithmetic (RFC 1982).
inline constexpr std::uint64_t auth_sequence_mask = (std::uint64_t{1} << 48) - 1;
constexpr bool auth_newer(std::uint64_t a, std::uint64_t b) {
    const std::uint64_t ahead = (a - b) & auth_sequence_mask;
    return ahead != 0 && ahead < std::uint64_t{1} << 47;
}

// Content of the option: KeyId 8, Alg 8, Sequence 48 (its high 16 bits stand in Rsvd), MAC 128.
struct Auth {
    std::uint8_t key_id = 0;
    std::uint8_t algorithm = auth_hmac_sha256_128;
    std::uint64_t sequence = 0;
    std::array<std::uint8_t, auth_mac_bytes> mac{};
    friend bool operator==(const Auth&, const Auth&) = default;
};
void encode(const Auth&, std::span<std::uint8_t, auth_bytes> out);
Auth decode_auth(std::span<const std::uint8_t, auth_bytes> in);

// HMAC-SHA256 (RFC 2104) with a key whose part is done: the states of both hashes behind it.
class AuthKeyState {
public:
    AuthKeyState() = default;
    explicit AuthKeyState(std::span<const std::uint8_t> key);  // at most 64 bytes
    // At most `max_message` bytes.
    std::array<std::uint8_t, 32> mac(std::span<const std::uint8_t> message) const;
    static constexpr std::size_t max_message = 375;  // six blocks with their padding
    friend bool operator==(const AuthKeyState&, const AuthKeyState&) = default;

private:
    std::array<std::uint32_t, 8> inner_{}, outer_{};
};

// The key for packets of one service segment from one host to another, derived from the secret.
AuthKeyState derive_auth_key(std::span<const std::uint8_t> secret, std::uint32_t svni,
                             std::uint32_t sender, std::uint32_t receiver);

// The MAC of a packet whose Geneve header was read; `key_id`, `algorithm` and `sequence` are those
// of `auth`. `nsh`: the metadata stands in the inner frame. Covers AUTH without its MAC, the
// service metadata, all CTRL options, their number, the length of the inner frame and its head.
std::array<std::uint8_t, auth_mac_bytes> auth_mac(const AuthKeyState& key, const Auth& auth,
                                                  const GeneveView& view, bool nsh);

// Takes as long whatever the difference.
bool same_mac(const std::array<std::uint8_t, auth_mac_bytes>& a,
              const std::array<std::uint8_t, auth_mac_bytes>& b);

// Writes the MAC into a packet that starts with a Geneve header whose AUTH option has all but it.
// False: there is no such option.
bool sign(Packet&, const AuthKeyState& key, bool nsh);

}  // namespace weir::net
