#include "net/siphash.hpp"

#include <bit>
#include <cstring>

#include "net/hash.hpp"

namespace weir::net {
namespace {

struct SipState {
    std::uint64_t v0, v1, v2, v3;

    void round() {
        v0 += v1;
        v1 = std::rotl(v1, 13) ^ v0;
        v0 = std::rotl(v0, 32);
        v2 += v3;
        v3 = std::rotl(v3, 16) ^ v2;
        v0 += v3;
        v3 = std::rotl(v3, 21) ^ v0;
        v2 += v1;
        v1 = std::rotl(v1, 17) ^ v2;
        v2 = std::rotl(v2, 32);
    }
    void absorb(std::uint64_t word) {
        v3 ^= word;
        round();
        round();
        v0 ^= word;
    }
    std::uint64_t finish() {
        v2 ^= 0xff;
        for (int i = 0; i < 4; ++i) round();
        return v0 ^ v1 ^ v2 ^ v3;
    }
};

SipState sip_start(std::span<const std::uint64_t, 2> key) {
    return {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
            key[1] ^ 0x7465646279746573};
}

}  // namespace

std::uint64_t siphash24(std::span<const std::uint64_t, 2> key,
                        std::span<const std::uint8_t> bytes) {
    SipState s = sip_start(key);
    const std::uint8_t* p = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; p += 8, left -= 8) {
        std::uint64_t word;
        std::memcpy(&word, p, 8);
        s.absorb(word);
    }
    std::uint64_t last = static_cast<std::uint64_t>(bytes.size()) << 56;
    for (std::size_t i = 0; i < left; ++i) last |= static_cast<std::uint64_t>(p[i]) << (8 * i);
    s.absorb(last);
    return s.finish();
}

std::uint64_t siphash24_of_39(std::span<const std::uint64_t, 2> key,
                              const std::array<std::uint64_t, 5>& words) {
    constexpr std::uint64_t length = std::uint64_t{39} << 56;
    SipState s = sip_start(key);
    for (std::size_t i = 0; i < 4; ++i) s.absorb(words[i]);
    s.absorb((words[4] & ~std::uint64_t{0} >> 8) | length);
    return s.finish();
}

}  // namespace weir::net
