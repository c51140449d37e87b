#include "api/metrics/metrics.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace weir::metrics {
namespace {

TEST(Metrics, PageHasHelpTypeAndEscapedLabels) {
    Page page;
    page.family("weir_drops_total", Type::counter, "Lost\npackets \\ by exit.");
    page.sample(3, {{"exit", "a\"b\\c\nd"}, {"host", "h1"}});
    page.sample(18446744073709551615u, {{"exit", "x"}});
    page.family("weir_up", Type::gauge, "One.");
    page.sample(1);
    EXPECT_EQ(page.text(),
              "# HELP weir_drops_total Lost\\npackets \\\\ by exit.\n"
              "# TYPE weir_drops_total counter\n"
              "weir_drops_total{exit=\"a\\\"b\\\\c\\nd\",host=\"h1\"} 3\n"
              "weir_drops_total{exit=\"x\"} 18446744073709551615\n"
              "# HELP weir_up One.\n"
              "# TYPE weir_up gauge\n"
              "weir_up 1\n");
}

TEST(Metrics, HistogramsHaveBucketsSumAndCount) {
    Page page;
    page.family("weir_wait_seconds", Type::histogram, "Waited.");
    const std::vector<Label> low = {{"le", "0.001"}}, all = {{"le", "+Inf"}};
    page.sample_real("_bucket", 2, low);
    page.sample_real("_bucket", 3, all);
    page.sample_real("_sum", 0.0125, {});
    page.sample_real("_count", 3, {});
    EXPECT_EQ(page.text(),
              "# HELP weir_wait_seconds Waited.\n"
              "# TYPE weir_wait_seconds histogram\n"
              "weir_wait_seconds_bucket{le=\"0.001\"} 2\n"
              "weir_wait_seconds_bucket{le=\"+Inf\"} 3\n"
              "weir_wait_seconds_sum 0.0125\n"
              "weir_wait_seconds_count 3\n");
}

TEST(MetricsDeathTest, NamesAreChecked) {
    Page page;
    EXPECT_DEATH(page.family("weir-up", Type::gauge, ""), "another character");
    EXPECT_DEATH(page.sample(1), "without a family");
}

}  // namespace
}  // namespace weir::metrics
