#include "net/hash.hpp"

#include <array>

namespace weir::net {
namespace {

constexpr std::array<std::uint32_t, 256> make_crc_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
        table[i] = crc;
    }
    return table;
}
constexpr std::array<std::uint32_t, 256> crc_table = make_crc_table();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_by_cpu(std::span<const std::uint8_t> bytes,
                                                              std::uint32_t crc) {
    const std::uint8_t* p = bytes.data();
    std::size_t left = bytes.size();
    std::uint64_t wide = crc;
    for (; left >= 8; p += 8, left -= 8) {
        std::uint64_t word;
        std::memcpy(&word, p, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = static_cast<std::uint32_t>(wide);
    for (; left > 0; ++p, --left) crc = __builtin_ia32_crc32qi(crc, *p);
    return crc;
}
#endif

}  // namespace

std::uint32_t detail::crc32c_by_table(std::span<const std::uint8_t> bytes, std::uint32_t state) {
    for (std::uint8_t byte : bytes) state = state >> 8 ^ crc_table[(state ^ byte) & 0xff];
    return state;
}

std::uint32_t crc32c(std::span<const std::uint8_t> bytes, std::uint32_t crc) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return ~crc32c_by_cpu(bytes, ~crc);
#endif
    return ~detail::crc32c_by_table(bytes, ~crc);
}

}  // namespace weir::net
