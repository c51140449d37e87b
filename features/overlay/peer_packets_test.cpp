#include "features/overlay/peer_packets.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace weir::overlay {
namespace {

struct Sums final : dataplane::CounterSink {
    std::map<std::string, std::uint64_t> of;
    void add(std::string_view, Labels labels, std::uint64_t value) override {
        std::string key;
        for (const auto& label : labels) key += std::string(label.second) + " ";
        of[key] += value;
    }
};

TEST(PeerPackets, AreCountedByHost) {
    PeerPackets packets;
    packets.of(7).guest += 2;
    packets.of(9).service += 3;
    packets.of(7).guest += 1;
    packets.of(8).guest += 4;  // the plan does not know it any more
    Sums sums;
    packets.report("m", {{7, "h7"}, {9, "h9"}, {11, "h11"}}, sums);
    EXPECT_EQ(sums.of, (std::map<std::string, std::uint64_t>{{"guest h7 ", 3},
                                                             {"service h7 ", 0},
                                                             {"guest h9 ", 0},
                                                             {"service h9 ", 3},
                                                             {"guest h11 ", 0},
                                                             {"service h11 ", 0},
                                                             {"guest  ", 4},
                                                             {"service  ", 0}}));
}

TEST(PeerPackets, OfMoreHostsThanThereIsRoomForAreNotLost) {
    PeerPackets packets;
    constexpr std::uint32_t hosts = 3 * PeerPackets::places;
    for (std::uint32_t host = 1; host <= hosts; ++host) ++packets.of(host).guest;
    Sums sums;
    packets.report("m", {}, sums);
    EXPECT_EQ(sums.of["guest  "], hosts);
}

}  // namespace
}  // namespace weir::overlay
