#pragma once
#include <cstdint>
#include <string_view>

namespace weir::chain {

// Folds values into a 64-bit number that is equal wherever the values are equal (FNV-1a with a final
// mix). Not keyed, not secret: identifiers and epochs come from it.
class Digest {
public:
    Digest& add(std::uint64_t value) {
        for (int i = 0; i < 8; ++i) byte(static_cast<std::uint8_t>(value >> (8 * i)));
        return *this;
    }
    Digest& add(std::string_view text) {
        add(text.size());
        for (char c : text) byte(static_cast<std::uint8_t>(c));
        return *this;
    }
    std::uint64_t value() const {
        std::uint64_t x = state_;
        x ^= x >> 33, x *= 0xff51afd7ed558ccdull;
        x ^= x >> 33, x *= 0xc4ceb9fe1a85ec53ull;
        return x ^ x >> 33;
    }
    // Never 0: that means "undecided" in flow records and "none" in tables.
    std::uint32_t value32() const {
        const auto x = static_cast<std::uint32_t>(value() >> 32 ^ value());
        return x == 0 ? 1 : x;
    }

private:
    void byte(std::uint8_t b) { state_ = (state_ ^ b) * 0x100000001b3ull; }
    std::uint64_t state_ = 0xcbf29ce484222325ull;
};

}  // namespace weir::chain
