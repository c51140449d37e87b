#include "features/chain/packet_mark.hpp"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

#include "net/builder.hpp"
#include "net/ethernet.hpp"

namespace weir::chain {
namespace {

using Frame = std::vector<std::uint8_t>;
constexpr std::uint32_t ip_at = 14;

std::uint16_t mark_of(const Frame& frame) {
    return packet_mark(frame.data() + ip_at, static_cast<std::uint32_t>(frame.size()) - ip_at);
}

Frame tcp(std::uint32_t seq, const char* from = "192.168.10.11", std::uint16_t port = 4000) {
    const bool six = std::string_view(from).find(':') != std::string_view::npos;
    net::FrameBuilder f;
    f.ip(from, six ? "fd00::2" : "192.168.10.12");
    return f.tcp(port, 80, 0x10, seq).payload(10).build();
}

TEST(PacketMark, TellsPacketsOfAConnectionApart) {
    for (const char* from : {"192.168.10.11", "fd00::1"}) {
        EXPECT_NE(mark_of(tcp(1000, from)), mark_of(tcp(1010, from)));
        EXPECT_EQ(mark_of(tcp(1000, from)), mark_of(tcp(1000, from)));
        EXPECT_NE(mark_of(tcp(1000, from)), 0);
    }
}

TEST(PacketMark, StaysWhereAddressesAreTranslated) {
    Frame routed = tcp(1000, "10.9.9.9", 61000);
    --routed[ip_at + 8];  // TTL
    EXPECT_EQ(mark_of(routed), mark_of(tcp(1000)));
}

TEST(PacketMark, TellsDatagramsApartByWhatIsInThemAndByTheirNumber) {
    net::FrameBuilder f;
    f.ip("192.168.10.11", "192.168.10.12");
    const Frame one = f.udp(4000, 53).payload(16).build();
    Frame other = one;
    other[ip_at + 30] ^= 1;
    EXPECT_NE(mark_of(other), mark_of(one));
    other = one;
    other[ip_at + 5] ^= 1;
    EXPECT_NE(mark_of(other), mark_of(one));
}

TEST(PacketMark, IsThatOfTheFrameWhateverItsTags) {
    Frame frame = tcp(1000);
    const std::uint16_t mark = mark_of(frame);
    const auto of = [](Frame& bytes) {
        net::Packet p;
        p.data = bytes.data();
        p.length = static_cast<std::uint32_t>(bytes.size());
        return frame_mark(p);
    };
    EXPECT_EQ(of(frame), mark);
    for (const std::uint8_t low : {std::uint8_t{0x81}, std::uint8_t{0x88}}) {
        const std::uint8_t tag[] = {low, low == 0x88 ? std::uint8_t{0xa8} : std::uint8_t{0}, 0, 7};
        frame.insert(frame.begin() + 12, tag, tag + 4);
        EXPECT_EQ(of(frame), mark);
    }
    for (std::size_t size = 0; size < frame.size(); ++size) {  // reads nothing behind the end
        Frame cut(frame.begin(), frame.begin() + static_cast<long>(size));
        cut.shrink_to_fit();
        EXPECT_NE(of(cut), 0);
    }
}

}  // namespace
}  // namespace weir::chain
