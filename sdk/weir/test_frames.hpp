#pragma once
#include <cstdint>
#include <vector>

// Frames for tests, spelled byte by byte from the specification and not with the code under test.
namespace weir::service::testing_frames {

struct Shape {
    std::uint8_t si = 1;
    std::uint16_t flags = 0;
    bool oam = false;
};

inline std::vector<std::uint8_t> base(const Shape& s, std::uint8_t words, std::uint8_t md_type) {
    // Ver 0, O, TTL 63, length in words | MD type | next protocol Ethernet | SPI, SI
    const auto first = static_cast<std::uint8_t>((s.oam ? 0x20 : 0) | 63 >> 2);
    const auto second = static_cast<std::uint8_t>((63 & 3) << 6 | words);
    return {first, second, md_type, 3, 1, 2, 3, s.si};
}

inline void append(std::vector<std::uint8_t>& to, const std::vector<std::uint8_t>& bytes) {
    to.insert(to.end(), bytes.begin(), bytes.end());
}

inline std::vector<std::uint8_t> md2(const Shape& s) {
    auto out = base(s, 11, 2);
    append(out, {0xff, 0xf6, 1, 32});
    append(out,
           {static_cast<std::uint8_t>(s.flags >> 8), static_cast<std::uint8_t>(s.flags), 3, 0});
    append(out, {0x0a, 0x0b, 0x0c, 9});     // SCI, path epoch
    append(out, {0, 0x13, 0x89, 0});        // tenant VNI 5001
    append(out, {0, 0, 0, 1, 0, 0, 0, 7});  // anchor host and port
    append(out, {0x11, 0x22, 0x33, 0x44});  // flow handle
    append(out, {0x55, 0x66, 0x77, 0x88});  // flow tag
    append(out, {0xca, 0xfe, 0xba, 0xbe});  // cookie
    return out;
}

inline std::vector<std::uint8_t> md1(const Shape& s) {
    auto out = base(s, 6, 1);
    append(out,
           {static_cast<std::uint8_t>(s.flags >> 8), static_cast<std::uint8_t>(s.flags), 3, 0});
    append(out, {0x0a, 0x0b, 0x0c, 9});
    append(out, {0x55, 0x66, 0x77, 0x88});
    append(out, {0xca, 0xfe, 0xba, 0xbe});
    return out;
}

// Ethernet from the proxy to the node, NSH, `content`.
inline std::vector<std::uint8_t> frame(const std::vector<std::uint8_t>& nsh,
                                       const std::vector<std::uint8_t>& content) {
    std::vector<std::uint8_t> out{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x89, 0x4f};
    append(out, nsh);
    append(out, content);
    return out;
}

// A guest's TCP SYN 10.0.0.1:4000 > 10.0.0.2:80 (checksums are nobody's business here).
inline std::vector<std::uint8_t> tcp_syn(std::uint8_t last_port_byte = 80) {
    return {2,    1,
            1,    1,
            1,    2,
            2,    1,
            1,    1,
            1,    1,
            8,    0,
            0x45, 0,
            0,    40,
            0,    1,
            0x40, 0,
            64,   6,
            0,    0,
            10,   0,
            0,    1,
            10,   0,
            0,    2,
            0x0f, 0xa0,
            0,    last_port_byte,
            0,    0,
            0,    100,
            0,    0,
            0,    0,
            0x50, 2,
            0xff, 0xff,
            0,    0,
            0,    0};
}

}  // namespace weir::service::testing_frames
