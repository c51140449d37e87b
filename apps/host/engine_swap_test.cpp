#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "apps/host/shell.hpp"
#include "apps/host/testing/rig.hpp"
#include "model/json.hpp"

namespace weir::host {
namespace {

using testing::eventually;
using testing::frame;
using testing::number_of;
using testing::Rig;

// Frames running both ways between two ports, all the time, until stop().
class Traffic {
public:
    Traffic(Rig& rig, std::string a, std::string b)
        : rig_(rig), a_(std::move(a)), b_(std::move(b)) {
        thread_ = std::thread([this] { run(); });
    }
    ~Traffic() { stop(); }
    // Lets everything under way arrive; true when nothing was lost or changed its order.
    bool stop() {
        stopping_ = true;
        if (thread_.joinable()) thread_.join();
        return in_order_ && sent_ == got_;
    }
    std::uint64_t got() const { return got_; }

private:
    void run() {
        std::uint32_t next[2] = {0, 0}, expected[2] = {0, 0};
        ports::MemoryDevice* ends[2] = {&rig_.device(a_), &rig_.device(b_)};
        eventually([&] {
            for (int way = 0; way < 2; ++way) {
                const bool room = next[way] - expected[way] < 500;
                if (!stopping_ && room && ends[way]->inject(frame(next[way]))) {
                    ++next[way];
                    ++sent_;
                }
                while (const auto f = ends[1 - way]->collect()) {
                    if (number_of(*f) != expected[way]++) in_order_ = false;
                    ++got_;
                }
            }
            return stopping_ && sent_ == got_;
        });
    }

    Rig& rig_;
    const std::string a_, b_;
    std::atomic<bool> stopping_{false}, in_order_{true};
    std::atomic<std::uint64_t> sent_{0}, got_{0};
    std::thread thread_;
};

std::uint64_t engine_revision(LoadedEngine& engine) {
    TextSink answer;
    engine.api().query(engine.handle(), "{}", 2, answer.sink());
    return (*model::parse_json(answer.text()))["revision"].as_uint();
}

void swap_under_traffic(std::uint32_t workers) {
    Rig rig(workers);
    rig.start();
    std::vector<std::string> events;
    rig.shell->on_event([&](const std::string& json) { events.push_back(json); });
    ASSERT_TRUE(rig.shell
                    ->apply(Rig::config(
                        7, {Rig::port("a"), Rig::port("b"), Rig::port("c"), Rig::port("d")}))
                    .ok());
    Traffic one(rig, "a", "b"), two(rig, "c", "d");
    ASSERT_TRUE(eventually([&] { return one.got() > 1000 && two.got() > 1000; }));

    const Status swapped = rig.shell->swap_engine(TEST_ENGINE_NEXT);
    ASSERT_TRUE(swapped.ok()) << swapped.error().text();
    const std::uint64_t then = one.got();
    ASSERT_TRUE(eventually([&] { return one.got() > then + 1000; }));

    EXPECT_TRUE(one.stop()) << "packets were lost or overtook each other";
    EXPECT_TRUE(two.stop());
    ASSERT_EQ(rig.shell->engines().size(), 1u);
    EXPECT_EQ(rig.shell->engines().front()->build_id(), "two");
    EXPECT_EQ(engine_revision(*rig.shell->engines().front()), 7u);
    EXPECT_EQ(events.size(), 4u);
    for (const auto& [name, port] : rig.shell->ports().all())
        EXPECT_EQ(port.state, PortState::running) << name;
}

TEST(EngineSwap, LosesNothingOnOneWorker) {
    swap_under_traffic(1);
}
TEST(EngineSwap, LosesNothingOnTwoWorkers) {
    swap_under_traffic(2);
}

TEST(EngineSwap, AnEngineThatRefusesTheSnapshotChangesNothing) {
    Rig rig(2);
    rig.start();
    ASSERT_TRUE(rig.shell->apply(Rig::config(1, {Rig::port("a"), Rig::port("b")})).ok());
    const Status swapped = rig.shell->swap_engine(TEST_ENGINE_FOREIGN);
    ASSERT_FALSE(swapped.ok());
    EXPECT_EQ(swapped.error().field, "abi_version");
    EXPECT_EQ(rig.shell->engines().front()->build_id(), "one");
}

TEST(EngineSwap, AFailedSaveLeavesThePortWhereItWas) {
    Rig rig(2);
    rig.start();
    ASSERT_TRUE(
        rig.shell->apply(Rig::config(1, {Rig::port("a"), Rig::port("b")}, "refuse save of b"))
            .ok());
    Traffic traffic(rig, "a", "b");
    ASSERT_TRUE(eventually([&] { return traffic.got() > 100; }));
    const Status swapped = rig.shell->swap_engine(TEST_ENGINE_NEXT);
    ASSERT_FALSE(swapped.ok());
    EXPECT_EQ(swapped.error().field, "save");
    ASSERT_EQ(rig.shell->engines().size(), 1u);
    EXPECT_EQ(rig.shell->engines().front()->build_id(), "one");
    const std::uint64_t then = traffic.got();
    ASSERT_TRUE(eventually([&] { return traffic.got() > then + 100; }));
    EXPECT_TRUE(traffic.stop());
    for (const auto& [name, port] : rig.shell->ports().all())
        EXPECT_EQ(port.state, PortState::running) << name;
}

TEST(EngineSwap, CanBeDoneManyTimes) {
    Rig rig(2);
    rig.start();
    ASSERT_TRUE(rig.shell->apply(Rig::config(1, {Rig::port("a"), Rig::port("b")})).ok());
    Traffic traffic(rig, "a", "b");
    for (int round = 0; round < 10; ++round)
        ASSERT_TRUE(rig.shell->swap_engine(round % 2 == 0 ? TEST_ENGINE_NEXT : TEST_ENGINE).ok());
    EXPECT_TRUE(traffic.stop());
}

}  // namespace
}  // namespace weir::host
