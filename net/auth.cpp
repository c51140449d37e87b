// SHA256_Transform, one compression, has no successor in OpenSSL 3 and is what a packet needs.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "net/auth.hpp"

#include <openssl/sha.h>

#include <algorithm>

#include "base/check.hpp"
#include "net/bytes.hpp"
#include "net/nsh.hpp"
#include "net/wire.hpp"

namespace weir::net {
namespace {

using State = std::array<std::uint32_t, 8>;
using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t block_bytes = SHA256_CBLOCK;
constexpr State initial = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                           0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

State compress(const State& from, const std::uint8_t* blocks, std::size_t count) {
    SHA256_CTX context;
    std::copy(from.begin(), from.end(), context.h);
    for (std::size_t i = 0; i < count; ++i) SHA256_Transform(&context, blocks + i * block_bytes);
    State to;
    std::copy(context.h, context.h + to.size(), to.begin());
    return to;
}

void store(const State& state, std::uint8_t* out) {
    for (std::size_t i = 0; i < state.size(); ++i) store32(out + 4 * i, state[i]);
}

// Message bytes put together, with room for the padding of SHA-256.
class Message {
public:
    void add(Bytes bytes) {
        WEIR_CHECK(size_ + bytes.size() <= AuthKeyState::max_message, "the message fits");
        std::copy(bytes.begin(), bytes.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(size_));
        size_ += bytes.size();
    }
    Bytes bytes() const { return Bytes(bytes_).first(size_); }
    // The hash that goes on from `from`, which one block has gone into.
    State finish(const State& from) {
        const std::size_t blocks = (size_ + 9 + block_bytes - 1) / block_bytes;
        std::fill_n(bytes_.begin() + static_cast<std::ptrdiff_t>(size_),
                    blocks * block_bytes - size_, std::uint8_t{0});
        bytes_[size_] = 0x80;
        store64(bytes_.data() + blocks * block_bytes - 8, (block_bytes + size_) * 8);
        return compress(from, bytes_.data(), blocks);
    }

private:
    std::array<std::uint8_t, 6 * block_bytes> bytes_;
    std::size_t size_ = 0;
};

State keyed(Bytes key, std::uint8_t pad) {
    std::array<std::uint8_t, block_bytes> block;
    block.fill(pad);
    for (std::size_t i = 0; i < key.size(); ++i) block[i] = static_cast<std::uint8_t>(key[i] ^ pad);
    return compress(initial, block.data(), 1);
}

}  // namespace

void encode(const Auth& auth, std::span<std::uint8_t, auth_bytes> out) {
    out[0] = auth.key_id;
    out[1] = auth.algorithm;
    store16(out.data() + 2, static_cast<std::uint16_t>(auth.sequence >> 32));
    store32(out.data() + 4, static_cast<std::uint32_t>(auth.sequence));
    std::copy(auth.mac.begin(), auth.mac.end(), out.begin() + 8);
}

Auth decode_auth(std::span<const std::uint8_t, auth_bytes> in) {
    Auth auth;
    auth.key_id = in[0];
    auth.algorithm = in[1];
    auth.sequence = std::uint64_t{load16(in.data() + 2)} << 32 | load32(in.data() + 4);
    std::copy(in.begin() + 8, in.end(), auth.mac.begin());
    return auth;
}

AuthKeyState::AuthKeyState(Bytes key) : inner_(keyed(key, 0x36)), outer_(keyed(key, 0x5c)) {}

std::array<std::uint8_t, 32> AuthKeyState::mac(Bytes message) const {
    Message inside, outside;
    inside.add(message);
    std::array<std::uint8_t, 32> digest;
    store(inside.finish(inner_), digest.data());
    outside.add(digest);
    store(outside.finish(outer_), digest.data());
    return digest;
}

AuthKeyState derive_auth_key(Bytes secret, std::uint32_t svni, std::uint32_t sender,
                             std::uint32_t receiver) {
    static constexpr std::string_view purpose = "weir service plane AUTH 1";
    std::array<std::uint8_t, purpose.size() + 12> label;
    std::copy(purpose.begin(), purpose.end(), label.begin());
    store32(label.data() + purpose.size(), svni);
    store32(label.data() + purpose.size() + 4, sender);
    store32(label.data() + purpose.size() + 8, receiver);
    return AuthKeyState(AuthKeyState(secret).mac(label));
}

std::array<std::uint8_t, auth_mac_bytes> auth_mac(const AuthKeyState& key, const Auth& auth,
                                                  const GeneveView& view, bool nsh) {
    std::array<std::uint8_t, auth_bytes> option;
    encode(auth, option);
    const std::array<std::uint8_t, 3> shape = {view.ctrl_count,
                                               static_cast<std::uint8_t>(view.inner.size() >> 8),
                                               static_cast<std::uint8_t>(view.inner.size())};
    const std::size_t head = nsh ? ethernet_bytes + nsh_md2_bytes + auth_inner_bytes  //
                                 : auth_inner_bytes;
    Message message;
    message.add(Bytes(option).first(auth_bytes - auth_mac_bytes));
    message.add(shape);
    message.add(view.smd_content);
    for (std::size_t i = 0; i < view.ctrl_count; ++i) message.add(view.ctrl[i]);
    message.add(view.inner.first(std::min(head, view.inner.size())));
    const auto whole = key.mac(message.bytes());
    std::array<std::uint8_t, auth_mac_bytes> out;
    std::copy_n(whole.begin(), out.size(), out.begin());
    return out;
}

bool same_mac(const std::array<std::uint8_t, auth_mac_bytes>& a,
              const std::array<std::uint8_t, auth_mac_bytes>& b) {
    unsigned difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned>(a[i] ^ b[i]);
    return difference == 0;
}

bool sign(Packet& packet, const AuthKeyState& key, bool nsh) {
    GeneveView view;
    if (decode(packet.bytes(), view) != GeneveError::none || view.auth.empty()) return false;
    const auto mac = auth_mac(key, decode_auth(view.auth.first<auth_bytes>()), view, nsh);
    const auto at = view.auth.data() - packet.data + (auth_bytes - auth_mac_bytes);
    std::copy(mac.begin(), mac.end(), packet.data + at);
    return true;
}

}  // namespace weir::net
