#include "api/rest/pki.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

namespace weir::rest {
namespace {

class Pki : public testing::Test {
protected:
    void SetUp() override {
        char pattern[] = "/tmp/weir-pki-XXXXXX";
        dir_ = ::mkdtemp(pattern);
    }
    void TearDown() override { std::filesystem::remove_all(dir_); }
    std::string dir_;
};

unsigned mode_of(const std::string& path) {
    struct stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
    return status.st_mode & 0777u;
}

TEST_F(Pki, IssuedCertificateProvesItsIdentity) {
    const auto authority = Authority::create("lab");
    ASSERT_TRUE(authority) << authority.error().text();
    for (const Role role : {Role::host, Role::controller, Role::admin}) {
        const auto issued = authority->issue({role, "h1"}, {"127.0.0.1", "fd00::1", "h1.lab"});
        ASSERT_TRUE(issued) << issued.error().text();
        const auto identity = verify(issued->cert, authority->certificate());
        ASSERT_TRUE(identity) << identity.error().text();
        EXPECT_EQ(*identity, (Identity{role, "h1"}));
    }
}

TEST_F(Pki, ForeignAuthorityIsRefused) {
    const auto ours = Authority::create("lab");
    const auto foreign = Authority::create("lab");
    const auto issued = foreign->issue({Role::host, "h1"});
    ASSERT_TRUE(issued);
    const auto identity = verify(issued->cert, ours->certificate());
    ASSERT_FALSE(identity);
    EXPECT_EQ(identity.error().code, Errc::denied);
}

TEST_F(Pki, HostCertificateIsNoAuthority) {
    const auto ours = Authority::create("lab");
    const auto host = ours->issue({Role::host, "h1"});
    EXPECT_FALSE(verify(host->cert, host->cert));
    EXPECT_FALSE(verify(ours->certificate(), ours->certificate())) << "carries no identity";
}

TEST_F(Pki, FilesArePrivateAndSurviveARoundTrip) {
    const std::string sub = dir_ + "/deep/down";
    const auto made = Authority::create("lab");
    ASSERT_TRUE(made->save(sub));
    EXPECT_EQ(mode_of(sub + "/ca-key.pem"), 0600u);
    const auto loaded = Authority::load(sub);
    ASSERT_TRUE(loaded) << loaded.error().text();
    const auto issued = loaded->issue({Role::host, "h2"});
    ASSERT_TRUE(issued);
    EXPECT_TRUE(verify(issued->cert, made->certificate()));
    ASSERT_TRUE(save_credentials(dir_ + "/h2", *issued));
    EXPECT_EQ(mode_of(dir_ + "/h2/key.pem"), 0600u);
    const auto again = load_credentials(dir_ + "/h2");
    ASSERT_TRUE(again);
    EXPECT_EQ(again->key, issued->key);
    EXPECT_EQ(again->ca, made->certificate());
}

TEST_F(Pki, KeyOfAnotherAuthorityIsRefusedOnLoad) {
    ASSERT_TRUE(Authority::create("one")->save(dir_ + "/one"));
    ASSERT_TRUE(Authority::create("two")->save(dir_ + "/two"));
    std::filesystem::copy_file(dir_ + "/two/ca-key.pem", dir_ + "/one/ca-key.pem",
                               std::filesystem::copy_options::overwrite_existing);
    const auto loaded = Authority::load(dir_ + "/one");
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().field, "ca-key.pem");
    EXPECT_FALSE(Authority::load(dir_ + "/nowhere"));
}

TEST_F(Pki, NamesThatWouldForgeAnotherNameAreRefused) {
    const auto authority = Authority::create("lab");
    for (const char* name : {"", "h1,URI:weir://admin/x", "h1/x", "H1", ".h", "h 1", "-h"}) {
        EXPECT_FALSE(authority->issue({Role::host, name})) << name;
    }
    EXPECT_FALSE(authority->issue({Role::host, std::string(64, 'a')}));
    EXPECT_FALSE(authority->issue({Role::host, "h1"}, {"x,URI:weir://admin/x"}));
    EXPECT_FALSE(authority->issue({Role::local, "h1"}));
    EXPECT_FALSE(Authority::create("a,b"));
}

TEST_F(Pki, TextThatIsNoCertificateIsRefused) {
    const auto authority = Authority::create("lab");
    EXPECT_FALSE(verify("", authority->certificate()));
    EXPECT_FALSE(verify("-----BEGIN CERTIFICATE-----\nAAAA\n", authority->certificate()));
}

TEST_F(Pki, TokensDiffer) {
    const auto one = make_token();
    const auto two = make_token();
    ASSERT_TRUE(one && two);
    EXPECT_EQ(one->size(), 64u);
    EXPECT_NE(*one, *two);
}

}  // namespace
}  // namespace weir::rest
