#include "net/bfd.hpp"

#include <gtest/gtest.h>

#include <array>

#include "net/builder.hpp"
#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/ethernet.hpp"
#include "net/parse.hpp"

namespace weir::net {
namespace {

Bfd example() {
    Bfd bfd;
    bfd.diagnostic = static_cast<std::uint8_t>(BfdDiagnostic::neighbour_signalled_down);
    bfd.state = BfdState::up;
    bfd.poll = true;
    bfd.detect_multiplier = 3;
    bfd.my_discriminator = 0x01020304;
    bfd.your_discriminator = 0x05060708;
    bfd.desired_min_tx_us = 1'000'000;
    bfd.required_min_rx_us = 300'000;
    return bfd;
}

using Bytes = std::array<std::uint8_t, bfd_bytes>;

Bytes bytes_of(const Bfd& bfd) {
    Bytes out{};
    encode(bfd, out);
    return out;
}

BfdError error_of(const Bytes& bytes) {
    Bfd bfd;
    return decode(bytes, bfd);
}

// RFC 5880 §4.1, by hand.
TEST(Bfd, layout_is_that_of_the_rfc) {
    const Bytes wanted = {0x23, 0xe0, 3,    24,   1,    2,    3,    4,    5, 6, 7, 8,
                          0x00, 0x0f, 0x42, 0x40, 0x00, 0x04, 0x93, 0xe0, 0, 0, 0, 0};
    EXPECT_EQ(bytes_of(example()), wanted);
    Bfd back;
    ASSERT_EQ(decode(wanted, back), BfdError::none);
    EXPECT_EQ(back, example());
}

TEST(Bfd, every_flag_has_its_bit) {
    for (bool Bfd::*flag :
         {&Bfd::poll, &Bfd::final, &Bfd::control_plane_independent, &Bfd::demand}) {
        Bfd bfd = example(), back;
        bfd.poll = false;
        bfd.*flag = true;
        ASSERT_EQ(decode(bytes_of(bfd), back), BfdError::none);
        EXPECT_EQ(back, bfd);
    }
}

TEST(Bfd, refuses_what_the_rfc_refuses) {
    const auto changed = [](std::size_t at, std::uint8_t value) {
        Bytes bytes = bytes_of(example());
        bytes[at] = value;
        return error_of(bytes);
    };
    EXPECT_EQ(changed(0, 0x43), BfdError::bad_version);
    EXPECT_EQ(changed(3, 23), BfdError::bad_length);
    EXPECT_EQ(changed(3, 25), BfdError::bad_length);
    EXPECT_EQ(changed(2, 0), BfdError::bad_multiplier);
    EXPECT_EQ(changed(1, 0xc1), BfdError::multipoint);
    EXPECT_EQ(changed(1, 0xc4), BfdError::authenticated);
    Bfd bfd = example();
    bfd.my_discriminator = 0;
    EXPECT_EQ(error_of(bytes_of(bfd)), BfdError::bad_discriminator);
    bfd = example();
    bfd.your_discriminator = 0;
    EXPECT_EQ(error_of(bytes_of(bfd)), BfdError::bad_discriminator);
    bfd.state = BfdState::down;  // it does not know us yet
    EXPECT_EQ(error_of(bytes_of(bfd)), BfdError::none);
    const Bytes whole = bytes_of(example());
    for (std::size_t size = 0; size < whole.size(); ++size) {
        Bfd back;
        EXPECT_EQ(decode(std::span(whole).first(size), back), BfdError::bad_length);
    }
}

TEST(Bfd, frames_of_both_families_are_found_again) {
    for (const auto& [to, from] :
         {std::pair("10.0.0.1", "10.0.0.2"), std::pair("fd00::1", "fd00::2")}) {
        PacketBuffer out({}, 64, 256);
        BfdRoute route{Mac{{2, 0, 0, 0, 0, 1}}, Mac{{2, 0, 0, 0, 0, 2}}, Ip::parse(to).value(),
                       Ip::parse(from).value()};
        ASSERT_TRUE(build_bfd(out.packet(), route, example()));
        Packet& p = out.packet();
        ASSERT_EQ(parse(p), ParseError::none);
        EXPECT_TRUE(l4_checksum_ok(p));
        EXPECT_EQ(p.tuple.src, route.from);
        EXPECT_EQ(p.tuple.dst, route.to);
        const auto payload = bfd_payload(p);
        ASSERT_TRUE(payload);
        Bfd back;
        ASSERT_EQ(decode(*payload, back), BfdError::none);
        EXPECT_EQ(back, example());
        // A router has been at it (RFC 5881 §5).
        p.data[p.headers.l3 + (route.to.is4() ? 8u : 7u)] = 254;
        EXPECT_FALSE(bfd_payload(p));
    }
}

TEST(Bfd, other_datagrams_are_not_bfd) {
    PacketBuffer out({}, 64, 256);
    BfdRoute route{{}, {}, Ip::from4(0x0a000001u), Ip::from4(0x0a000002u)};
    ASSERT_TRUE(build_bfd(out.packet(), route, example()));
    store16(out.packet().data + out.packet().headers.l4 + 2, 3785);
    EXPECT_FALSE(bfd_payload(out.packet()));
    PacketBuffer small({}, 0, 20);
    EXPECT_FALSE(build_bfd(small.packet(), route, example()));
}

}  // namespace
}  // namespace weir::net
