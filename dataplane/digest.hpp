#pragma once
#include <cstdint>
#include <string_view>

namespace weir::dataplane {

// A digest of content, equal in every engine and process: what revisions and epochs are made of.
class Digest {
public:
    Digest& add(std::uint64_t value) {
        state_ ^= value + 0x9e3779b97f4a7c15ull + (state_ << 6) + (state_ >> 2);
        state_ ^= state_ >> 33;
        state_ *= 0xff51afd7ed558ccdull;
        state_ ^= state_ >> 29;
        return *this;
    }
    Digest& add(std::string_view text) {
        add(text.size());
        for (const char c : text) add(static_cast<std::uint64_t>(static_cast<unsigned char>(c)));
        return *this;
    }
    std::uint64_t value64() const { return state_; }
    // Never 0, which stands for "undecided".
    std::uint32_t value32() const {
        const auto v = static_cast<std::uint32_t>(state_ ^ state_ >> 32);
        return v == 0 ? 1 : v;
    }

private:
    std::uint64_t state_ = 0x5745495221ull;
};

}  // namespace weir::dataplane
