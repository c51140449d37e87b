#include "bench/gen/page_file.hpp"

#include <gtest/gtest.h>

#include <cstdio>

namespace weir::gen {
namespace {

TEST(PageFile, TwoMappingsSeeTheSameWords) {
    const std::string path = testing::TempDir() + "weir-page-test";
    const auto first = map_pages(path, 2), second = map_pages(path, 2);
    ASSERT_TRUE(first.ok()) << first.error().text();
    ASSERT_TRUE(second.ok()) << second.error().text();
    (*first)[0].version.set(7);
    (*first)[1].version.set(8);
    EXPECT_EQ((*second)[0].version.get(), 7u);
    EXPECT_EQ((*second)[1].version.get(), 8u);
    std::remove(path.c_str());
}

TEST(PageFile, SaysWhyThereIsNone) {
    const auto none = map_pages("/nowhere/page", 1);
    ASSERT_FALSE(none.ok());
    EXPECT_NE(none.error().text().find("/nowhere/page"), std::string::npos);
}

}  // namespace
}  // namespace weir::gen
