#include "bench/gen/page_file.hpp"

#include <gtest/gtest.h>

#include <cstdio>

namespace weir::gen {
namespace {

TEST(PageFile, TwoMappingsSeeTheSameWords) {
    const std::string path = testing::TempDir() + "weir-page-test";
    const auto first = map_page(path), second = map_page(path);
    ASSERT_TRUE(first.ok()) << first.error().text();
    ASSERT_TRUE(second.ok()) << second.error().text();
    (*first)->version.set(7);
    EXPECT_EQ((*second)->version.get(), 7u);
    std::remove(path.c_str());
}

TEST(PageFile, SaysWhyThereIsNone) {
    const auto none = map_page("/nowhere/page");
    ASSERT_FALSE(none.ok());
    EXPECT_NE(none.error().text().find("/nowhere/page"), std::string::npos);
}

}  // namespace
}  // namespace weir::gen
