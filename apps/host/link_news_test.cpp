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
    std::vector<std::string> look(std::uint64_t at_s) {
        std::vector<std::string> out;
        news_.look(rig_.shell->ports().all(), at_s * 1'000'000'000,
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
    EXPECT_EQ(look(132), Lines{R"({"event":"port-link","port":"b","up":true})"});
    EXPECT_EQ(look(161), Lines{R"({"event":"port-link","port":"b","up":true,"again":true})"});
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
