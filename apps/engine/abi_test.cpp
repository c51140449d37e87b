#include "apps/engine/abi.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "apps/engine/testing/memory_shell.hpp"
#include "flow/record.hpp"
#include "model/json.hpp"
#include "net/bytes.hpp"

// Who owns a port's records, seen through the C ABI: two engines over the same pools.
namespace weir::engine {
namespace {

using testing::HasSubstr;

weir_sink into(std::string& text) {
    text.clear();
    return {&text, [](void* context, const char* bytes, std::size_t count) {
                static_cast<std::string*>(context)->append(bytes, count);
                return true;
            }};
}

class Abi : public testing::Test {
protected:
    using Metrics = std::multiset<std::string>;
    Abi() {
        first = api.create(&shell.vtable, "h1", 1, into(why));
        second = api.create(&shell.vtable, "h1", 2, into(why));
    }
    ~Abi() override {
        api.destroy(first);
        api.destroy(second);
    }

    std::string saved_by(weir_engine* engine, std::uint32_t index) {
        std::string saved;
        std::string error;
        EXPECT_TRUE(api.save(engine, index, true, false, into(saved), into(error))) << error;
        return saved;
    }
    bool restore(weir_engine* engine, std::uint32_t index, const std::string& bytes) {
        return api.restore(engine, index, true, bytes.data(), bytes.size(), into(why));
    }

    Metrics metrics_of(weir_engine* engine, const std::string& question) {
        std::string answer;
        api.worker_query(engine, 0, question.data(), question.size(), 1, into(answer));
        const auto read = model::parse_json(answer);
        Metrics metrics;
        for (const model::Value& row : (*read)["rows"].items())
            metrics.insert(row["metric"].as_text());
        return metrics;
    }

    const weir_engine_api api = engine_api("test", "0");
    MemoryShell shell;
    std::string why;
    weir_engine* first = nullptr;
    weir_engine* second = nullptr;
    const weir_port_info g1 = MemoryShell::port(3, "g1");
};

TEST_F(Abi, APortWhoseRecordsAreAnothersIsAttachedOnlyAfterRestore) {
    ASSERT_NE(api.attach(first, &g1, into(why)), 0u) << why;
    ASSERT_NE(api.introduce(second, &g1, into(why)), 0u) << why;
    EXPECT_EQ(api.attach(second, &g1, into(why)), 0u);
    EXPECT_THAT(why, HasSubstr("\"object\":\"port g1\""));
    EXPECT_THAT(why, HasSubstr("belong to engine 1; save and restore first"));

    ASSERT_NE(api.quiesce(first, g1.index), 0u);
    ASSERT_TRUE(restore(second, g1.index, saved_by(first, g1.index))) << why;
    EXPECT_NE(api.attach(second, &g1, into(why)), 0u) << why;
    // The way back is the same one.
    EXPECT_EQ(api.attach(first, &g1, into(why)), 0u);
    EXPECT_THAT(why, HasSubstr("belong to engine 2"));
    ASSERT_NE(api.quiesce(second, g1.index), 0u);
    ASSERT_TRUE(restore(first, g1.index, saved_by(second, g1.index))) << why;
    EXPECT_NE(api.attach(first, &g1, into(why)), 0u) << why;
}

TEST_F(Abi, RestoreRefusesWhatIsNotThePorts) {
    ASSERT_NE(api.attach(first, &g1, into(why)), 0u) << why;
    const weir_port_info g2 = MemoryShell::port(4, "g2");
    ASSERT_NE(api.attach(first, &g2, into(why)), 0u) << why;
    ASSERT_NE(api.introduce(second, &g1, into(why)), 0u) << why;
    const std::string saved = saved_by(first, g1.index);

    EXPECT_FALSE(restore(second, g1.index, saved.substr(1)));
    EXPECT_THAT(why, HasSubstr("must be 8 bytes"));
    EXPECT_FALSE(restore(second, g1.index, saved + "x"));
    EXPECT_FALSE(restore(second, g1.index, ""));

    std::string other_layout = saved;
    net::store32(reinterpret_cast<std::uint8_t*>(other_layout.data()),
                 flow::record_layout_version + 1);
    EXPECT_FALSE(restore(second, g1.index, other_layout));
    EXPECT_THAT(why, HasSubstr("saved.layout"));

    EXPECT_FALSE(restore(second, g1.index, saved_by(first, g2.index)));
    EXPECT_THAT(why, HasSubstr("saved.scope"));
    EXPECT_FALSE(api.restore(second, g1.index, false, saved.data(), saved.size(), into(why)));
    EXPECT_THAT(why, HasSubstr("no port's state"));
    EXPECT_EQ(api.attach(second, &g1, into(why)), 0u) << "none of it may have changed hands";
}

TEST_F(Abi, PortsThatNobodyIntroducedAreUnknown) {
    std::string saved;
    EXPECT_FALSE(api.save(first, 9, true, false, into(saved), into(why)));
    EXPECT_THAT(why, HasSubstr("no such port"));
    EXPECT_FALSE(restore(first, 9, std::string(8, '\0')));
    EXPECT_THAT(why, HasSubstr("no such port"));
    EXPECT_EQ(api.quiesce(first, 9), 0u);
    EXPECT_EQ(api.detach(first, 9), 0u);
    EXPECT_FALSE(api.save(first, ~0u, true, false, into(saved), into(why)));
}

// Who looks often at one metric need not be told all others.
TEST_F(Abi, CountersOfOneMetricComeAlone) {
    const Metrics all = metrics_of(first, R"({"what":"counters"})");
    const Metrics limits =
        metrics_of(first, R"({"what":"counters","metric":"weir_limit_hits_total"})");
    EXPECT_GE(limits.size(), 10u);
    EXPECT_EQ(limits.count("weir_limit_hits_total"), limits.size());
    EXPECT_EQ(all.count("weir_limit_hits_total"), limits.size());
    EXPECT_GT(all.size(), limits.size());
}

// While two engines are loaded, one of them tells of the memory that both have.
TEST_F(Abi, CountersOfSharedMemoryAreLeftOutForWhoDoesNotWantThem) {
    const Metrics all = metrics_of(first, R"({"what":"counters"})");
    const Metrics own = metrics_of(second, R"({"what":"counters","without_shared":true})");
    for (const char* shared :
         {"weir_failed_paths", "weir_failed_paths_generation", "weir_flows", "weir_flows_by_kind",
          "weir_flows_inserted_total", "weir_orders_standing", "weir_orders_generation"}) {
        EXPECT_GT(all.count(shared), 0u) << shared;
        EXPECT_EQ(own.count(shared), 0u) << shared;
    }
    for (const char* each : {"weir_insertion_fragmented_total", "weir_flows_adopted_total"})
        EXPECT_EQ(own.count(each), 1u) << each;
}

TEST_F(Abi, AnotherVersionOfTheSeamIsRefused) {
    weir_host_vtable old = shell.vtable;
    old.abi_version = weir_abi_version - 1;
    EXPECT_EQ(api.create(&old, "h1", 3, into(why)), nullptr);
    EXPECT_THAT(why, HasSubstr("abi_version"));
}

}  // namespace
}  // namespace weir::engine
