#include "net/gwlb.hpp"

#include <gtest/gtest.h>

#include "net/builder.hpp"

namespace weir::net {
namespace {

using Frame = std::vector<std::uint8_t>;

constexpr Gwlb example{0x1122334455667788, 0x99aabbccddeeff00, 0xc0ffee01};

Frame encoded(const Gwlb& gwlb, std::uint16_t protocol = ethertype_ip4) {
    const Frame inner = {0x45, 1, 2, 3};
    PacketBuffer out(inner);
    EXPECT_TRUE(push_gwlb(out.packet(), gwlb, protocol));
    return out.frame();
}

GwlbError error_of(const Frame& frame) {
    GwlbView view;
    return decode_gwlb(frame, view);
}

// Byte for byte what an appliance expects: 8 bytes of Geneve with 32 of options, VNI 0, class
// 0x0108 types 1, 2 and 3 with 8, 8 and 4 bytes. Outer IPv4 and UDP make it the 68 bytes that AWS
// states.
TEST(Gwlb, StandsOnTheWireAsAppliancesExpectIt) {
    const Frame expected = {0x08, 0x00, 0x08, 0x00, 0,    0,    0,    0,     //
                            0x01, 0x08, 0x01, 0x02, 0x11, 0x22, 0x33, 0x44,  //
                            0x55, 0x66, 0x77, 0x88,                          //
                            0x01, 0x08, 0x02, 0x02, 0x99, 0xaa, 0xbb, 0xcc,  //
                            0xdd, 0xee, 0xff, 0x00,                          //
                            0x01, 0x08, 0x03, 0x01, 0xc0, 0xff, 0xee, 0x01,  //
                            0x45, 1,    2,    3};
    EXPECT_EQ(encoded(example), expected);
    EXPECT_EQ(gwlb_bytes + ip4_min_bytes + udp_bytes, 68u);
}

TEST(Gwlb, ReadsWhatItWrites) {
    for (const std::uint16_t protocol : {ethertype_ip4, ethertype_ip6}) {
        const Frame frame = encoded(example, protocol);
        GwlbView view;
        ASSERT_EQ(decode_gwlb(frame, view), GwlbError::none);
        EXPECT_EQ(view.gwlb, example);
        EXPECT_EQ(view.protocol, protocol);
        EXPECT_EQ(view.header_bytes, gwlb_bytes);
        EXPECT_EQ(view.inner.size(), 4u);
    }
}

TEST(Gwlb, SkipsOptionsOfOthers) {
    Frame frame = encoded(example);
    const Frame other = {0x01, 0x02, 0x05, 0x01, 1, 2, 3, 4};
    frame.insert(frame.begin() + 8, other.begin(), other.end());
    frame[0] = static_cast<std::uint8_t>(frame[0] + 2);
    GwlbView view;
    ASSERT_EQ(decode_gwlb(frame, view), GwlbError::none);
    EXPECT_EQ(view.gwlb, example);
    frame[10] = 0x85;
    EXPECT_EQ(error_of(frame), GwlbError::unknown_critical);
}

TEST(Gwlb, NamesWhatIsWrong) {
    const Frame good = encoded(example);
    const auto with = [&](std::size_t at, std::uint8_t value) {
        Frame frame = good;
        frame[at] = value;
        return error_of(frame);
    };
    EXPECT_EQ(error_of(Frame(good.begin(), good.begin() + 7)), GwlbError::short_header);
    EXPECT_EQ(with(0, 0x48), GwlbError::bad_version);
    EXPECT_EQ(with(0, 0x0f), GwlbError::options_overrun);
    EXPECT_EQ(with(3, 0x06), GwlbError::bad_protocol);  // ARP
    EXPECT_EQ(with(11, 0x01), GwlbError::bad_option);   // an endpoint of 32 bits
    EXPECT_EQ(with(22, 0x01), GwlbError::bad_option);   // two endpoints
    EXPECT_EQ(with(34, 0x04), GwlbError::missing_option);
    EXPECT_EQ(with(35, 0x1f), GwlbError::options_overrun);
    for (std::size_t length = 0; length < gwlb_bytes; ++length)
        EXPECT_NE(error_of(Frame(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length))),
                  GwlbError::none);
}

TEST(Gwlb, NeedsRoomInFront) {
    PacketBuffer out(Frame{0x45}, gwlb_bytes - 1);
    EXPECT_FALSE(push_gwlb(out.packet(), example, ethertype_ip4));
    EXPECT_EQ(out.frame(), Frame{0x45});
}

TEST(Gwlb, EveryErrorHasAName) {
    for (unsigned i = 0; i < static_cast<unsigned>(GwlbError::count_); ++i)
        EXPECT_STRNE(name(static_cast<GwlbError>(i)), "unknown");
}

}  // namespace
}  // namespace weir::net
