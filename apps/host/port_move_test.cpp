#include "apps/host/port_move.hpp"

#include <gtest/gtest.h>

#include "apps/host/move_queries.hpp"
#include "apps/host/queries.hpp"
#include "apps/host/testing/rig.hpp"
#include "model/json.hpp"

// A port moves from one shell to another; the test engine keeps its count of packets.
namespace weir::host {
namespace {

using model::Value;
using testing::frame;
using testing::number_of;
using testing::Rig;

struct Pair {
    Pair() {
        home.start();
        away.start();
        HostConfig here = Rig::config(1, {Rig::port("a"), Rig::port("b")});
        HostConfig there = Rig::config(1, {Rig::port("c"), Rig::port("d")});
        there.elsewhere = {Rig::port("a"), Rig::port("b")};
        EXPECT_TRUE(home.shell->apply(here).ok());
        EXPECT_TRUE(away.shell->apply(there).ok());
    }
    static Value ask(Rig& rig, const std::string& json) {
        return answer_query(*rig.shell, *model::parse_json(json));
    }
    static std::string error(Rig& rig, const std::string& json) {
        return ask(rig, json)["error"].as_text();
    }
    bool passes(Rig& rig, const std::string& from, const std::string& to, std::uint32_t number) {
        if (!rig.device(from).inject(frame(number))) return false;
        return testing::eventually([&] {
            const auto got = rig.device(to).collect();
            return got && number_of(*got) == number;
        });
    }
    // Everything up to the freeze.
    void begin() {
        const Value prepared =
            ask(away, R"({"what":"host-move-prepare","port":"a","from_host":1})");
        EXPECT_EQ(prepared["error"].as_text(), "");
        anchor = prepared["anchor"].as_uint();
        pass(false);
    }
    void pass(bool delta) {
        const Value saved = ask(home, std::string(R"({"what":"host-move-save","port":"a","begin":)"
                                                  R"(true,"delta":)") +
                                          (delta ? "true}" : "false}"));
        EXPECT_TRUE(saved["done"].as_bool()) << saved["error"].as_text();
        Value load = Value::object();
        load.set("what", "host-move-load");
        load.set("port", "a");
        load.set("blobs", saved["blobs"]);
        const Value loaded = ask(away, model::dump_json(load));
        EXPECT_EQ(loaded["flows"].as_uint(), saved["blobs"].items().size())
            << loaded["error"].as_text();
        Value learn = Value::object();
        learn.set("what", "host-move-handles");
        learn.set("port", "a");
        learn.set("handles", loaded["handles"]);
        EXPECT_EQ(ask(home, model::dump_json(learn))["error"].as_text(), "");
    }
    std::string state(Rig& rig, const std::string& port) {
        const Value answer = ask(rig, R"({"what":"host-ports"})");
        for (const Value& row : answer["rows"].items())
            if (row["name"].as_text() == port) return row["state"].as_text();
        return "not there";
    }

