#include "apps/host/shell.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "apps/host/testing/rig.hpp"

namespace weir::host {
namespace {

using testing::eventually;
using testing::frame;
using testing::number_of;
using testing::Rig;

std::uint64_t dropped(Shell& shell, ShellDrop why) {
    std::uint64_t sum = 0;
    for (std::uint32_t w = 0; w < shell.workers().size(); ++w)
        sum += shell.workers().worker(w).tallies().drops[static_cast<std::size_t>(why)].get();
    return sum;
}

// Sends `count` numbered frames into one port and expects all of them, in order, out of the other.
void expect_passes(Rig& rig, const std::string& from, const std::string& to, std::uint32_t count) {
    std::uint32_t sent = 0, got = 0;
    const bool all = eventually([&] {
        while (sent < count && sent - got < 1000 && rig.device(from).inject(frame(sent))) ++sent;
        while (const auto f = rig.device(to).collect()) {
            EXPECT_EQ(number_of(*f), got);
            ++got;
        }
        return got == count;
    });
    EXPECT_TRUE(all) << got << " of " << count << " frames came out";
}

TEST(Shell, CarriesPacketsBetweenTwoPorts) {
    Rig rig(1);
    rig.start();
    ASSERT_TRUE(rig.shell->apply(Rig::config(1, {Rig::port("a"), Rig::port("b")})).ok());
    expect_passes(rig, "a", "b", 5000);
    expect_passes(rig, "b", "a", 5000);
}

TEST(Shell, PortsOfDifferentWorkersMeetThroughRings) {
    Rig rig(2);
    rig.start();
    ASSERT_TRUE(rig.shell->apply(Rig::config(1, {Rig::port("a"), Rig::port("b")})).ok());
    EXPECT_NE(rig.shell->ports().find("a")->polling_worker,
              rig.shell->ports().find("b")->polling_worker);
    expect_passes(rig, "a", "b", 20000);
    EXPECT_EQ(dropped(*rig.shell, ShellDrop::ring_full), 0u);
}

TEST(Shell, APortPassesNothingBeforeItIsRealised) {
    Rig rig(1, false);
    rig.start();
    ASSERT_TRUE(rig.shell->ports().add(Rig::port("a")).ok());
    ASSERT_TRUE(rig.device("a").inject(frame(1)));
    for (int i = 0; i < 100; ++i) EXPECT_EQ(rig.shell->workers().turn_all(1), 0u);
    ASSERT_TRUE(rig.shell->apply(Rig::config(1, {Rig::port("a"), Rig::port("b")})).ok());
    rig.shell->workers().turn_all(2);
    EXPECT_TRUE(rig.device("b").collect().has_value());
}

TEST(Shell, ARefusedChangeLeavesEverythingAsItWas) {
    Rig rig(1);
    rig.start();
    ASSERT_TRUE(rig.shell->apply(Rig::config(1, {Rig::port("a"), Rig::port("b")})).ok());
    const Status refused =
        rig.shell->apply(Rig::config(2, {Rig::port("a"), Rig::port("c")}, "refuse publish"));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().text(), "test-engine: bytes: asked to refuse");
    EXPECT_EQ(rig.shell->applied().revision, 1u);
    EXPECT_EQ(rig.shell->ports().find("c"), nullptr);
    expect_passes(rig, "a", "b", 100);
}

TEST(Shell, APortTheEngineRefusesIsNamedAndNotPolled) {
    Rig rig(1);
    rig.start();
    ASSERT_TRUE(rig.shell->apply(Rig::config(1, {Rig::port("a")}, "refuse attach")).ok());
    EXPECT_EQ(rig.shell->ports().find("a")->state, PortState::refused);
    EXPECT_NE(rig.shell->ports().find("a")->reason, "");
    ASSERT_TRUE(rig.shell->apply(Rig::config(2, {Rig::port("a")})).ok());
    EXPECT_EQ(rig.shell->ports().find("a")->state, PortState::running);
}

TEST(Shell, RemovedPortsLoseTheirDeviceAndTheirPlace) {
    Rig rig(2);
    rig.start();
    ASSERT_TRUE(rig.shell->apply(Rig::config(1, {Rig::port("a"), Rig::port("b")})).ok());
    const std::uint32_t index = rig.shell->ports().find("b")->index;
    const std::uint32_t incarnation = rig.shell->ports().find("b")->incarnation;
    ASSERT_TRUE(rig.shell->apply(Rig::config(2, {Rig::port("a")})).ok());
    EXPECT_EQ(rig.shell->ports().find("b"), nullptr);
    ASSERT_TRUE(rig.device("a").inject(frame(1)));
    EXPECT_TRUE(eventually([&] { return dropped(*rig.shell, ShellDrop::no_owner) == 1; }));
    ASSERT_TRUE(rig.shell->apply(Rig::config(3, {Rig::port("a"), Rig::port("c")})).ok());
    EXPECT_EQ(rig.shell->ports().find("c")->index, index);
    EXPECT_GT(rig.shell->ports().find("c")->incarnation, incarnation);
}

TEST(Shell, AChangedDeviceKeepsThePlace) {
    Rig rig(1);
    rig.start();
    ASSERT_TRUE(rig.shell->apply(Rig::config(1, {Rig::port("a"), Rig::port("b")})).ok());
    const std::uint32_t index = rig.shell->ports().find("b")->index;
    ASSERT_TRUE(rig.shell->apply(Rig::config(2, {Rig::port("a"), Rig::port("b", 9000)})).ok());
    EXPECT_EQ(rig.shell->ports().find("b")->index, index);
    EXPECT_EQ(rig.shell->ports().find("b")->device->mtu(), 9000u);
    expect_passes(rig, "a", "b", 100);
}

TEST(Shell, WaitsForADeviceThatIsNotThereYet) {
    Rig rig(1);
    rig.start();
    rig.missing["b"] = 1;
    ASSERT_TRUE(rig.shell->apply(Rig::config(1, {Rig::port("a"), Rig::port("b")})).ok());
    EXPECT_EQ(rig.shell->ports().find("b")->state, PortState::waiting);
    EXPECT_EQ(rig.shell->ports().find("b")->reason, "memory b: no such interface");
    ASSERT_TRUE(rig.device("a").inject(frame(1)));
    EXPECT_TRUE(eventually([&] { return dropped(*rig.shell, ShellDrop::not_realised) == 1; }));
    rig.missing.clear();
    rig.shell->ports().refresh();
    EXPECT_EQ(rig.shell->ports().find("b")->state, PortState::running);
    expect_passes(rig, "a", "b", 100);
}

TEST(Shell, ADeviceThatVanishesIsAStateAndComesBack) {
    Rig rig(1);
    rig.start();
    ASSERT_TRUE(rig.shell->apply(Rig::config(1, {Rig::port("a"), Rig::port("b")})).ok());
    rig.device("b").set_link(false);
    rig.shell->ports().refresh();
    EXPECT_EQ(rig.shell->ports().find("b")->link, dataplane::DeviceState::link_down);
    rig.device("b").set_link(true);
    rig.device("b").remove();
    rig.missing["b"] = 1;
    rig.shell->ports().refresh();
    EXPECT_EQ(rig.shell->ports().find("b")->state, PortState::gone);
    rig.shell->ports().refresh();
    EXPECT_EQ(rig.shell->ports().find("b")->state, PortState::gone);
    rig.missing.clear();
    rig.shell->ports().refresh();
    EXPECT_EQ(rig.shell->ports().find("b")->state, PortState::running);
    expect_passes(rig, "a", "b", 100);
}

TEST(Shell, AFullDeviceQueueIsCounted) {
    Rig rig(1, false);
    rig.start();
    ASSERT_TRUE(rig.shell->apply(Rig::config(1, {Rig::port("a"), Rig::port("b")})).ok());
    const std::uint32_t limit = ports::MemoryDevice::queue_limit;
    for (std::uint32_t i = 0; i < limit + 5; ++i) {
        ASSERT_TRUE(rig.device("a").inject(frame(i)));
        rig.shell->workers().turn_all(1);
    }
    EXPECT_EQ(dropped(*rig.shell, ShellDrop::tx_full), 5u);
}

TEST(Shell, PortsKeepTheirIndexOverARestart) {
    Rig rig(1);
    rig.start();
    ASSERT_TRUE(
        rig.shell->apply(Rig::config(1, {Rig::port("x"), Rig::port("a"), Rig::port("b")})).ok());
    ASSERT_TRUE(rig.shell->apply(Rig::config(2, {Rig::port("a"), Rig::port("b")})).ok());
    const std::uint32_t a = rig.shell->ports().find("a")->index;
    const std::uint32_t instance = rig.shell->engines().front()->instance();
    rig.shell.reset();
    rig.memory.restart();
    rig.start();
    ASSERT_TRUE(rig.shell->apply(Rig::config(2, {Rig::port("b"), Rig::port("a")})).ok());
    EXPECT_EQ(rig.shell->ports().find("a")->index, a);
    EXPECT_GT(rig.shell->engines().front()->instance(), instance);
}

TEST(Shell, EngineEventsReachTheHandler) {
    EventQueue queue;
    std::string out;
    EXPECT_FALSE(queue.pop(out));
    for (std::size_t i = 0; i < EventQueue::capacity; ++i) ASSERT_TRUE(queue.push("{}", 2));
    EXPECT_FALSE(queue.push("{}", 2));
    EXPECT_EQ(queue.lost(), 1u);
    std::size_t got = 0;
    while (queue.pop(out)) ++got;
    EXPECT_EQ(got, EventQueue::capacity);
    EXPECT_TRUE(queue.push("x", 1));
    ASSERT_TRUE(queue.pop(out));
    EXPECT_EQ(out, "x");
}

}  // namespace
}  // namespace weir::host
