// The TCP packets of the generator in the eyes of Weir's own connection tracking.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/gen/sink.hpp"
#include "bench/gen/source.hpp"
#include "flow/tcp.hpp"
#include "net/bytes.hpp"

namespace weir::gen {
namespace {

// Tracks every connection between the two sides and lets pass what tracking passes.
class Firewall {
public:
    explicit Firewall(const std::string& words) {
        const Result<Settings> settings = parse_settings("page=none " + words);
        EXPECT_TRUE(settings.ok());
        for (unsigned i = 0; i < 2; ++i) {
            source_[i] = std::make_unique<Source>(*settings, i, *page, *common_);
            sink_[i] = std::make_unique<Sink>(*settings, i, *page, common_->dues[i ^ 1]);
        }
        page->command.set(static_cast<std::uint64_t>(Command::run));
    }
    void turn(unsigned side) {
        const std::uint32_t due = source_[side]->offer(32);
        std::vector<std::array<std::uint8_t, 192>> frames(due);
        std::vector<std::uint32_t> lengths;
        for (auto& frame : frames) lengths.push_back(source_[side]->write(frame.data()));
        source_[side]->end();
        sink_[side ^ 1]->begin();
        for (std::size_t i = 0; i < due; ++i)
            if (passes(frames[i].data(), side))
                sink_[side ^ 1]->check(frames[i].data(), lengths[i]);
        sink_[side ^ 1]->end();
    }
    std::uint64_t refused = 0, moved = 0;
    std::unique_ptr<Page> page = std::make_unique<Page>();

private:
    bool passes(const std::uint8_t* frame, unsigned side) {
        const std::uint32_t bytes = net::load16(frame + 16) - 20u;
        flow::TcpSegment segment;
        EXPECT_TRUE(flow::read_tcp(frame + 34, bytes, segment));
        const std::uint32_t client = side == 0 ? frame[29] : frame[33];
        const std::uint32_t port = net::load16(frame + 34 + 2 * side);
        auto& pair = pairs_[client << 16 | port];
        if (!pair) pair = std::make_unique<flow::FlowPair>();
        const auto direction = static_cast<std::uint8_t>(side);
        const std::uint32_t before = pair->hot[direction].sequence_end;
        const flow::TcpResult result = flow::track(*pair, direction, segment);
        moved += pair->hot[direction].sequence_end != before;
        refused += !result.pass() || !result.listed;
        return result.pass();
    }
    std::unique_ptr<Common> common_ = std::make_unique<Common>();
    std::unique_ptr<Source> source_[2];
    std::unique_ptr<Sink> sink_[2];
    std::map<std::uint32_t, std::unique_ptr<flow::FlowPair>> pairs_;
};

// 40 rounds of 1000 connections; every packet carries data that moves the window.
TEST(Firewall, BelievesEstablishedConnectionsForEver) {
    Firewall firewall("work=tcp flows=1000");
    for (int i = 0; i < 1500; ++i)
        for (unsigned side : {0u, 1u}) firewall.turn(side);
    const std::uint64_t steady = firewall.page->side[1].came.get() - 2000;
    EXPECT_GT(steady, 40'000u);
    EXPECT_EQ(firewall.refused, 0u);
    EXPECT_GT(firewall.moved, 2 * steady * 9 / 10);
}

// A device that asks one port more often than the other.
TEST(Firewall, BelievesThemWhenTheSidesTakeUnequalTurns) {
    Firewall firewall("work=tcp flows=500");
    for (int i = 0; i < 4000; ++i) firewall.turn(i % 5 == 0 ? 1 : 0);
    EXPECT_GT(firewall.page->side[1].came.get(), 20'000u);
    EXPECT_EQ(firewall.refused, 0u);
}

TEST(Firewall, BelievesWholeConnections) {
    Firewall firewall("work=full_tcp");
    for (int i = 0; i < 2000; ++i)
        for (unsigned side : {0u, 1u}) firewall.turn(side);
    EXPECT_GT(firewall.page->side[0].finished.get(), 4000u);
    EXPECT_EQ(firewall.refused, 0u);
}

}  // namespace
}  // namespace weir::gen