    Rig home{2}, away{1};
    std::uint64_t anchor = 0;
};

TEST(PortMoves, APortMovesAndItsOldHostForgetsIt) {
    Pair p;
    ASSERT_TRUE(p.passes(p.home, "a", "b", 1));
    p.begin();
    EXPECT_EQ(p.anchor & 0xffffff, 2u);
    EXPECT_EQ(p.state(p.away, "a"), "opened") << "not polled before it is there";
    ASSERT_TRUE(p.passes(p.home, "a", "b", 2)) << "it works on meanwhile";
    EXPECT_EQ(p.error(p.home, R"({"what":"host-move-freeze","port":"a"})"), "");
    EXPECT_EQ(p.state(p.home, "a"), "frozen");
    p.pass(true);
    EXPECT_EQ(p.error(p.away, R"({"what":"host-move-activate","port":"a"})"), "");
    EXPECT_EQ(p.error(p.home, R"({"what":"host-move-forward","port":"a","to_host":2,)"
                              R"("to_anchor":16777218,"stub_ms":60000})"),
              "");
    EXPECT_EQ(p.state(p.away, "a"), "running");
    EXPECT_EQ(p.state(p.home, "a"), "not there");
    // The snapshot says still that it is at home: nobody opens it there, or closes it here.
    ASSERT_TRUE(p.home.shell->apply(Rig::config(2, {Rig::port("a"), Rig::port("b")})).ok());
    ASSERT_TRUE(p.away.shell->apply(Rig::config(2, {Rig::port("c"), Rig::port("d")})).ok());
    EXPECT_EQ(p.state(p.home, "a"), "not there");
    EXPECT_EQ(p.state(p.away, "a"), "running");
    // … and then what is.
    ASSERT_TRUE(p.home.shell->apply(Rig::config(3, {Rig::port("b")})).ok());
    ASSERT_TRUE(p.away.shell
                    ->apply(Rig::config(3, {Rig::port("a"), Rig::port("c"), Rig::port("d")}))
                    .ok());
    EXPECT_EQ(p.state(p.away, "a"), "running");
    // The stub is no reason to keep an engine.
    EXPECT_TRUE(p.home.shell->swap_engine(TEST_ENGINE_NEXT).ok());
    // Back by hand: it counts.
    ASSERT_TRUE(p.home.shell->apply(Rig::config(4, {Rig::port("a"), Rig::port("b")})).ok());
    EXPECT_EQ(p.state(p.home, "a"), "running");
}

// A process that starts anew has an old snapshot: the port has left all the same.
TEST(PortMoves, AHostThatStartsAnewDoesNotTakeThePortBack) {
    for (const bool remembers : {true, false}) {
        Pair p;
        p.begin();
        EXPECT_EQ(p.error(p.home, R"({"what":"host-move-freeze","port":"a"})"), "");
        EXPECT_FALSE(p.home.shell->swap_engine(TEST_ENGINE_NEXT).ok()) << "it is on its way";
        p.pass(true);
        EXPECT_EQ(p.error(p.away, R"({"what":"host-move-activate","port":"a"})"), "");
        EXPECT_EQ(p.error(p.home, R"({"what":"host-move-forward","port":"a","to_host":2,)"
                                  R"("to_anchor":16777218,"stub_ms":60000})"),
                  "");
        p.home.shell.reset();
        HeapMemory nothing;
        if (remembers) p.home.memory.restart();
        else p.home.options.memory = &nothing;
        p.home.start();
        const HostConfig old = Rig::config(1, {Rig::port("a"), Rig::port("b")});
        ASSERT_TRUE(p.home.shell->apply(old).ok());
        EXPECT_EQ(p.state(p.home, "a"), remembers ? "not there" : "running");
        if (!remembers) {
            p.home.shell.reset();  // before its memory
            continue;
        }
        // It is believed to be elsewhere once a snapshot says so, and then again to be here.
        ASSERT_TRUE(p.home.shell->apply(Rig::config(2, {Rig::port("b")})).ok());
        p.home.shell.reset();
        p.home.memory.restart();
        p.home.start();
        ASSERT_TRUE(p.home.shell->apply(Rig::config(3, {Rig::port("a"), Rig::port("b")})).ok());
        EXPECT_EQ(p.state(p.home, "a"), "running");
        // When the time of the stub is over, nothing of it is left.
        p.home.shell->moves().look_around(monotonic_ns() + 61'000'000'000);
        std::uint32_t adoption = 0;
        void* table = p.home.memory.pool("shell.stubs", StubTable::bytes(),
                                         StubTable::layout_version, &adoption);
        EXPECT_TRUE(StubTable(table).all().empty());
    }
}

TEST(PortMoves, WhatIsUndoneLeavesEverythingAsItWas) {
    Pair p;
    p.begin();
    EXPECT_EQ(p.error(p.home, R"({"what":"host-move-freeze","port":"a"})"), "");
    ASSERT_TRUE(p.home.device("a").inject(frame(7)));
    EXPECT_EQ(p.error(p.home, R"({"what":"host-move-hold","port":"a"})"), "");
    EXPECT_EQ(p.error(p.home, R"({"what":"host-move-thaw","port":"a"})"), "");
    EXPECT_EQ(p.error(p.away, R"({"what":"host-move-abandon","port":"a"})"), "");
    EXPECT_TRUE(testing::eventually([&] {
        const auto got = p.home.device("b").collect();
        return got && number_of(*got) == 7;
    })) << "what waited goes on";
    EXPECT_EQ(p.state(p.away, "a"), "not there");
    EXPECT_FALSE(p.home.shell->moves().any());
    EXPECT_FALSE(p.away.shell->moves().any());
    EXPECT_NE(p.error(p.home, R"({"what":"host-move-hold","port":"a"})"), "");
}

TEST(PortMoves, WithoutAControllerBothGoBackByThemselves) {
    Pair p;
    p.begin();
    EXPECT_EQ(p.error(p.home, R"({"what":"host-move-freeze","port":"a"})"), "");
    std::vector<std::string> events;
    for (Rig* rig : {&p.home, &p.away})
        rig->shell->on_event([&](const std::string& json) {
            events.push_back((*model::parse_json(json))["event"].as_text());
        });
    p.home.shell->moves().look_around(monotonic_ns() + 11'000'000'000);
    p.away.shell->moves().look_around(monotonic_ns() + 11'000'000'000);
    EXPECT_EQ(p.state(p.home, "a"), "running");
    EXPECT_EQ(p.state(p.away, "a"), "opened") << "it has more patience";
    p.away.shell->moves().look_around(monotonic_ns() + 61'000'000'000);
    EXPECT_EQ(p.state(p.away, "a"), "not there");
    EXPECT_EQ(events, (std::vector<std::string>{"port.move_undone", "port.move_abandoned"}));
    EXPECT_TRUE(p.passes(p.home, "a", "b", 3));
}

// A move that comes to nothing before the freeze keeps no engine from being replaced.
TEST(PortMoves, WhatWasOnlyCopiedIsForgotten) {
    for (const bool is_told : {true, false}) {
        Pair p;
        p.begin();
        EXPECT_FALSE(p.home.shell->swap_engine(TEST_ENGINE_NEXT).ok());
        if (is_told) {
            EXPECT_EQ(p.error(p.home, R"({"what":"host-move-thaw","port":"a"})"), "");
        } else {
            p.home.shell->moves().look_around(monotonic_ns() + 59'000'000'000);
            EXPECT_TRUE(p.home.shell->moves().any());
            p.home.shell->moves().look_around(monotonic_ns() + 61'000'000'000);
        }
        EXPECT_FALSE(p.home.shell->moves().any());
        ASSERT_TRUE(p.passes(p.home, "a", "b", 5));
        EXPECT_TRUE(p.home.shell->swap_engine(TEST_ENGINE_NEXT).ok());
    }
}

// A controller that never heard that it had arrived has undone the move, and plans without it.
TEST(PortMoves, APortThatNobodyExpectsDoesNotStay) {
    Pair p;
    p.begin();
    EXPECT_EQ(p.error(p.away, R"({"what":"host-move-activate","port":"a"})"), "");
    p.away.shell->moves().look_around(monotonic_ns() + 120'000'000'000);
    EXPECT_EQ(p.state(p.away, "a"), "running") << "as long as nobody says so";
    HostConfig there = Rig::config(2, {Rig::port("c"), Rig::port("d")});
    there.elsewhere = {Rig::port("a")};
    ASSERT_TRUE(p.away.shell->apply(there).ok());
    p.away.shell->moves().look_around(monotonic_ns() + 120'000'000'000);
    EXPECT_EQ(p.state(p.away, "a"), "running") << "it is expected still";
    ASSERT_TRUE(p.away.shell->apply(Rig::config(3, {Rig::port("c"), Rig::port("d")})).ok());
    p.away.shell->moves().look_around(monotonic_ns() + 59'000'000'000);
    EXPECT_EQ(p.state(p.away, "a"), "running");
    p.away.shell->moves().look_around(monotonic_ns() + 61'000'000'000);
    EXPECT_EQ(p.state(p.away, "a"), "not there");
}

// The stub is over before any snapshot says that the port left: it is not taken back for that.
TEST(PortMoves, WhatLeftStaysAwayLongerThanItsStub) {
    Pair p;
    p.begin();
    EXPECT_EQ(p.error(p.home, R"({"what":"host-move-freeze","port":"a"})"), "");
    p.pass(true);
    EXPECT_EQ(p.error(p.away, R"({"what":"host-move-activate","port":"a"})"), "");
    EXPECT_EQ(p.error(p.home, R"({"what":"host-move-forward","port":"a","to_host":2,)"
                              R"("to_anchor":16777218,"stub_ms":30000})"),
              "");
    p.home.shell->moves().look_around(monotonic_ns() + 31'000'000'000);
    const auto apply = [&](std::uint64_t revision, std::vector<PortSpec> ports) {
        ASSERT_TRUE(p.home.shell->apply(Rig::config(revision, std::move(ports))).ok());
    };
    apply(2, {Rig::port("a"), Rig::port("b")});
    EXPECT_EQ(p.state(p.home, "a"), "not there");
    apply(3, {Rig::port("b")});
    p.home.shell->moves().look_around(monotonic_ns());
    apply(4, {Rig::port("a"), Rig::port("b")});
    EXPECT_EQ(p.state(p.home, "a"), "running");
}

TEST(PortMoves, StepsOutOfOrderAreRefused) {
    Pair p;
    const auto refused = [&](Rig& rig, const char* json) {
        EXPECT_NE(p.error(rig, json), "") << json;
    };
    refused(p.away, R"({"what":"host-move-prepare","port":"c","from_host":1})");
    refused(p.away, R"({"what":"host-move-prepare","port":"z","from_host":1})");
    refused(p.away, R"({"what":"host-move-load","port":"a","blobs":["AAAA"]})");
    refused(p.away, R"({"what":"host-move-activate","port":"a"})");
    refused(p.away, R"({"what":"host-move-abandon","port":"a"})");
    refused(p.home, R"({"what":"host-move-save","port":"a"})");
    refused(p.home, R"({"what":"host-move-save","port":"z","begin":true})");
    refused(p.home, R"({"what":"host-move-forward","port":"a","to_host":2})");
    refused(p.home, R"({"what":"host-move-nonsense","port":"a"})");
    p.begin();
    refused(p.away, R"({"what":"host-move-prepare","port":"a","from_host":1})");
    refused(p.away, R"({"what":"host-move-load","port":"a","blobs":["A"]})");
    refused(p.away, R"({"what":"host-move-load","port":"a","blobs":["AAAA"]})");
    refused(p.away, R"({"what":"host-move-save","port":"a","begin":true})");
    refused(p.home, R"({"what":"host-move-handles","port":"a","handles":"AAAA"})");
    EXPECT_EQ(p.state(p.home, "a"), "running");
}

}  // namespace
}  // namespace weir::host
