#include "weir/nsh.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "weir/test_frames.hpp"

namespace weir::service {
namespace {

using testing_frames::md1;
using testing_frames::md2;

std::optional<NshView> parse(std::vector<std::uint8_t>& bytes, NshError& error) {
    return NshView::parse(bytes, error);
}

TEST(Nsh, ReadsMdType2) {
    auto bytes = md2({.si = 2, .flags = 0x1000 | 0x0100});
    NshError error{};
    const auto view = parse(bytes, error);
    ASSERT_TRUE(view);
    const Metadata& m = view->metadata();
    EXPECT_EQ(m.spi, 0x010203u);
    EXPECT_EQ(m.si, 2);
    EXPECT_EQ(m.sci, 0x0a0b0cu);
    EXPECT_EQ(m.initial_si, 3);
    EXPECT_EQ(m.tenant_vni, 5001u);
    EXPECT_EQ(m.flow_handle, 0x11223344u);
    EXPECT_EQ(m.flow_tag, 0x55667788u);
    EXPECT_TRUE(m.reverse);
    EXPECT_TRUE(m.live_query);
    EXPECT_FALSE(m.live_ack);
    EXPECT_FALSE(m.oam);
    EXPECT_FALSE(m.copy);
    EXPECT_EQ(view->header_bytes(), 44u);
}

TEST(Nsh, ReadsMdType1) {
    auto bytes = md1({.si = 1, .flags = 0x1000});
    NshError error{};
    const auto view = parse(bytes, error);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->metadata().md_type, 1);
    EXPECT_EQ(view->metadata().sci, 0x0a0b0cu);
    EXPECT_EQ(view->metadata().flow_tag, 0x55667788u);
    EXPECT_TRUE(view->metadata().reverse);
    EXPECT_EQ(view->header_bytes(), 24u);
}

TEST(Nsh, FindsItsMetadataBehindAnotherContextHeader) {
    auto bytes = md2({.si = 1});
    // A foreign header of 5 bytes, padded to 8 (RFC 8300 §2.5.1), in front of ours.
    const std::vector<std::uint8_t> foreign{0x12, 0x34, 7, 5, 1, 2, 3, 4, 5, 0, 0, 0};
    bytes.insert(bytes.begin() + 8, foreign.begin(), foreign.end());
    bytes[1] = static_cast<std::uint8_t>((bytes[1] & 0xc0) | 14);
    NshError error{};
    const auto view = parse(bytes, error);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->metadata().sci, 0x0a0b0cu);
}

TEST(Nsh, RefusesWhatItCannotUse) {
    struct Case {
        NshError why;
        std::size_t at;
        std::uint8_t value;
    };
    for (const Case& c : {Case{NshError::version, 0, 0x40}, Case{NshError::length, 1, 0x01},
                          Case{NshError::truncated, 1, 0x3f}, Case{NshError::md_type, 2, 0},
                          Case{NshError::md_type, 2, 3}, Case{NshError::next_protocol, 3, 1},
                          Case{NshError::next_protocol, 3, 0}, Case{NshError::no_metadata, 8, 0},
                          Case{NshError::no_metadata, 11, 31}}) {
        auto bytes = md2({.si = 1});
        bytes[c.at] = c.value;
        NshError error{};
        EXPECT_FALSE(parse(bytes, error)) << c.at;
        EXPECT_EQ(error, c.why) << name(error) << " instead of " << name(c.why);
    }
    auto one = md1({.si = 1});
    one[1] = static_cast<std::uint8_t>((one[1] & 0xc0) | 5);
    NshError error{};
    EXPECT_FALSE(parse(one, error));
    EXPECT_EQ(error, NshError::length);
}

TEST(Nsh, EveryCutIsRefused) {
    const auto whole = md2({.si = 1});
    for (std::size_t size = 0; size < whole.size(); ++size) {
        std::vector<std::uint8_t> cut(whole.begin(), whole.begin() + static_cast<long>(size));
        cut.shrink_to_fit();
        NshError error{};
        EXPECT_FALSE(parse(cut, error)) << size;
        EXPECT_EQ(error, NshError::truncated);
    }
}

TEST(Nsh, ChangesOnlyItsBits) {
    const auto before = md2({.si = 2, .flags = 0x1100});
    auto bytes = before;
    NshError error{};
    auto view = parse(bytes, error);
    ASSERT_TRUE(view);
    view->set_live_ack();
    view->set_header_only_oam();
    view->decrement_si();
    std::vector<std::size_t> changed;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        if (bytes[i] != before[i]) changed.push_back(i);
    EXPECT_EQ(changed, (std::vector<std::size_t>{0, 3, 7, 12, 13}));
    EXPECT_EQ(bytes[0], before[0] | 0x20);
    EXPECT_EQ(bytes[3], 0);
    EXPECT_EQ(bytes[7], 1);
    EXPECT_EQ(bytes[12], before[12] | 0x20);
    EXPECT_EQ(bytes[13], before[13] | 0x80);
}

}  // namespace
}  // namespace weir::service
