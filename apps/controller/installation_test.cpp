#include "apps/controller/installation.hpp"

#include <gtest/gtest.h>

#include <filesystem>

namespace weir::controller {
namespace {

class InstallationTest : public testing::Test {
protected:
    void SetUp() override {
        char pattern[] = "/tmp/weir-installation-XXXXXX";
        root_ = ::mkdtemp(pattern);
    }
    void TearDown() override { std::filesystem::remove_all(root_); }
    std::string root_;
};

TEST_F(InstallationTest, InitThenIssueGivesACertificateTheControllerTrusts) {
    const std::string dir = root_ + "/c";
    ASSERT_TRUE(create_installation(dir, "c1", {"127.0.0.1"}));
    const auto loaded = load_installation(dir);
    ASSERT_TRUE(loaded) << loaded.error().text();
    EXPECT_EQ(loaded->token.size(), 64u);
    EXPECT_EQ(rest::verify(loaded->credentials.cert, loaded->credentials.ca)->text(),
              "controller/c1");
    const auto where = issue_into(dir, {rest::Role::host, "h1"}, "");
    ASSERT_TRUE(where) << where.error().text();
    EXPECT_EQ(*where, dir + "/issued/host-h1");
    const auto issued = rest::load_credentials(*where);
    ASSERT_TRUE(issued);
    EXPECT_EQ(rest::verify(issued->cert, loaded->credentials.ca)->text(), "host/h1");
    EXPECT_FALSE(std::filesystem::exists(*where + "/ca-key.pem"));
}

TEST_F(InstallationTest, SecondInitKeepsTheFirst) {
    ASSERT_TRUE(create_installation(root_, "c1", {}));
    const auto before = load_installation(root_)->token;
    const auto again = create_installation(root_, "c1", {});
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Errc::conflict);
    EXPECT_EQ(load_installation(root_)->token, before);
}

TEST_F(InstallationTest, DirectoryIsForTheOwnerOnly) {
    const std::string dir = root_ + "/c";
    ASSERT_TRUE(create_installation(dir, "c1", {}));
    EXPECT_EQ(std::filesystem::status(dir).permissions(), std::filesystem::perms::owner_all);
}

TEST_F(InstallationTest, MissingInstallationSaysHowToMakeOne) {
    const auto loaded = load_installation(root_ + "/none");
    ASSERT_FALSE(loaded);
    EXPECT_NE(loaded.error().message.find("weir-controller init"), std::string::npos);
}

}  // namespace
}  // namespace weir::controller
