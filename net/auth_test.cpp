#include "net/auth.hpp"

#include <gtest/gtest.h>
#include <openssl/hmac.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "net/builder.hpp"
#include "net/smd_codec.hpp"
#include "net/wire.hpp"

namespace weir::net {
namespace {

using Bytes = std::vector<std::uint8_t>;

std::string hex(std::span<const std::uint8_t> bytes) {
    std::string out;
    for (const std::uint8_t b : bytes) {
        out += "0123456789abcdef"[b >> 4];
        out += "0123456789abcdef"[b & 15];
    }
    return out;
}
Bytes bytes_of(std::string_view text) {
    return {text.begin(), text.end()};
}
const AuthKeyState key(Bytes(32, 7));

Smd some_metadata() {
    Smd smd;
    smd.spi = 7;
    smd.si = 2;
    smd.initial_si = 2;
    smd.anchor_host = 1;
    return smd;
}

// A signed packet as it stands behind the outer UDP header.
Bytes signed_packet(std::uint64_t sequence, std::uint8_t ctrl_count = 1) {
    const Smd smd = some_metadata();
    Auth auth;
    auth.key_id = 3;
    auth.sequence = sequence;
    std::array<std::uint8_t, auth_bytes> option;
    encode(auth, option);
    const Bytes ctrl(ctrl_bytes, 0xc0);
    GeneveHeader header;
    header.vni = 9001;
    header.smd = &smd;
    header.auth = option;
    header.ctrl.fill(ctrl);
    header.ctrl_count = ctrl_count;
    const Bytes frame = FrameBuilder()
                            .eth(Mac{{2, 1}}, Mac{{2, 2}})
                            .ip("10.0.0.1", "10.0.0.2")
                            .udp(1, 2)
                            .payload(100)
                            .build();
    PacketBuffer buffer(frame, 256, 0);
    EXPECT_TRUE(push_geneve(buffer.packet(), header));
    EXPECT_TRUE(sign(buffer.packet(), key, false));
    return {buffer.packet().data, buffer.packet().data + buffer.packet().length};
}

bool verifies(const Bytes& packet, const AuthKeyState& with = key) {
    GeneveView view;
    if (decode(packet, view) != GeneveError::none || view.auth.empty()) return false;
    const Auth auth = decode_auth(view.auth.first<auth_bytes>());
    return same_mac(auth.mac, auth_mac(with, auth, view, false));
}

// RFC 4231, test cases 1, 2 and 7's data with a short key.
TEST(Auth, HmacAsInRfc4231) {
    EXPECT_EQ(hex(AuthKeyState(Bytes(20, 0x0b)).mac(bytes_of("Hi There"))),
              "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    EXPECT_EQ(hex(AuthKeyState(bytes_of("Jefe")).mac(bytes_of("what do ya want for nothing?"))),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Auth, HmacOfEveryLengthIsThatOfTheLibrary) {
    std::mt19937 engine(1);
    for (std::size_t length = 0; length <= AuthKeyState::max_message; ++length) {
        Bytes secret(1 + length % 64), message(length);
        for (auto& b : secret) b = static_cast<std::uint8_t>(engine());
        for (auto& b : message) b = static_cast<std::uint8_t>(engine());
        std::array<std::uint8_t, 32> wanted;
        unsigned size = 0;
        HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), message.data(), length,
             wanted.data(), &size);
        EXPECT_EQ(AuthKeyState(secret).mac(message), wanted) << length;
    }
}

TEST(Auth, EveryPairOfHostsAndEverySegmentHasItsOwnKey) {
    const Bytes secret(32, 9), message(10, 1);
    const auto one = derive_auth_key(secret, 9001, 1, 2).mac(message);
    EXPECT_EQ(derive_auth_key(secret, 9001, 1, 2).mac(message), one);
    EXPECT_NE(derive_auth_key(secret, 9001, 2, 1).mac(message), one);
    EXPECT_NE(derive_auth_key(secret, 9002, 1, 2).mac(message), one);
    EXPECT_NE(derive_auth_key(secret, 9001, 1, 3).mac(message), one);
    EXPECT_NE(derive_auth_key(Bytes(32, 8), 9001, 1, 2).mac(message), one);
}

TEST(Auth, OptionKeepsItsFields) {
    Auth auth;
    auth.key_id = 200;
    auth.sequence = 0xabcd'0123'4567;
    auth.mac.fill(0x5a);
    std::array<std::uint8_t, auth_bytes> bytes;
    encode(auth, bytes);
    EXPECT_EQ(hex(bytes), "c801abcd01234567" + hex(auth.mac));
    EXPECT_EQ(decode_auth(bytes), auth);
}

TEST(Auth, NumbersCompareAroundTheirEnd) {
    EXPECT_TRUE(auth_newer(1, 0));
    EXPECT_FALSE(auth_newer(0, 0));
    EXPECT_FALSE(auth_newer(0, 1));
    EXPECT_TRUE(auth_newer(3, auth_sequence_mask - 2));
    EXPECT_FALSE(auth_newer(auth_sequence_mask - 2, 3));
}

// Every bit of what AUTH covers counts: AUTH itself, the metadata, CTRL, the head of the frame.
TEST(Auth, AnyChangeOfWhatIsCoveredIsSeen) {
    const Bytes good = signed_packet(77);
    ASSERT_TRUE(verifies(good));
    GeneveView view;
    ASSERT_EQ(decode(good, view), GeneveError::none);
    const auto offset = [&](std::span<const std::uint8_t> part) {
        return static_cast<std::size_t>(part.data() - good.data());
    };
    const std::pair<std::size_t, std::size_t> covered[] = {{offset(view.auth), auth_bytes},
                                                           {offset(view.smd_content), smd_bytes},
                                                           {offset(view.ctrl[0]), ctrl_bytes},
                                                           {offset(view.inner), auth_inner_bytes}};
    for (const auto& [from, count] : covered) {
        for (std::size_t at = from; at < from + count; ++at) {
            Bytes bad = good;
            bad[at] ^= 0x10;
            EXPECT_FALSE(verifies(bad)) << at;
        }
    }
    Bytes behind = good;
    behind.back() ^= 1;
    EXPECT_TRUE(verifies(behind)) << "bytes behind the first 64 are not covered";
    EXPECT_FALSE(verifies(good, AuthKeyState(Bytes(32, 8)))) << "another key";
}

TEST(Auth, LengthAndNumberOfMessagesCount) {
    Bytes cut = signed_packet(77);
    cut.pop_back();
    EXPECT_FALSE(verifies(cut));
    Bytes longer = signed_packet(77);
    longer.push_back(0);
    EXPECT_FALSE(verifies(longer));
    // A CTRL option turned into the head of the frame: same bytes, another meaning.
    const Bytes with = signed_packet(77, 1), without = signed_packet(77, 0);
    EXPECT_NE(Bytes(with.begin() + 8 + 48 + 4 + 8, with.begin() + 8 + 48 + 4 + 24),
              Bytes(without.begin() + 8 + 48 + 4 + 8, without.begin() + 8 + 48 + 4 + 24));
}

TEST(Auth, NothingToSignIsSaid) {
    GeneveHeader header;
    PacketBuffer buffer(Bytes(20, 0), 64, 0);
    ASSERT_TRUE(push_geneve(buffer.packet(), header));
    EXPECT_FALSE(sign(buffer.packet(), key, false));
}

}  // namespace
}  // namespace weir::net
