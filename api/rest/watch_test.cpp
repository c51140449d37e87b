#include "api/rest/watch.hpp"

#include <gtest/gtest.h>

#include "api/rest/mailbox.hpp"
#include "api/rest/server.hpp"

namespace weir::rest {
namespace {

using namespace std::chrono_literals;

// A server that admits hosts, and what it sees of them.
class WatchTest : public testing::Test {
protected:
    void SetUp() override {
        controller_ = *authority_.issue({Role::controller, "c1"});
        host_ = *authority_.issue({Role::host, "h1"});
    }
    void TearDown() override {
        client_.reset();
        server_.reset();
    }

    Result<WatchEvents> admit(const Request& request, std::shared_ptr<WatchSession> session) {
        if (request.peer.role != Role::host) {
            return Error{Errc::denied, "watch", {}, "only a host may watch"};
        }
        sessions_.put(session);
        return WatchEvents{[this](std::string_view text) { heard_.put(std::string(text)); },
                           [this](const std::string& reason) { closed_.put(reason); }};
    }

    void serve(std::uint16_t port = 0, std::function<void(ServerOptions&)> change = {}) {
        ServerOptions options;
        options.endpoints = {{Target::Kind::tls, "127.0.0.1:" + std::to_string(port)}};
        options.credentials = controller_;
        if (change) change(options);
        auto started = Server::start(
            std::move(options), [](const Request&, Reply reply) { reply({}); },
            [this](const Request& request, std::shared_ptr<WatchSession> session) {
                return admit(request, std::move(session));
            });
        ASSERT_TRUE(started) << started.error().text();
        server_ = std::move(*started);
    }

    void watch(Credentials credentials, std::function<void(WatchClientOptions&)> change = {}) {
        WatchClientOptions options;
        options.target = {Target::Kind::tls, "127.0.0.1", std::to_string(server_->port(0))};
        options.credentials = std::move(credentials);
        if (change) change(options);
        auto started = WatchClient::start(
            std::move(options),
            {[this](std::shared_ptr<WatchSession> session) { opened_.put(session); },
             [this](std::string_view text) {
                 said_.put(std::string(text));
                 if (is_stalled_) release_.take();
             },
             [this](const Error& why) { down_.put(why); }});
        ASSERT_TRUE(started) << started.error().text();
        client_ = std::move(*started);
    }

