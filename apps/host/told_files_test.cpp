#include "apps/host/told_files.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "model/json.hpp"

namespace weir::host {
namespace {

class ToldFilesTest : public ::testing::Test {
protected:
    ToldFilesTest() {
        char pattern[] = "/tmp/weir-files-XXXXXX";
        folder = ::mkdtemp(pattern);
    }
    ~ToldFilesTest() override { std::filesystem::remove_all(folder); }
    static void follow(ToldFiles& files, const char* rows) {
        files.follow(model::parse_json(rows).value());
    }
    std::string text(const std::string& name) const {
        std::ifstream in(folder + "/nodes/" + name + ".json");
        return {std::istreambuf_iterator<char>(in), {}};
    }
    ino_t inode(const std::string& name) const {
        struct stat found {};
        ::stat((folder + "/nodes/" + name + ".json").c_str(), &found);
        return found.st_ino;
    }
    bool is_there(const std::string& name) const {
        return std::filesystem::exists(folder + "/nodes/" + name + ".json");
    }

    std::string folder;
};

TEST_F(ToldFilesTest, AreWrittenWhenTheyChangeAndRemovedWhenTheyAreNotWanted) {
    ToldFiles files(folder, {"nodes"});
    follow(files, R"([{"folder":"nodes","name":"n1","text":"one"},
                      {"folder":"nodes","name":"n2","text":"two"}])");
    EXPECT_EQ(text("n1"), "one");
    EXPECT_EQ(text("n2"), "two");
    const ino_t before = inode("n2");
    follow(files, R"([{"folder":"nodes","name":"n1","text":"ONE"},
                      {"folder":"nodes","name":"n2","text":"two"}])");
    EXPECT_EQ(text("n1"), "ONE");
    EXPECT_EQ(inode("n2"), before) << "nobody is woken for nothing";
    follow(files, R"([{"folder":"nodes","name":"n2","text":"two"}])");
    EXPECT_FALSE(is_there("n1"));
    follow(files, "[]");
    EXPECT_FALSE(is_there("n2"));
}

TEST_F(ToldFilesTest, OfAnEarlierProcessGoToo) {
    {
        ToldFiles files(folder, {"nodes"});
        follow(files, R"([{"folder":"nodes","name":"n1","text":"one"}])");
    }
    EXPECT_TRUE(is_there("n1")) << "what runs goes on without this process";
    ToldFiles files(folder, {"nodes"});
    follow(files, R"([{"folder":"nodes","name":"n2","text":"two"}])");
    EXPECT_FALSE(is_there("n1"));
    EXPECT_TRUE(is_there("n2"));
}

TEST_F(ToldFilesTest, OfAnEarlierProcessGoEvenIfNoneAreWanted) {
    std::filesystem::create_directory(folder + "/nodes");
    std::filesystem::create_directory(folder + "/agents");
    const auto put = [&](const std::string& name) { std::ofstream(folder + name) << "old"; };
    for (const char* name : {"/nodes/n1.json", "/nodes/n2.json.new", "/agents/n1.json"}) put(name);
    ToldFiles files(folder, {"nodes"});
    follow(files, "[]");
    EXPECT_TRUE(std::filesystem::is_empty(folder + "/nodes")) << "ended in the middle or not";
    EXPECT_TRUE(std::filesystem::exists(folder + "/agents/n1.json")) << "somebody else's";
}

TEST_F(ToldFilesTest, ThatCouldNotBeWrittenAreTriedAgain) {
    constexpr std::uint64_t second = 1'000'000'000;
    std::ofstream(folder + "/nodes") << "no folder";
    ToldFiles files(folder, {"nodes"});
    follow(files, R"([{"folder":"nodes","name":"n1","text":"one"}])");
    std::filesystem::remove(folder + "/nodes");
    files.look(100 * second);
    EXPECT_EQ(text("n1"), "one");
    const ino_t before = inode("n1");
    files.look(200 * second);
    EXPECT_EQ(inode("n1"), before) << "and that was all";
}

TEST_F(ToldFilesTest, StayInTheirFolder) {
    ToldFiles files(folder + "/run", {"nodes"});
    std::filesystem::create_directory(folder + "/run");
    follow(files, R"([{"folder":"..","name":"n1","text":"one"},
                      {"folder":"agents","name":"n1","text":"one"},
                      {"folder":"nodes","name":"../n1","text":"one"},
                      {"folder":"nodes","name":"","text":"one"}])");
    EXPECT_TRUE(std::filesystem::is_empty(folder + "/run"));
}

}  // namespace
}  // namespace weir::host
