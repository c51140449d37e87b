#include "net/address.hpp"

#include <gtest/gtest.h>

namespace weir::net {
namespace {

TEST(Mac, text_form_survives_a_round_trip) {
    const Mac mac = Mac::parse("02:5A:00:00:00:fE").value();
    EXPECT_EQ(mac.text(), "02:5a:00:00:00:fe");
    EXPECT_EQ(mac.to_u64(), 0x025a000000feull);
    EXPECT_FALSE(mac.is_multicast());
    EXPECT_TRUE(Mac::parse("ff:ff:ff:ff:ff:ff")->is_broadcast());
    EXPECT_TRUE(Mac::parse("01:00:5e:00:00:01")->is_multicast());
}

TEST(Mac, refuses_what_is_not_one) {
    for (const char* text : {"", "02:00:00:00:00", "02:00:00:00:00:0g", "02-00-00-00-00-01",
                             "02:00:00:00:00:01 ", "2:0:0:0:0:1", "02:00:00:00:00:01:02"}) {
        const Result<Mac> mac = Mac::parse(text);
        ASSERT_FALSE(mac.ok()) << text;
        EXPECT_NE(mac.error().message.find(text), std::string::npos);
    }
}

TEST(Ip, ip4_stands_mapped_and_prints_dotted) {
    const Ip ip = Ip::parse("10.1.2.3").value();
    EXPECT_TRUE(ip.is4());
    EXPECT_EQ(ip, Ip::from4(0x0a010203u));
    EXPECT_EQ(ip.text(), "10.1.2.3");
    EXPECT_EQ(ip.family(), Family::ip4);
}

TEST(Ip, ip6_text_follows_rfc5952) {
    const std::pair<const char*, const char*> cases[] = {
        {"2001:0DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"::", "::"},
        {"::1", "::1"},
        {"fe80::", "fe80::"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // one zero group stays
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},           // the longest run
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},     // the first of equal runs
        {"::1:0", "::1:0"},
        {"0:0:1:0:0:0:0:0", "0:0:1::"},
    };
    for (const auto& [in, out] : cases) {
        const Result<Ip> ip = Ip::parse(in);
        ASSERT_TRUE(ip.ok()) << in;
        EXPECT_EQ(ip->text(), out);
        EXPECT_EQ(Ip::parse(ip->text()).value(), *ip);
    }
}

TEST(Ip, refuses_what_is_not_one) {
    for (const char* text : {"", "10.0.0", "10.0.0.256", "010.0.0.1", "10.0.0.1/24", "fe80::1%eth0",
                             "1::2::3", "10.0.0.1 ", "::ffff:10.0.0.1",
                             "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"})
        EXPECT_FALSE(Ip::parse(text).ok()) << text;
    EXPECT_FALSE(Ip::parse(std::string_view("10.0.0.1\0", 9)).ok());
}

TEST(Ip, classes) {
    EXPECT_TRUE(Ip{}.is_zero());
    EXPECT_TRUE(Ip::parse("0.0.0.0")->is_zero());
    EXPECT_FALSE(Ip::parse("0.0.0.1")->is_zero());
    EXPECT_TRUE(Ip::parse("224.0.0.1")->is_multicast());
    EXPECT_TRUE(Ip::parse("239.255.255.255")->is_multicast());
    EXPECT_FALSE(Ip::parse("240.0.0.1")->is_multicast());
    EXPECT_TRUE(Ip::parse("ff02::1")->is_multicast());
    EXPECT_TRUE(Ip::parse("255.255.255.255")->is_broadcast());
    EXPECT_TRUE(Ip::parse("169.254.3.4")->is_link_local());
    EXPECT_TRUE(Ip::parse("febf::1")->is_link_local());
    EXPECT_FALSE(Ip::parse("fec0::1")->is_link_local());
}

TEST(Prefix, parses_and_keeps_or_refuses_host_bits) {
    EXPECT_EQ(Prefix::parse("10.0.0.0/24")->text(), "10.0.0.0/24");
    EXPECT_EQ(Prefix::parse("2001:db8::/33")->text(), "2001:db8::/33");
    EXPECT_EQ(Prefix::parse("10.0.0.1")->text(), "10.0.0.1/32");
    EXPECT_EQ(Prefix::parse("::/0")->length, 0);
    const Result<Prefix> wrong = Prefix::parse("10.0.0.1/24");
    ASSERT_FALSE(wrong.ok());
    EXPECT_NE(wrong.error().message.find("10.0.0.0/24"), std::string::npos);
    EXPECT_EQ(Prefix::parse_host("10.0.0.1/24")->text(), "10.0.0.1/24");
    for (const char* text : {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/08", "::/129",
                             "10.0.0.0/24x", "/24", ""})
        EXPECT_FALSE(Prefix::parse_host(text).ok()) << text;
}

TEST(Prefix, contains_agrees_with_a_bit_by_bit_twin) {
    auto bit = [](const Ip& ip, unsigned i) { return ip.bytes[i / 8] >> (7 - i % 8) & 1; };
    const Ip bases[] = {Ip::parse("10.170.85.1").value(), Ip::parse("2001:db8:aaaa::5").value()};
    for (const Ip& base : bases) {
        const unsigned first = base.is4() ? 96 : 0;
        for (unsigned length = 0; length <= 128 - first; ++length) {
            const Prefix prefix = Prefix{base, static_cast<std::uint8_t>(length)}.network();
            for (unsigned flip = first; flip < 128; ++flip) {
                Ip other = base;
                other.bytes[flip / 8] ^= static_cast<std::uint8_t>(0x80u >> flip % 8);
                bool expected = true;
                for (unsigned i = first; i < first + length; ++i)
                    expected = expected && bit(other, i) == bit(prefix.address, i);
                ASSERT_EQ(prefix.contains(other), expected) << prefix.text() << " " << other.text();
            }
            EXPECT_TRUE(prefix.contains(base));
        }
    }
    EXPECT_FALSE(Prefix::parse("::/0")->contains(Ip::from4(1u)));
    EXPECT_FALSE(Prefix::parse("0.0.0.0/0")->contains(Ip{}));
}

}  // namespace
}  // namespace weir::net