    Authority authority_ = *Authority::create("lab");
    Credentials controller_;
    Credentials host_;
    Mailbox<std::shared_ptr<WatchSession>> sessions_, opened_;
    Mailbox<std::string> heard_, said_, closed_;
    Mailbox<Error> down_;
    Mailbox<bool> release_;
    std::atomic<bool> is_stalled_{false};
    std::unique_ptr<Server> server_;
    std::unique_ptr<WatchClient> client_;
};

TEST_F(WatchTest, MessagesPassBothWaysInOrder) {
    serve();
    watch(host_);
    auto ours = sessions_.take();
    auto theirs = opened_.take();
    ASSERT_TRUE(ours && theirs);
    EXPECT_EQ((*ours)->peer(), (Identity{Role::host, "h1"}));
    EXPECT_EQ((*theirs)->peer(), (Identity{Role::controller, "c1"}));
    for (int i = 0; i < 100; ++i) {
        (*ours)->send("down " + std::to_string(i));
        (*theirs)->send("up " + std::to_string(i));
    }
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(said_.take(), "down " + std::to_string(i));
        EXPECT_EQ(heard_.take(), "up " + std::to_string(i));
    }
    const std::string large(3u << 20, 'x');
    (*ours)->send(large);
    EXPECT_EQ(said_.take(), large);
}

TEST_F(WatchTest, WithoutACertificateItIsRefused) {
    serve();
    watch({authority_.certificate(), {}, {}});
    const auto why = down_.take();
    ASSERT_TRUE(why);
    EXPECT_EQ(why->code, Errc::denied);
    EXPECT_EQ(why->message, "only a host may watch");
    EXPECT_TRUE(sessions_.empty());
}

TEST_F(WatchTest, WithAForeignCertificateItIsRefused) {
    serve();
    Credentials stranger = *Authority::create("lab")->issue({Role::host, "h1"});
    stranger.ca = authority_.certificate();
    watch(stranger);
    const auto why = down_.take();
    ASSERT_TRUE(why);
    EXPECT_EQ(why->code, Errc::denied) << why->text();
    EXPECT_TRUE(sessions_.empty());
}

TEST_F(WatchTest, ReasonOfAClosedWatchReachesTheOtherSide) {
    serve();
    watch(host_);
    auto ours = sessions_.take();
    ASSERT_TRUE(ours);
    (*ours)->send("last words");
    (*ours)->close("you are another host now");
    EXPECT_EQ(said_.take(), "last words");
    const auto why = down_.take();
    ASSERT_TRUE(why);
    EXPECT_EQ(why->message, "you are another host now");
    EXPECT_EQ(closed_.take(), "you are another host now");
    (*ours)->send("into the void");
    EXPECT_TRUE(sessions_.take()) << "it comes back by itself";
}

TEST_F(WatchTest, ReaderThatIsTooSlowIsCutOff) {
    serve(0, [](ServerOptions& options) {
        options.max_watch_queue_bytes = 8u << 20;
        options.watch_timeout = 60s;
    });
    is_stalled_ = true;
    watch(host_, [](WatchClientOptions& options) { options.watch_timeout = 60s; });
    auto ours = sessions_.take();
    ASSERT_TRUE(ours);
    const std::string part(1u << 20, 'x');
    for (int i = 0; i < 64; ++i) (*ours)->send(part);
    EXPECT_EQ(closed_.take(), "the other side reads too slowly");
    is_stalled_ = false;
    release_.put(true);
    EXPECT_TRUE(sessions_.take()) << "once it reads again, it comes back";
}

TEST_F(WatchTest, SilentPeerIsNoticed) {
    serve(0, [](ServerOptions& options) { options.watch_timeout = 300ms; });
    is_stalled_ = true;
    watch(host_);
    auto ours = sessions_.take();
    ASSERT_TRUE(ours);
    (*ours)->send("stall");
    EXPECT_EQ(closed_.take(), "no sign of life from the other side");
    is_stalled_ = false;
    release_.put(true);
}

TEST_F(WatchTest, IdleWatchStaysOpen) {
    serve(0, [](ServerOptions& options) { options.watch_timeout = 100ms; });
    watch(host_, [](WatchClientOptions& options) { options.watch_timeout = 100ms; });
    auto ours = sessions_.take();
    ASSERT_TRUE(ours);
    EXPECT_FALSE(closed_.take(1000ms)) << "pings are a sign of life";
    (*ours)->send("still here");
    EXPECT_EQ(said_.take(), "still here");
}

TEST_F(WatchTest, ClientComesBackAfterARestartOfTheServer) {
    serve();
    const std::uint16_t port = server_->port(0);
    watch(host_);
    ASSERT_TRUE(sessions_.take());
    ASSERT_TRUE(opened_.take());
    server_.reset();
    EXPECT_EQ(closed_.take(), "the server stops");
    ASSERT_TRUE(down_.take());
    ASSERT_TRUE(down_.take()) << "attempts that fail are told, too";
    serve(port);
    auto again = sessions_.take();
    ASSERT_TRUE(again);
    (*again)->send("hello again");
    EXPECT_EQ(said_.take(), "hello again");
}

TEST_F(WatchTest, WatchNeedsTls) {
    WatchClientOptions options;
    options.target = *Target::parse("http://127.0.0.1:1");
    EXPECT_FALSE(WatchClient::start(options, {}));
}

}  // namespace
}  // namespace weir::rest
