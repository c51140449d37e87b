#include "dataplane/port_blob.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "flow/save_codec.hpp"

namespace weir::dataplane {
namespace {

using testing::HasSubstr;
using Bytes = std::vector<std::uint8_t>;

Bytes sealed(Bytes bytes) {
    const std::uint32_t crc = net::crc32c({bytes.data(), bytes.size() - 4});
    flow::ByteWriter(bytes).patch(bytes.size() - 4, crc, 4);
    return bytes;
}
PortBlob example() {
    return {"g1", 5001, 2, {{"flow.records", {1, 2, 3}}, {"orders.flows", {}}}};
}
std::string why(const Bytes& bytes) {
    const auto blob = decode_port_blob(bytes);
    return blob ? "" : blob.error().text();
}

TEST(PortBlob, ComesOutAsItWentIn) {
    const auto blob = decode_port_blob(encode(example()));
    ASSERT_TRUE(blob.ok()) << blob.error().text();
    EXPECT_EQ(blob->port, "g1");
    EXPECT_EQ(blob->vni, 5001u);
    EXPECT_EQ(blob->count, 2u);
    ASSERT_EQ(blob->sections.size(), 2u);
    EXPECT_EQ(blob->sections[0].name, "flow.records");
    EXPECT_EQ(blob->sections[0].bytes, (Bytes{1, 2, 3}));
    EXPECT_TRUE(blob->sections[1].bytes.empty());
}

TEST(PortBlob, EveryCutAndEveryFlippedByteIsRefused) {
    const Bytes good = encode(example());
    for (std::size_t n = 0; n < good.size(); ++n)
        EXPECT_NE(why({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n)}), "") << n;
    for (std::size_t i = 0; i < good.size(); ++i) {
        Bytes broken = good;
        broken[i] ^= 0x10;
        EXPECT_NE(why(broken), "") << i;
    }
}

TEST(PortBlob, UnknownTlvsAreSkippedAndErrorsNameThePart) {
    Bytes bytes = encode(example());
    const Bytes strange = {0, 77, 0, 0, 0, 2, 9, 9};
    bytes.insert(bytes.end() - 10, strange.begin(), strange.end());
    EXPECT_EQ(why(sealed(bytes)), "");
    EXPECT_EQ(decode_port_blob(sealed(bytes))->sections.size(), 2u);
    bytes[bytes.size() - 10 - 3] = 200;  // the TLV's length
    EXPECT_THAT(why(sealed(bytes)), HasSubstr("tlv: longer than the blob"));

    Bytes other = encode(example());
    other[4] = 2;
    EXPECT_THAT(why(sealed(other)), HasSubstr("version: 2 is not 1"));
    Bytes later = encode(example());
    later[5] = 9;  // a minor version
    EXPECT_EQ(why(sealed(later)), "");
    Bytes unnamed = encode({"", 1, 0, {}});
    EXPECT_THAT(why(unnamed), HasSubstr("port: has no good name"));
    EXPECT_THAT(why(encode({"g1", 1, 0, {{"", {1}}}})), HasSubstr("sections[0]"));
    EXPECT_THAT(why(encode({"g1", 1, 0, std::vector<BlobSection>(257, {"x", {}})})),
                HasSubstr("too many"));
    EXPECT_THAT(why(Bytes(max_port_blob_bytes + 1)), HasSubstr("longer than 1 MiB"));
}

}  // namespace
}  // namespace weir::dataplane
