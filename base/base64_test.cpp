#include "base/base64.hpp"

#include <gtest/gtest.h>

#include <random>

namespace weir {
namespace {

TEST(Base64, WritesTheExamplesOfTheRfc) {
    const std::pair<const char*, const char*> examples[] = {
        {"", ""},         {"f", "Zg=="},         {"fo", "Zm8="},        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
    for (const auto& [bytes, text] : examples) {
        EXPECT_EQ(to_base64(bytes), text);
        EXPECT_EQ(from_base64(text), std::string(bytes));
    }
}

TEST(Base64, AnyBytesComeBack) {
    std::mt19937 random(1);
    for (std::size_t n = 0; n < 300; ++n) {
        std::string bytes(n, 0);
        for (char& c : bytes) c = static_cast<char>(random());
        EXPECT_EQ(from_base64(to_base64(bytes)), bytes);
    }
}

TEST(Base64, RefusesWhatItWouldNotWrite) {
    for (const char* text : {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zm9v=", "Z===", "====", "Zm 9v",
                             "Zg==Zg==", "Zm9v\n", "Zm9-"})
        EXPECT_FALSE(from_base64(text)) << text;
}

}  // namespace
}  // namespace weir
