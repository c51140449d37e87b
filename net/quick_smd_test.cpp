#include "net/quick_smd.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "net/testing/random_smd.hpp"

namespace weir::net {
namespace {

using test::Random;
using Bytes = std::vector<std::uint8_t>;

// A Geneve header as it stands between hosts.
Bytes encoded(const Smd& smd) {
    Bytes memory(max_geneve_bytes);
    Packet p;
    p.data = memory.data() + memory.size();
    p.headroom = static_cast<std::uint32_t>(memory.size());
    EXPECT_TRUE(push_geneve(p, 9001, &smd, nullptr, nullptr, false));
    return {p.data, p.data + p.length};
}

Smd usual(Random& random) {
    Smd smd = test::random_smd(random);
    smd.ttl = static_cast<std::uint8_t>(random() % 64);
    smd.returning = random() & 1;
    for (std::uint8_t& byte : smd.original_dst.bytes) byte = static_cast<std::uint8_t>(random());
    for (std::uint8_t& byte : smd.original_src.bytes) byte = static_cast<std::uint8_t>(random());
    return smd;
}

TEST(QuickSmd, ReadsWhatHostsUsuallySend) {
    Random random(1);
    for (int i = 0; i < 1000; ++i) {
        const Smd smd = usual(random);
        const Bytes bytes = encoded(smd);
        ASSERT_EQ(bytes.size(), 8 + smd_option_bytes);
        Smd read;
        ASSERT_TRUE(read_quick_smd(bytes.data() + 8, read));
        EXPECT_EQ(read, smd);
    }
}

// Whatever it takes, the codec reads the same way; what the codec refuses, it does not take.
TEST(QuickSmd, AgreesWithTheCodecWhateverTheBitsAre) {
    Random random(2);
    int taken = 0;
    for (int i = 0; i < 200'000; ++i) {
        Bytes bytes = encoded(usual(random));
        for (unsigned flips = random() % 3; flips > 0; --flips)
            bytes[8 + random() % 12] ^= static_cast<std::uint8_t>(1u << random() % 8);
        Smd smd;
        if (!read_quick_smd(bytes.data() + 8, smd)) continue;
        ++taken;
        GeneveView view;
        ASSERT_EQ(decode(bytes, view), GeneveError::none);
        ASSERT_TRUE(view.smd);
        EXPECT_EQ(*view.smd, smd);
    }
    EXPECT_GT(taken, 50'000);
}

TEST(QuickSmd, LeavesWhatIsNotUsual) {
    const std::vector<void (*)(Smd&)> changes = {
        [](Smd& s) { s.oam = true; },
        [](Smd& s) { s.copy = true; },
        [](Smd& s) { s.live_query = true; },
        [](Smd& s) { s.live_ack = true; },
        [](Smd& s) { s.trace = true; },
        [](Smd& s) { s.moved = true; },
        [](Smd& s) { s.reserved = 1; },
        [](Smd& s) { s.version = 1; },
        [](Smd& s) { s.zz = 1; },
    };
    Random random(3);
    for (const auto& change : changes) {
        Smd smd = usual(random);
        change(smd);
        Smd read;
        EXPECT_FALSE(read_quick_smd(encoded(smd).data() + 8, read));
    }
}

}  // namespace
}  // namespace weir::net
