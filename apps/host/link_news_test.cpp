#include "apps/host/link_news.hpp"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "apps/host/testing/rig.hpp"

namespace weir::host {
namespace {

using testing::Rig;

class LinkNewsTest : public ::testing::Test {
protected:
    void SetUp() override {
        rig_.start();
        ASSERT_TRUE(rig_.shell->apply(Rig::config(1, {Rig::port("a"), Rig::port("b")})).ok());
    }
    std::vector<std::string> look(std::uint64_t at_s) { return look_at(at_s * 1000); }
    std::vector<std::string> look_at(std::uint64_t at_ms) {
        std::vector<std::string> out;
        news_.look(rig_.shell->ports().all(), at_ms * 1'000'000,
                   [&](const std::string& json) { out.push_back(json); });
        return out;
    }
    HostPort& port(const char* name) { return *rig_.shell->ports().find(name); }
    using Lines = std::vector<std::string>;

    Rig rig_{1, false};
    LinkNews news_;
};

TEST_F(LinkNewsTest, WhatIsUpFromTheStartIsNoNewsAndSaidOnce) {
    EXPECT_EQ(look(100), (Lines{R"({"event":"port-link","port":"a","up":true,"again":true})",
                                R"({"event":"port-link","port":"b","up":true,"again":true})"}));
    EXPECT_EQ(look(101), Lines{});
    EXPECT_EQ(look(1000), Lines{});
}

TEST_F(LinkNewsTest, ALinkThatGoesAndComesIsToldAndSaidAgain) {
    look(100);
    port("b").link = dataplane::DeviceState::link_down;
    EXPECT_EQ(look(101), Lines{R"({"event":"port-link","port":"b","up":false})"});
    EXPECT_EQ(look(102), Lines{});
    EXPECT_EQ(look(131), Lines{R"({"event":"port-link","port":"b","up":false,"again":true})"});
    port("b").link = dataplane::DeviceState::up;
    EXPECT_EQ(look(132), Lines{}) << "it may not hold";
    EXPECT_EQ(look(134), Lines{R"({"event":"port-link","port":"b","up":true})"});
    EXPECT_EQ(look(161), Lines{R"({"event":"port-link","port":"b","up":true,"again":true})"});
}

// Each word is a revision for every host.
TEST_F(LinkNewsTest, ALinkThatFlapsIsDownUntilItHolds) {
    const auto tell_of = [&](std::uint64_t from_s, std::uint64_t to_s) {
        std::size_t words = 0;
        for (std::uint64_t ms = from_s * 1000; ms < to_s * 1000; ms += 50) {
            port("b").link = ms / 500 % 2 == 0 ? dataplane::DeviceState::link_down
                                               : dataplane::DeviceState::up;
            words += look_at(ms).size();
        }
        return words;
    };
    look(100);
    EXPECT_EQ(tell_of(101, 130), 1u) << "down";
    port("b").link = dataplane::DeviceState::up;
    EXPECT_EQ(look_at(130'900),
              Lines{R"({"event":"port-link","port":"b","up":false,"again":true})"});
    EXPECT_EQ(look_at(131'400), Lines{});
    EXPECT_EQ(look_at(131'600), Lines{R"({"event":"port-link","port":"b","up":true})"});
    // It fails soon again: from now on it must hold for 4 s.
    port("b").link = dataplane::DeviceState::link_down;
    EXPECT_EQ(look_at(132'000), Lines{}) << "a word a second";
    EXPECT_EQ(look_at(132'600), Lines{R"({"event":"port-link","port":"b","up":false})"});
    port("b").link = dataplane::DeviceState::up;
    EXPECT_EQ(look_at(133'000), Lines{});
    EXPECT_EQ(look_at(136'900), Lines{});
    EXPECT_EQ(look_at(137'000), Lines{R"({"event":"port-link","port":"b","up":true})"});
}

TEST_F(LinkNewsTest, ALinkThatIsBackBeforeItsTurnWasNeverAway) {
    look(100);
    port("b").link = dataplane::DeviceState::link_down;
    look(101);
    port("b").link = dataplane::DeviceState::up;
    look(102);
    EXPECT_EQ(look(104).size(), 1u) << "up";
    port("b").link = dataplane::DeviceState::link_down;
    EXPECT_EQ(look_at(104'500), Lines{});
    port("b").link = dataplane::DeviceState::up;
    EXPECT_EQ(look_at(104'900), Lines{});
    EXPECT_EQ(look(110), Lines{}) << "the last word stands";
}

TEST_F(LinkNewsTest, ServicePortsAreToldAgainWhateverTheyAre) {
    port("b").spec.is_service = true;
    look(100);
    EXPECT_EQ(look(129), Lines{});
    EXPECT_EQ(look(130), Lines{R"({"event":"port-link","port":"b","up":true,"again":true})"});
}

TEST_F(LinkNewsTest, APortThatMovedHereIsSpokenOf) {
    port("a").place = weir_port_arrived;
    port("a").link = dataplane::DeviceState::link_down;
    EXPECT_EQ(look(100), (Lines{R"({"event":"port-link","port":"a","up":false})",
                                R"({"event":"port-link","port":"b","up":true,"again":true})"}));
    port("a").link = dataplane::DeviceState::up;
    EXPECT_EQ(look(102), Lines{R"({"event":"port-link","port":"a","up":true})"})
        << "it was never up: nothing flaps";
}

TEST_F(LinkNewsTest, APortWithoutDeviceIsNotUpAndOneThatArrivesIsNotHere) {
    port("a").device = nullptr;
    port("b").place = weir_port_arriving;
    EXPECT_EQ(look(100), Lines{R"({"event":"port-link","port":"a","up":false})"});
    port("b").place = weir_port_configured;
    EXPECT_EQ(look(101), Lines{R"({"event":"port-link","port":"b","up":true,"again":true})"});
}

TEST(UnderlayNews, AnUnderlayThatIsTooSmallIsToldOnce) {
    Rig rig{1, false};
    rig.start();
    const auto config = Rig::config(1, {Rig::port("underlay", 1500), Rig::port("a", 1500)});
    ASSERT_TRUE(rig.shell->apply(config).ok());
    LinkNews news;
    std::vector<std::string> told;
    const auto look = [&](std::uint32_t largest) {
        rig.shell->ports().find("a")->spec.device.mtu = largest;
        told.clear();
        news.look(rig.shell->ports().all(), 0, [&](const std::string& json) {
            if (json.find("mtu") != std::string::npos) told.push_back(json);
        });
        return told;
    };
    using Lines = std::vector<std::string>;
    EXPECT_EQ(look(1300), Lines{});
    EXPECT_EQ(look(1500), Lines{R"({"event":"mtu-too-small","mtu":1500,"needed":1700})"});
    EXPECT_EQ(look(1500), Lines{});
    EXPECT_EQ(look(1300), Lines{});
    EXPECT_EQ(look(1400), Lines{R"({"event":"mtu-too-small","mtu":1500,"needed":1600})"});
}

}  // namespace
}  // namespace weir::host
