#include "apps/host/limit_news.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weir::host {
namespace {

using Lines = std::vector<std::string>;

class LimitNewsTest : public ::testing::Test {
protected:
    Lines look(std::uint64_t at_s, const LimitNews::Hits& hits) {
        Lines out;
        news_.look(
            at_s * 1'000'000'000,
            [&] {
                ++asked_;
                return hits;
            },
            [&](const std::string& json) { out.push_back(json); });
        return out;
    }
    LimitNews news_;
    int asked_ = 0;
};

TEST_F(LimitNewsTest, TablesWithRoomAreNoNews) {
    EXPECT_EQ(look(100, {{"waiting", 0}, {"path_times", 0}}), Lines{});
    EXPECT_EQ(look(200, {{"waiting", 0}}), Lines{});
}

TEST_F(LimitNewsTest, EachIsToldOnceAMinuteWithWhatCameTogether) {
    EXPECT_EQ(look(100, {{"waiting", 3}}),
              Lines{R"({"event":"limit-hit","limit":"waiting","count":3})"});
    EXPECT_EQ(look(130, {{"waiting", 10}}), Lines{});
    EXPECT_EQ(look(140, {{"path_times", 1}, {"waiting", 12}}),
              Lines{R"({"event":"limit-hit","limit":"path_times","count":1})"});
    EXPECT_EQ(look(160, {{"path_times", 1}, {"waiting", 12}}),
              Lines{R"({"event":"limit-hit","limit":"waiting","count":9})"});
    EXPECT_EQ(look(300, {{"path_times", 1}, {"waiting", 12}}), Lines{}) << "nothing came since";
}

TEST_F(LimitNewsTest, AnotherEngineCountsFromTheBeginning) {
    EXPECT_EQ(look(100, {{"waiting", 30}}).size(), 1u);
    EXPECT_EQ(look(200, {{"waiting", 0}}), Lines{});
    EXPECT_EQ(look(300, {{"waiting", 2}}),
              Lines{R"({"event":"limit-hit","limit":"waiting","count":2})"});
}

TEST_F(LimitNewsTest, WorkersAreNotAskedAllTheTime) {
    for (std::uint64_t second = 100; second < 130; ++second) look(second, {});
    EXPECT_EQ(asked_, 3);
}

}  // namespace
}  // namespace weir::host
