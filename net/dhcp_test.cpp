#include "net/dhcp.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "net/builder.hpp"
#include "net/bytes.hpp"
#include "net/parse.hpp"

namespace weir::net {
namespace {

const Mac mac_b{{2, 0, 0, 0, 0, 0xb}};
const Ip ip_b = Ip::from4(0x0a000002u);

std::vector<std::uint8_t> dhcp_payload(std::vector<std::uint8_t> options) {
    std::vector<std::uint8_t> out(240 + options.size());
    out[0] = 2;
    out[1] = 1;
    out[2] = 6;
    std::memcpy(out.data() + 16, ip_b.data4(), 4);
    mac_b.store(out.data() + 28);
    store32(out.data() + 236, 0x63825363);
    std::copy(options.begin(), options.end(), out.begin() + 240);
    return out;
}

std::optional<DhcpLease> lease_of(std::vector<std::uint8_t> payload, std::uint16_t from = 67) {
    PacketBuffer buffer =
        FrameBuilder().ip("10.0.0.9", "10.0.0.2").udp(from, 68).payload(payload).packet();
    EXPECT_EQ(parse(buffer.packet()), ParseError::none);
    return read_dhcp_ack(buffer.packet());
}

TEST(Dhcp, an_ack_names_client_and_address) {
    const auto lease =
        lease_of(dhcp_payload({0, 54, 4, 1, 2, 3, 4, 53, 1, 5, 51, 4, 0, 0, 0x0e, 0x10, 255}));
    ASSERT_TRUE(lease);
    EXPECT_EQ(lease->client, mac_b);
    EXPECT_EQ(lease->address, ip_b);
    EXPECT_EQ(lease->seconds, 3600u);
}

TEST(Dhcp, anything_else_is_not_a_lease) {
    const std::vector<std::uint8_t> ack = {53, 1, 5, 255};
    EXPECT_TRUE(lease_of(dhcp_payload(ack)));
    EXPECT_FALSE(lease_of(dhcp_payload(ack), 68));               // not from a server
    EXPECT_FALSE(lease_of(dhcp_payload({53, 1, 2, 255})));       // an offer
    EXPECT_FALSE(lease_of(dhcp_payload({255, 53, 1, 5})));       // behind the end
    EXPECT_FALSE(lease_of(dhcp_payload({53, 1, 5, 51, 9, 0})));  // option overruns
    EXPECT_FALSE(lease_of(dhcp_payload({53, 1, 5, 51})));
    auto payload = dhcp_payload(ack);
    payload[236] = 0;
    EXPECT_FALSE(lease_of(payload));
    payload = dhcp_payload(ack);
    std::memset(payload.data() + 16, 0, 4);
    EXPECT_FALSE(lease_of(payload));
    payload = dhcp_payload(ack);
    for (std::size_t length : {239u, 235u, 100u, 0u}) {
        payload.resize(length);
        EXPECT_FALSE(lease_of(payload));
    }
}

}  // namespace
}  // namespace weir::net
