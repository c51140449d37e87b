#include "net/quick_nsh.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "net/testing/random_smd.hpp"

namespace weir::net {
namespace {

using test::Random;

constexpr std::size_t inner_bytes = 20, room = 128;

// As it stands in front of a frame.
std::vector<std::uint8_t> encoded(const Nsh& nsh) {
    std::vector<std::uint8_t> memory(room + inner_bytes);
    Packet p;
    p.data = memory.data() + room;
    p.headroom = room;
    p.length = inner_bytes;
    EXPECT_TRUE(push_nsh(p, nsh));
    return {p.data, p.data + p.length};
}

Nsh usual(Random& random) {
    Nsh nsh;
    nsh.smd = test::random_smd(random);
    nsh.cookie = random();
    return nsh;
}

TEST(QuickNsh, ReadsWhatNodesUsuallyGiveBack) {
    Random random(1);
    for (int i = 0; i < 1000; ++i) {
        const Nsh nsh = usual(random);
        Smd smd;
        std::uint32_t cookie = 0;
        ASSERT_TRUE(read_quick_nsh(encoded(nsh).data(), smd, cookie));
        EXPECT_EQ(smd, nsh.smd);
        EXPECT_EQ(cookie, nsh.cookie);
    }
}

TEST(QuickNsh, ReadsWhatHostsUsuallySend) {
    Random random(4);
    for (int i = 0; i < 1000; ++i) {
        Nsh nsh = usual(random);
        nsh.smd.returning = i % 2 == 0;
        Smd smd;
        std::uint32_t cookie = 0;
        ASSERT_TRUE(read_quick_nsh(encoded(nsh).data(), smd, cookie, NshFrom::host));
        EXPECT_EQ(smd, nsh.smd);
    }
}

// Whatever it takes, the codec reads the same way; what the codec refuses, it does not take.
TEST(QuickNsh, AgreesWithTheCodecWhateverTheBitsAre) {
    Random random(2);
    int taken = 0;
    for (int i = 0; i < 200'000; ++i) {
        std::vector<std::uint8_t> bytes = encoded(usual(random));
        for (unsigned flips = random() % 3; flips > 0; --flips)
            bytes[random() % 16] ^= static_cast<std::uint8_t>(1u << random() % 8);
        Smd smd;
        std::uint32_t cookie = 0;
        const NshFrom from = i % 2 ? NshFrom::host : NshFrom::node;
        if (!read_quick_nsh(bytes.data(), smd, cookie, from)) continue;
        ++taken;
        NshView view;
        ASSERT_EQ(decode_nsh(bytes, view), NshError::none);
        EXPECT_EQ(view.nsh.smd, smd);
        EXPECT_EQ(view.nsh.cookie, cookie);
        EXPECT_EQ(view.nsh.md_type, MdType::variable);
        EXPECT_EQ(view.nsh.smd.unassigned, 0);
        EXPECT_FALSE(view.nsh.control);
        EXPECT_EQ(view.header_bytes, nsh_md2_bytes);
    }
    EXPECT_GT(taken, 50'000);
}

TEST(QuickNsh, IsWrittenAsByTheCodec) {
    Random random(5);
    for (int i = 0; i < 10'000; ++i) {
        Nsh nsh = usual(random);
        nsh.smd.oam = random() & 1;
        nsh.smd.returning = random() & 1;
        nsh.smd.copy = random() & 1;
        nsh.smd.live_query = random() & 1;
        nsh.smd.live_ack = random() & 1;
        nsh.smd.trace = random() & 1;
        nsh.smd.moved = random() & 1;
        nsh.smd.reserved = static_cast<std::uint8_t>(random() % 32);
        if (i % 2) nsh.smd.unassigned = static_cast<std::uint8_t>(random() % 32);
        std::vector<std::uint8_t> written(nsh_md2_bytes);
        write_quick_nsh(written.data(), nsh.smd, nsh.cookie);
        std::vector<std::uint8_t> wanted = encoded(nsh);
        wanted.resize(nsh_md2_bytes);
        ASSERT_EQ(written, wanted);
    }
}

TEST(QuickNsh, LeavesWhatIsNotUsual) {
    const std::vector<void (*)(Nsh&)> changes = {
        [](Nsh& n) { n.smd.live_query = true; }, [](Nsh& n) { n.smd.live_ack = true; },
        [](Nsh& n) { n.smd.copy = true; },       [](Nsh& n) { n.smd.trace = true; },
        [](Nsh& n) { n.smd.moved = true; },      [](Nsh& n) { n.smd.returning = true; },
        [](Nsh& n) { n.smd.reserved = 1; },      [](Nsh& n) { n.smd.unassigned = 1; },
        [](Nsh& n) { n.smd.oam = true; },        [](Nsh& n) { n.control = NodeControl{}; },
        [](Nsh& n) { n.smd.ttl = 0; },
    };
    Random random(3);
    for (const auto& change : changes) {
        Nsh nsh = usual(random);
        change(nsh);
        Smd smd;
        std::uint32_t cookie = 0;
        EXPECT_FALSE(read_quick_nsh(encoded(nsh).data(), smd, cookie));
    }
}

}  // namespace
}  // namespace weir::net
