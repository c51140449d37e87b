#include "base/closest.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace weir {
namespace {

const std::vector<std::string> kinds = {"port", "port-address", "segment", "service-rule", "host"};

TEST(Closest, FindsWhatWasMeant) {
    EXPECT_EQ(closest("prot", kinds), "port") << "two letters swapped";
    EXPECT_EQ(closest("ports", kinds), "port") << "one too many";
    EXPECT_EQ(closest("segmnt", kinds), "segment") << "one too few";
    EXPECT_EQ(closest("servise-role", kinds), "service-rule") << "two others";
    EXPECT_EQ(closest("host", kinds), "host");
    EXPECT_EQ(did_you_mean("hots", kinds), "; did you mean host?");
}

TEST(Closest, DoesNotGuessWildly) {
    EXPECT_EQ(closest("firewall", kinds), "");
    EXPECT_EQ(closest("", kinds), "");
    EXPECT_EQ(closest("x", kinds), "");
    EXPECT_EQ(closest("tsop", kinds), "");
    EXPECT_EQ(closest("g7", std::vector<std::string>{"g1", "n1"}), "") << "too short to tell";
    EXPECT_EQ(closest(std::string(65, 'a'), std::vector<std::string>{std::string(64, 'a')}), "");
    EXPECT_EQ(did_you_mean("firewall", kinds), "");
    EXPECT_EQ(closest("port", std::vector<std::string>{}), "");
}

}  // namespace
}  // namespace weir
