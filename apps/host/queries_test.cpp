#include "apps/host/queries.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "apps/host/doctor.hpp"
#include "apps/host/local_server.hpp"
#include "apps/host/metrics_page.hpp"
#include "apps/host/testing/rig.hpp"
#include "model/json.hpp"

namespace weir::host {
namespace {

using model::Value;
using testing::frame;
using testing::Rig;

class Queries : public ::testing::Test {
protected:
    void SetUp() override {
        rig_.start();
        ASSERT_TRUE(rig_.shell->apply(Rig::config(5, {Rig::port("a"), Rig::port("b")})).ok());
    }
    Value ask(const std::string& json) {
        return answer_query(*rig_.shell, *model::parse_json(json));
    }
    void pass(std::uint32_t count) {
        for (std::uint32_t i = 0; i < count; ++i) {
            ASSERT_TRUE(rig_.device("a").inject(frame(i)));
            rig_.shell->workers().turn_all(1);
            rig_.shell->workers().turn_all(1);
            ASSERT_TRUE(rig_.device("b").collect().has_value());
        }
    }
    // The value of the one row of that metric whose labels contain `label`=`text`.
    std::uint64_t counter(const std::string& metric, const char* label, const std::string& text) {
        const Value answer = ask(R"({"what":"counters"})");
        for (const Value& row : answer["rows"].items())
            if (row["metric"].as_text() == metric && row["labels"][label].as_text() == text)
                return row["value"].as_uint();
        ADD_FAILURE() << "no " << metric << " of " << text;
        return 0;
    }
    Rig rig_{2, false};
};

TEST_F(Queries, CountersAreSummedOverWorkers) {
    pass(10);
    EXPECT_EQ(counter("test_packets_total", "port", "0"), 10u);
    EXPECT_EQ(counter("weir_port_packets_total", "port", "a"), 10u);
    const Value answer = ask(R"({"what":"counters"})");
    const auto rows = answer["rows"].items();
    const auto of_port_0 = std::count_if(rows.begin(), rows.end(), [](const Value& row) {
        return row["metric"].as_text() == "test_packets_total" &&
               row["labels"]["port"].as_text() == "0";
    });
    EXPECT_EQ(of_port_0, 1) << "rows of equal labels are one row";
}

// They stand in what was compiled: no worker is kept from its packets.
TEST_F(Queries, WorkersAreNotAskedForFiles) {
    EXPECT_GT(ask(R"({"what":"whatever"})")["rows"].size(), 0u) << "they answer everything";
    const Value answer = ask(R"({"what":"files"})");
    EXPECT_EQ(answer.find("error"), nullptr);
    EXPECT_EQ(answer["rows"].size(), 0u);
}

TEST_F(Queries, LimitsAreSummedOverWorkers) {
    pass(10);
    using Hits = std::map<std::string, std::uint64_t>;
    EXPECT_EQ(limit_hits(*rig_.shell), (Hits{{"tests", 10}}));
}

TEST_F(Queries, DropsOfDevicesAndShellHaveNames) {
    ASSERT_TRUE(rig_.device("a").inject(frame(1, 1600)));
    rig_.shell->workers().turn_all(1);
    EXPECT_EQ(counter("weir_drops_total", "reason", "port.too_long"), 1u);
    EXPECT_EQ(counter("weir_port_drops_total", "reason", "port.too_long"), 1u);
    EXPECT_EQ(counter("weir_drops_total", "reason", "worker.ring_full"), 0u);
}

TEST_F(Queries, PortsWorkersAndEnginesDescribeThemselves) {
    pass(3);
    const Value ports = ask(R"({"what":"host-ports"})");
    ASSERT_EQ(ports["rows"].size(), 2u);
    const Value& a = ports["rows"].items()[0];
    EXPECT_EQ(a["name"].as_text(), "a");
    EXPECT_EQ(a["state"].as_text(), "running");
    EXPECT_EQ(a["link"].as_text(), "up");
    EXPECT_EQ(a["rx_packets"].as_uint(), 3u);
    EXPECT_EQ(ask(R"({"what":"host-workers"})")["rows"].size(), 2u);
    const Value engines = ask(R"({"what":"host-engines"})");
    EXPECT_EQ(engines["rows"].items()[0]["build_id"].as_text(), "one");
    EXPECT_EQ(engines["rows"].items()[0]["ports"].as_uint(), 2u);
    EXPECT_EQ(engines["rows"].items()[0]["revision"].as_uint(), 5u);
}

TEST_F(Queries, TheEngineIsSwappedByAQuestion) {
    pass(3);
    const Value after =
        ask(std::string(R"({"what":"host-swap-engine","path":")") + TEST_ENGINE_NEXT + "\"}");
    ASSERT_EQ(after["rows"].size(), 1u) << model::dump_json(after);
    EXPECT_EQ(after["rows"].items()[0]["build_id"].as_text(), "two");
    pass(3);
    EXPECT_EQ(counter("test_packets_total", "port", "0"), 6u);
    EXPECT_NE(ask(R"({"what":"host-swap-engine"})").find("error"), nullptr);
    EXPECT_NE(ask(R"({"what":"host-swap-engine","path":"/none"})").find("error"), nullptr);
}

// A swap that can neither go on nor back.
TEST_F(Queries, WhatTwoEnginesShareIsCountedOnce) {
    pass(3);
    const HostConfig config = Rig::config(6, {Rig::port("a"), Rig::port("b")}, "keep both engines");
    ASSERT_TRUE(rig_.shell->apply(config).ok());
    ASSERT_FALSE(rig_.shell->swap_engine(TEST_ENGINE_NEXT).ok());
    ASSERT_EQ(rig_.shell->engines().size(), 2u);
    EXPECT_EQ(counter("test_packets_total", "port", "0"), 3u);
    EXPECT_EQ(limit_hits(*rig_.shell).at("tests"), 3u);
}

TEST_F(Queries, BadQuestionsAreErrorsWithWords) {
    for (const char* bad : {"[]", "{}", R"({"what":7})", R"({"what":"host-nonsense"})",
                            R"({"what":"trace","port":"nowhere"})"})
        EXPECT_NE(ask(bad)["error"].as_text(), "") << bad;
}

TEST_F(Queries, MetricsAreAPageOfText) {
    pass(2);
    const std::string page = metrics_page(ask(R"({"what":"counters"})"));
    EXPECT_NE(page.find("# TYPE weir_port_packets_total counter\n"), std::string::npos);
    EXPECT_NE(page.find("# TYPE weir_applied_revision gauge\n"), std::string::npos);
    EXPECT_NE(page.find("weir_applied_revision 5\n"), std::string::npos);
    EXPECT_NE(page.find(R"(weir_port_packets_total{direction="rx",port="a"} 2)"), std::string::npos)
        << page;
}

TEST(MetricsPage, TimesAreSecondsAndLatenciesHistograms) {
    const auto counters = model::parse_json(R"({"rows":[
        {"metric":"weir_worker_busy_ns_total","labels":{"worker":"0"},"value":1500000000},
        {"metric":"weir_service_node_latency_microseconds_bucket",
         "labels":{"le":"+Inf","node":"n1"},"value":7},
        {"metric":"weir_service_node_latency_microseconds_bucket",
         "labels":{"le":"1024","node":"n1"},"value":6},
        {"metric":"weir_service_node_latency_microseconds_bucket",
         "labels":{"le":"16","node":"n1"},"value":5},
        {"metric":"weir_service_node_latency_microseconds_sum","labels":{"node":"n1"},"value":250},
        {"metric":"weir_service_node_latency_microseconds_count","labels":{"node":"n1"},"value":7}
        ]})");
    ASSERT_TRUE(counters);
    EXPECT_EQ(metrics_page(*counters),
              "# HELP weir_service_node_latency_seconds Time packets spent in each node.\n"
              "# TYPE weir_service_node_latency_seconds histogram\n"
              "weir_service_node_latency_seconds_bucket{le=\"1.6e-05\",node=\"n1\"} 5\n"
              "weir_service_node_latency_seconds_bucket{le=\"0.001024\",node=\"n1\"} 6\n"
              "weir_service_node_latency_seconds_bucket{le=\"+Inf\",node=\"n1\"} 7\n"
              "weir_service_node_latency_seconds_count{node=\"n1\"} 7\n"
              "weir_service_node_latency_seconds_sum{node=\"n1\"} 0.00025\n"
              "# HELP weir_worker_busy_seconds_total Time each worker handled packets.\n"
              "# TYPE weir_worker_busy_seconds_total counter\n"
              "weir_worker_busy_seconds_total{worker=\"0\"} 1.5\n");
}

