#include "net/fragment.hpp"

#include <gtest/gtest.h>

#include <list>
#include <random>
#include <vector>

#include "net/builder.hpp"
#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/parse.hpp"

namespace weir::net {
namespace {

using Bytes = std::vector<std::uint8_t>;

PacketBuffer parsed(const FrameBuilder& builder) {
    PacketBuffer buffer = builder.packet();
    EXPECT_EQ(parse(buffer.packet()), ParseError::none);
    return buffer;
}

// Hands out packets of just the room asked for, and keeps what was emitted.
class Pool {
public:
    explicit Pool(std::size_t limit = 10000) : limit_(limit) {}

    SplitError fragment(const Packet& packet, std::uint32_t mtu) {
        return fragment_ip4(
            packet, mtu, [this](std::uint32_t bytes) { return make(bytes); },
            [this](Packet& out) { emitted.push_back(&out); });
    }
    SplitError segment(const Packet& packet, std::uint16_t mss) {
        return segment_tcp(
            packet, mss, [this](std::uint32_t bytes) { return make(bytes); },
            [this](Packet& out) { emitted.push_back(&out); });
    }
    SplitError segment_datagrams(const Packet& packet, std::uint16_t payload_bytes) {
        return segment_udp(
            packet, payload_bytes, [this](std::uint32_t bytes) { return make(bytes); },
            [this](Packet& out) { emitted.push_back(&out); });
    }
    std::vector<const Packet*> emitted;

private:
    Packet* make(std::uint32_t bytes) {
        if (memory_.size() == limit_) return nullptr;
        return &memory_.emplace_back(Bytes{}, 0, bytes).packet();
    }
    std::size_t limit_;
    std::list<PacketBuffer> memory_;
};

Bytes l4_of(const Packet& packet) {
    const std::uint8_t* ip = packet.data + packet.headers.l3;
    const std::uint8_t* end = packet.data + packet.headers.l3_end;
    return {ip + (ip[0] & 15) * 4, end};
}

// What a host would put together; checks each fragment on the way.
Bytes reassembled(const std::vector<const Packet*>& fragments, std::uint32_t mtu) {
    Bytes whole;
    for (const Packet* fragment : fragments) {
        const Headers& headers = fragment->headers;
        EXPECT_LE(headers.l3_end - headers.l3, static_cast<int>(mtu));
        EXPECT_EQ(headers.fragment_offset, whole.size());
        EXPECT_EQ(headers.fragment_more, fragment != fragments.back());
        EXPECT_EQ(headers.l3_end, fragment->length);
        const Bytes piece = l4_of(*fragment);
        whole.insert(whole.end(), piece.begin(), piece.end());
    }
    return whole;
}

TEST(FragmentIp4, pieces_make_up_the_packet_at_any_mtu) {
    std::mt19937 random(8);
    for (int i = 0; i < 300; ++i) {
        const std::size_t payload = random() % 9000;
        const auto mtu = static_cast<std::uint32_t>(68 + random() % 2000);
        FrameBuilder builder = FrameBuilder().ip("10.0.0.1", "10.0.0.2").udp(1, 2).payload(payload);
        builder.fragment(static_cast<std::uint32_t>(random() & 0xffff), 0, false);
        if (i % 2) builder.ip4_options({0x94, 4, 0, 0, 1, 7, 7, 4, 0, 0, 0, 0});
        PacketBuffer whole = parsed(builder);
        Pool pool;
        ASSERT_EQ(pool.fragment(whole.packet(), mtu), SplitError::none);
        ASSERT_EQ(reassembled(pool.emitted, mtu), l4_of(whole.packet()));
        for (const Packet* out : pool.emitted) {
            ASSERT_EQ(out->headers.fragment_id, whole.packet().headers.fragment_id);
            ASSERT_EQ(out->tuple.proto, proto_udp);
        }
    }
}

TEST(FragmentIp4, only_options_with_the_copy_bit_go_along) {
    FrameBuilder builder = FrameBuilder().vlan(9).ip("10.0.0.1", "10.0.0.2").udp(1, 2).payload(300);
    PacketBuffer whole = parsed(builder.ip4_options({7, 7, 4, 0, 0, 0, 0, 0x94, 4, 1, 2}));
    Pool pool;
    ASSERT_EQ(pool.fragment(whole.packet(), 128), SplitError::none);
    ASSERT_GE(pool.emitted.size(), 3u);
    const std::uint8_t* first = pool.emitted[0]->data + 18;
    const std::uint8_t* later = pool.emitted[1]->data + 18;
    EXPECT_EQ(first[0], 0x48);
    EXPECT_EQ(later[0], 0x46);
    EXPECT_EQ(load32(later + 20), 0x94040102u);
    EXPECT_EQ(pool.emitted[1]->headers.vlan, 9);
}

TEST(FragmentIp4, a_fragment_of_a_fragment_is_one_of_the_whole) {
    PacketBuffer middle = parsed(
        FrameBuilder().ip("10.0.0.1", "10.0.0.2").proto(17).fragment(5, 800, true).payload(400));
    Pool pool;
    ASSERT_EQ(pool.fragment(middle.packet(), 220), SplitError::none);
    ASSERT_EQ(pool.emitted.size(), 2u);
    EXPECT_EQ(pool.emitted[0]->headers.fragment_offset, 800);
    EXPECT_EQ(pool.emitted[1]->headers.fragment_offset, 1000);
    EXPECT_TRUE(pool.emitted[1]->headers.fragment_more);
}

TEST(FragmentIp4, what_fits_is_copied_and_what_must_not_be_cut_is_refused) {
    PacketBuffer df = parsed(FrameBuilder().ip("10.0.0.1", "10.0.0.2").df().udp(1, 2).payload(100));
    Pool pool;
    EXPECT_EQ(pool.fragment(df.packet(), 127), SplitError::dont_fragment);
    EXPECT_TRUE(pool.emitted.empty());
    EXPECT_EQ(pool.fragment(df.packet(), 128), SplitError::none);
    ASSERT_EQ(pool.emitted.size(), 1u);
    EXPECT_TRUE(
        std::equal(df.packet().bytes().begin(), df.packet().bytes().end(), pool.emitted[0]->data));
    PacketBuffer six = parsed(FrameBuilder().ip("fd00::1", "fd00::2").udp(1, 2).payload(100));
    EXPECT_EQ(pool.fragment(six.packet(), 100), SplitError::not_splittable);
    PacketBuffer plain = parsed(FrameBuilder().ip("10.0.0.1", "10.0.0.2").udp(1, 2).payload(100));
    EXPECT_EQ(pool.fragment(plain.packet(), 27), SplitError::bad_size);
    plain.packet().flags |= packet_partial_checksum;
    EXPECT_EQ(pool.fragment(plain.packet(), 100), SplitError::partial_checksum);
}

TEST(FragmentIp4, says_when_packets_run_out) {
    PacketBuffer whole = parsed(FrameBuilder().ip("10.0.0.1", "10.0.0.2").udp(1, 2).payload(1000));
    Pool pool(2);
    EXPECT_EQ(pool.fragment(whole.packet(), 220), SplitError::no_packets);
    EXPECT_EQ(pool.emitted.size(), 2u);
}

TEST(SegmentTcp, segments_carry_the_stream_in_order) {
    std::mt19937 random(9);
    for (int i = 0; i < 200; ++i) {
        const std::size_t payload = random() % 9000;
        const auto mss = static_cast<std::uint16_t>(1 + random() % 1500);
        FrameBuilder builder = i % 2 ? FrameBuilder().vlan(3).ip("10.0.0.1", "10.0.0.2").df()
                                     : FrameBuilder().ip("fd00::1", "fd00::2");
        builder.tcp(1, 2, tcp_ack | tcp_psh | tcp_fin | 0x80, 0xfffff000, 7);
        builder.tcp_options({1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}).payload(payload);
        if (i % 2) builder.fragment(0xfffe, 0, false);
        if (i % 4 == 1) builder.ip4_options({0x94, 4, 0, 0, 1, 1, 1, 1, 7, 8, 4, 0, 0, 0, 0, 0});
        if (i % 3 == 0) builder.bad_l4_checksum();
        PacketBuffer super = parsed(builder);
        Pool pool;
        ASSERT_EQ(pool.segment(super.packet(), mss), SplitError::none);
        Bytes stream;
        for (std::size_t n = 0; n < pool.emitted.size(); ++n) {
            const Packet& out = *pool.emitted[n];
            const bool last = n + 1 == pool.emitted.size();
            const std::uint8_t* tcp = out.data + out.headers.l4;
            ASSERT_TRUE(l4_checksum_ok(out));
            ASSERT_EQ(load32(tcp + 4), static_cast<std::uint32_t>(0xfffff000 + stream.size()));
            ASSERT_EQ(load32(tcp + 8), 7u);
            const int expected = tcp_ack | (last ? tcp_psh | tcp_fin : 0) | (n == 0 ? 0x80 : 0);
            ASSERT_EQ(out.headers.tcp_flags, expected);
            ASSERT_EQ(out.tuple, super.packet().tuple);
            ASSERT_EQ(out.headers.l3_end, out.length);
            const std::uint16_t ip_id = load16(out.data + out.headers.l3 + 4);
            ASSERT_TRUE(i % 2 == 0 || ip_id == ((0xfffe + n) & 0xffff));
            ASSERT_TRUE(last || out.length - out.headers.payload == mss);
            ASSERT_TRUE(std::equal(tcp + 20, tcp + 32,
                                   super.packet().data + super.packet().headers.l4 + 20));
            stream.insert(stream.end(), out.data + out.headers.payload, out.data + out.length);
        }
        ASSERT_EQ(stream, counting_payload(payload));
    }
}

TEST(SegmentTcp, refuses_what_cannot_be_cut) {
    Pool pool;
    const auto error = [&](const FrameBuilder& builder, std::uint16_t mss = 100) {
        PacketBuffer buffer = parsed(builder);
        return pool.segment(buffer.packet(), mss);
    };
    const FrameBuilder base = FrameBuilder().ip("10.0.0.1", "10.0.0.2").payload(300);
    EXPECT_EQ(error(FrameBuilder(base).tcp(1, 2, tcp_syn)), SplitError::not_splittable);
    EXPECT_EQ(error(FrameBuilder(base).tcp(1, 2, tcp_rst)), SplitError::not_splittable);
    EXPECT_EQ(error(FrameBuilder(base).tcp(1, 2, tcp_urg)), SplitError::not_splittable);
    EXPECT_EQ(error(FrameBuilder(base).udp(1, 2)), SplitError::not_splittable);
    EXPECT_EQ(error(FrameBuilder(base).tcp(1, 2, tcp_ack).payload(4).fragment(1, 0, true)),
              SplitError::not_splittable);
    EXPECT_EQ(error(FrameBuilder(base).tcp(1, 2, tcp_ack), 0), SplitError::bad_size);
    EXPECT_TRUE(pool.emitted.empty());
    Pool small(2);
    PacketBuffer buffer = parsed(FrameBuilder(base).tcp(1, 2, tcp_ack));
    EXPECT_EQ(small.segment(buffer.packet(), 100), SplitError::no_packets);
}

TEST(SegmentUdp, datagrams_carry_the_payload_in_order) {
    std::mt19937 random(10);
    for (int i = 0; i < 200; ++i) {
        const std::size_t payload = random() % 9000;
        const auto most = static_cast<std::uint16_t>(1 + random() % 1500);
        FrameBuilder builder = i % 2 ? FrameBuilder().vlan(3).ip("10.0.0.1", "10.0.0.2").df()
                                     : FrameBuilder().ip("fd00::1", "fd00::2");
        builder.udp(1, 2).payload(payload);
        if (i % 2) builder.fragment(0xfffe, 0, false);
        if (i % 4 == 1) builder.ip4_options({0x94, 4, 0, 0, 1, 1, 1, 1, 7, 8, 4, 0, 0, 0, 0, 0});
        if (i % 3 == 0) builder.bad_l4_checksum();
        PacketBuffer super = parsed(builder);
        Pool pool;
        ASSERT_EQ(pool.segment_datagrams(super.packet(), most), SplitError::none);
        Bytes joined;
        for (std::size_t n = 0; n < pool.emitted.size(); ++n) {
            const Packet& out = *pool.emitted[n];
            const bool last = n + 1 == pool.emitted.size();
            const std::uint8_t* ip = out.data + out.headers.l3;
            const std::uint8_t* udp = out.data + out.headers.l4;
            ASSERT_TRUE(l4_checksum_ok(out));
            ASSERT_NE(load16(udp + 6), 0);
            ASSERT_EQ(load16(udp + 4), out.length - out.headers.l4);
            ASSERT_EQ(out.tuple, super.packet().tuple);
            ASSERT_EQ(out.headers.l3_end, out.length);
            ASSERT_TRUE(i % 2 == 0 || load16(ip + 4) == ((0xfffe + n) & 0xffff));
            ASSERT_TRUE(i % 2 == 0 || ip4_checksum_ok({ip, (ip[0] & 15u) * 4}));
            ASSERT_TRUE(last || out.length - out.headers.payload == most);
            joined.insert(joined.end(), out.data + out.headers.payload, out.data + out.length);
        }
        ASSERT_EQ(joined, counting_payload(payload));
        ASSERT_EQ(pool.emitted.size(), std::max<std::size_t>(1, (payload + most - 1) / most));
    }
}

TEST(SegmentUdp, refuses_what_cannot_be_cut) {
    Pool pool;
    const auto error = [&](const FrameBuilder& builder, std::uint16_t most = 100) {
        PacketBuffer buffer = parsed(builder);
        return pool.segment_datagrams(buffer.packet(), most);
    };
    const FrameBuilder base = FrameBuilder().ip("10.0.0.1", "10.0.0.2").payload(300);
    EXPECT_EQ(error(FrameBuilder(base).tcp(1, 2, tcp_ack)), SplitError::not_splittable);
    EXPECT_EQ(error(FrameBuilder(base).udp(1, 2).payload(304).fragment(1, 0, true)),
              SplitError::not_splittable);
    EXPECT_EQ(error(FrameBuilder(base).udp(1, 2), 0), SplitError::bad_size);
    EXPECT_TRUE(pool.emitted.empty());
}

TEST(Split, every_error_has_a_name_of_its_own) {
    for (std::uint8_t i = 0; i < static_cast<std::uint8_t>(SplitError::count_); ++i)
        for (std::uint8_t j = 0; j < i; ++j)
            EXPECT_STRNE(name(static_cast<SplitError>(i)), name(static_cast<SplitError>(j)));
}

}  // namespace
}  // namespace weir::net
