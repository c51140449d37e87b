#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

// Integers as they stand on the wire: big-endian, unaligned, and no implicit conversion either way.
namespace weir::net {

template <class Host>
class BigEndian {
public:
    BigEndian() = default;
    constexpr explicit BigEndian(Host value) {
        for (std::size_t i = 0; i < sizeof(Host); ++i)
            bytes_[sizeof(Host) - 1 - i] = static_cast<std::uint8_t>(value >> (8 * i));
    }
    constexpr Host get() const {
        std::uint64_t value = 0;
        for (std::uint8_t byte : bytes_) value = value << 8 | byte;
        return static_cast<Host>(value);
    }
    friend constexpr bool operator==(const BigEndian&, const BigEndian&) = default;

private:
    std::array<std::uint8_t, sizeof(Host)> bytes_{};
};

using be16 = BigEndian<std::uint16_t>;
using be32 = BigEndian<std::uint32_t>;
using be64 = BigEndian<std::uint64_t>;
static_assert(sizeof(be16) == 2 && sizeof(be32) == 4 && alignof(be64) == 1);

inline std::uint16_t load16(const std::uint8_t* p) {
    std::uint16_t v;
    std::memcpy(&v, p, 2);
    return __builtin_bswap16(v);
}
inline std::uint32_t load32(const std::uint8_t* p) {
    std::uint32_t v;
    std::memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}
inline std::uint64_t load64(const std::uint8_t* p) {
    std::uint64_t v;
    std::memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}
inline void store16(std::uint8_t* p, std::uint16_t v) {
    v = __builtin_bswap16(v);
    std::memcpy(p, &v, 2);
}
inline void store32(std::uint8_t* p, std::uint32_t v) {
    v = __builtin_bswap32(v);
    std::memcpy(p, &v, 4);
}
inline void store64(std::uint8_t* p, std::uint64_t v) {
    v = __builtin_bswap64(v);
    std::memcpy(p, &v, 8);
}

static_assert(std::endian::native == std::endian::little, "load/store assume a little-endian host");

}  // namespace weir::net
