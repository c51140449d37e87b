#include "apps/host/agent_sockets.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "api/rest/client.hpp"
#include "model/json.hpp"

namespace weir::host {
namespace {

using ::testing::HasSubstr;
using model::Value;

TEST(AgentRate, AHundredAtOnceAndAHundredASecond) {
    AgentRate rate;
    constexpr std::uint64_t second = 1'000'000'000;
    const auto taken = [&](std::uint64_t now, unsigned tries) {
        unsigned count = 0;
        for (unsigned i = 0; i < tries; ++i) count += rate.take(now);
        return count;
    };
    EXPECT_EQ(taken(second, 500), 100u);
    EXPECT_EQ(taken(second + second / 10, 500), 10u);
    EXPECT_EQ(taken(60 * second, 500), 100u) << "no more than that, however long it was silent";
}

class AgentSocketsTest : public ::testing::Test {
protected:
    AgentSocketsTest()
        : folder_(std::filesystem::temp_directory_path() /
                  ("weir-agents-" + std::to_string(::getpid()))),
          sockets_(folder_, [this](const Value& question) {
              asked_ = question;
              return *model::parse_json(answer_);
          }) {}
    ~AgentSocketsTest() override {
        sockets_.stop();
        std::filesystem::remove_all(folder_);
    }
    void follow(const char* rows) { sockets_.follow(*model::parse_json(rows)); }
    std::string path(const char* name) const { return folder_ + "/" + name + ".sock"; }
    rest::Response post(const char* name, const std::string& body,
                        const std::string& target = "/v1/order") {
        rest::Client client({{rest::Target::Kind::unix_socket, path(name), {}}, {}, {}});
        auto response = client.request("POST", target, body);
        return response ? *response : rest::Response{0, "", response.error().text()};
    }

    std::string folder_;
    std::string answer_ = R"({"rows":[{"result":"sent","done":true}]})";
    Value asked_;
    AgentSockets sockets_;
};

constexpr const char* n2 = R"([{"socket":"n2","uid":0,"what":"from_node.order","node":"n2"}])";

TEST_F(AgentSocketsTest, AskInOneNameOnly) {
    follow(n2);
    const auto response =
        post("n2", R"({"flow":"f","order":"flow_drop","node":"n6","what":"flush-flows"})");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "{\"result\":\"sent\"}\n");
    EXPECT_EQ(asked_["what"].as_text(), "from_node.order");
    EXPECT_EQ(asked_["node"].as_text(), "n2");
    EXPECT_EQ(asked_["flow"].as_text(), "f");
    EXPECT_EQ(post("n2", "{}", "/v1/host/h1/query").status, 404) << "nothing else is there";
}

TEST_F(AgentSocketsTest, SayWhatBecameOfIt) {
    follow(n2);
    answer_ = R"({"rows":[{"result":"not_privileged","done":false}]})";
    EXPECT_EQ(post("n2", "{}").status, 403);
    answer_ = R"({"rows":[]})";
    EXPECT_EQ(post("n2", "{}").status, 404);
    answer_ = R"({"rows":[{"error":"flow: no"},{"error":"flow: no"}]})";
    EXPECT_EQ(post("n2", "{}").status, 400);
    answer_ = R"({"error":"nobody answers"})";
    EXPECT_THAT(post("n2", "{}").body, HasSubstr("nobody answers"));
    EXPECT_EQ(post("n2", "[]").status, 400);
    EXPECT_EQ(post("n2", "{").status, 400);
    EXPECT_EQ(post("n2", "{\"flow\":\"" + std::string(5000, 'x') + "\"}").status, 413);
    Value counters = *model::parse_json(R"({"rows":[]})");
    sockets_.add_counters(counters);
    const std::string text = model::dump_json(counters);
    EXPECT_THAT(text, HasSubstr(R"("result":"malformed"},"value":4)"));
    EXPECT_THAT(text, HasSubstr(R"("result":"refused"},"value":1)"));
}

TEST_F(AgentSocketsTest, BelongToWhoeverTheRowNames) {
    follow(n2);
    struct stat file {};
    ASSERT_EQ(::stat(path("n2").c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 0777u, 0600u);
    ASSERT_EQ(::stat(folder_.c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 0777u, 0711u);
    // Only root can give files away; for others the owner stays.
    const bool root = ::getuid() == 0;
    follow(R"([{"socket":"n2","uid":1234,"what":"x"}])");
    ASSERT_EQ(::stat(path("n2").c_str(), &file), 0);
    EXPECT_EQ(file.st_uid, root ? 1234u : ::getuid());
    EXPECT_EQ(post("n2", "{}").status, 200) << "root may, and who is not given away";
}

TEST_F(AgentSocketsTest, ComeAndGo) {
    follow(n2);
    follow(R"([{"socket":"n4","uid":0,"what":"x"}])");
    EXPECT_EQ(post("n2", "{}").status, 0);
    EXPECT_EQ(post("n4", "{}").status, 200);
    follow(n2);
    EXPECT_EQ(post("n2", "{}").status, 200) << "the same name again";
    EXPECT_FALSE(std::filesystem::exists(path("n4")));
}

}  // namespace
}  // namespace weir::host