const Finding* finding(const std::vector<Finding>& all, const std::string& check) {
    const auto at = std::find_if(all.begin(), all.end(),
                                 [&](const Finding& one) { return one.check == check; });
    return at == all.end() ? nullptr : &*at;
}

TEST_F(Queries, TheDoctorNamesWhatIsWrongAndWhatToDo) {
    rig_.device("b").set_link(false);
    rig_.shell->ports().refresh();
    const auto findings = examine(*rig_.shell);
    ASSERT_NE(finding(findings, "port a"), nullptr);
    EXPECT_TRUE(finding(findings, "port a")->ok());
    const Finding* b = finding(findings, "port b");
    ASSERT_NE(b, nullptr);
    EXPECT_FALSE(b->ok());
    EXPECT_EQ(b->found, "link down");
    EXPECT_NE(b->why, "");
    EXPECT_NE(b->advice, "");
}

TEST_F(Queries, TheDoctorSeesAnUnderlayThatIsTooSmall) {
    for (const auto& [mtu, fine] : {std::pair{1699u, false}, std::pair{1700u, true}}) {
        ASSERT_TRUE(
            rig_.shell->apply(Rig::config(6, {Rig::port("a"), Rig::port("underlay", mtu)})).ok());
        const auto findings = examine(*rig_.shell);
        const Finding* underlay = finding(findings, "underlay MTU");
        ASSERT_NE(underlay, nullptr);
        EXPECT_EQ(underlay->ok(), fine) << mtu;
    }
}

}  // namespace
}  // namespace weir::host
