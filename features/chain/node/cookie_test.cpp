#include "features/chain/node/cookie.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <random>
#include <set>

namespace weir::chain {
namespace {

net::Smd packet() {
    net::Smd smd;
    smd.spi = 0x112233;
    smd.sci = 7;
    smd.tenant_vni = 5001;
    smd.anchor_host = 1;
    smd.anchor_port = 0x02000003;
    smd.flow_handle = 0x44000055;
    smd.flow_tag = 99;
    smd.si = 2;
    smd.initial_si = 3;
    smd.ttl = 61;
    smd.path_epoch = 5;
    smd.original_dst = {{2, 0, 0, 0, 0, 1}};
    smd.original_src = {{2, 0, 0, 0, 0, 2}};
    return smd;
}

const NodeSecret secret = node_secret(0x0123456789abcdefull, 3);

TEST(Cookie, CoversAllThatANodeMustNotChange) {
    const std::function<void(net::Smd&)> changes[] = {
        [](auto& s) { s.version = 1; },
        [](auto& s) { s.spi ^= 1; },
        [](auto& s) { s.sci ^= 1; },
        [](auto& s) { s.tenant_vni ^= 1; },
        [](auto& s) { s.anchor_host ^= 1; },
        [](auto& s) { s.anchor_port ^= 1; },
        [](auto& s) { s.flow_handle ^= 1; },
        [](auto& s) { s.si ^= 1; },
        [](auto& s) { s.initial_si ^= 1; },
        [](auto& s) { s.ttl ^= 1; },
        [](auto& s) { s.path_epoch ^= 1; },
        [](auto& s) { s.skip_mask ^= 1; },
        [](auto& s) { s.reverse = true; },
        [](auto& s) { s.at_ingress = true; },
        [](auto& s) { s.returning = true; },
        [](auto& s) { s.copy = true; },
        [](auto& s) { s.trace = true; },
        [](auto& s) { s.moved = true; },
        [](auto& s) { s.original_dst.bytes[5] ^= 1; },
        [](auto& s) { s.original_src.bytes[0] ^= 4; },
    };
    std::set<std::uint32_t> seen = {cookie(secret, packet(), false)};
    for (const auto& change : changes) {
        net::Smd smd = packet();
        change(smd);
        EXPECT_TRUE(seen.insert(cookie(secret, smd, false)).second) << seen.size();
    }
}

TEST(Cookie, LeavesOutWhatANodeMayChange) {
    net::Smd smd = packet();
    smd.flow_tag = 1;
    smd.oam = smd.live_ack = smd.live_query = true;
    smd.reserved = 0x1f;
    EXPECT_EQ(cookie(secret, smd, false), cookie(secret, packet(), false));
    EXPECT_EQ(cookie(secret, smd, true), cookie(secret, packet(), true));
}

TEST(Cookie, TimedPacketsAndOtherNodesDiffer) {
    EXPECT_NE(cookie(secret, packet(), true), cookie(secret, packet(), false));
    EXPECT_NE(cookie(secret, packet(), false),
              cookie(node_secret(0x0123456789abcdefull, 4), packet(), false));
    EXPECT_NE(cookie(secret, packet(), false), cookie(node_secret(1, 3), packet(), false));
    EXPECT_NE(secret[0], secret[1]);
}

TEST(Cookies, AreThoseOfTheHashWhateverWasAskedBefore) {
    std::mt19937 random(1);
    const auto cookies = std::make_unique<Cookies>();
    const NodeSecret secrets[] = {secret, node_secret(0x0123456789abcdefull, 4), {}};
    for (int i = 0; i < 50'000; ++i) {
        net::Smd smd = i % 100 == 0 ? net::Smd{} : packet();
        smd.flow_handle = static_cast<std::uint32_t>(random() % 3000);
        smd.si = static_cast<std::uint8_t>(random() % 3);
        smd.ttl ^= static_cast<std::uint8_t>(random() % 2);
        smd.original_src.bytes[5] = static_cast<std::uint8_t>(random() % 2);
        smd.reverse = random() % 2;
        const NodeSecret& key = secrets[random() % 3];
        const bool timed = random() % 8 == 0;
        ASSERT_EQ(cookies->of(key, smd, timed), cookie(key, smd, timed));
    }
}

}  // namespace
}  // namespace weir::chain
