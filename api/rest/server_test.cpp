#include "api/rest/server.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "api/rest/client.hpp"
#include "api/rest/mailbox.hpp"

namespace weir::rest {
namespace {

using namespace std::chrono_literals;

// Tells what it was asked.
void describe(const Request& request, Reply reply) {
    std::string body = request.method + " as " + request.peer.text() + " token=" + request.token;
    for (const std::string& part : request.route.parts) body += " " + part;
    reply({200, "text/plain", body + " " + request.body});
}

class ServerTest : public testing::Test {
protected:
    void SetUp() override {
        char pattern[] = "/tmp/weir-rest-XXXXXX";
        dir_ = ::mkdtemp(pattern);
        controller_ = *authority_.issue({Role::controller, "c1"});
        host_ = *authority_.issue({Role::host, "h1"});
    }
    void TearDown() override {
        server_.reset();
        std::filesystem::remove_all(dir_);
    }
    std::string socket_path() const { return dir_ + "/s"; }

    void start(Handler handler, std::function<void(ServerOptions&)> change = {}) {
        ServerOptions options;
        options.endpoints = {{Target::Kind::unix_socket, socket_path()},
                             {Target::Kind::tls, "127.0.0.1:0"},
                             {Target::Kind::plain, "127.0.0.1:0"}};
        options.credentials = controller_;
        if (change) change(options);
        auto started = Server::start(std::move(options), std::move(handler));
        ASSERT_TRUE(started) << started.error().text();
        server_ = std::move(*started);
    }
    Client local() const {
        return Client({{Target::Kind::unix_socket, socket_path(), {}}, {}, {}});
    }
    Client tls(Credentials credentials, std::string token = {}) const {
        return Client({{Target::Kind::tls, "127.0.0.1", std::to_string(server_->port(1))},
                       std::move(credentials),
                       std::move(token)});
    }
    Client plain() const {
        return Client(
            {{Target::Kind::plain, "127.0.0.1", std::to_string(server_->port(2))}, {}, {}});
    }
    int connect_raw() const {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(server_->port(2));
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
        timeval limit{20, 0};
        ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        return fd;
    }
    // What a server says to these bytes until it closes the connection.
    std::string raw(std::string_view bytes) const {
        const int fd = connect_raw();
        EXPECT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(bytes.size()));
        std::string out;
        char part[4096];
        ssize_t n = 0;
        while ((n = ::recv(fd, part, sizeof part, 0)) > 0) out.append(part, static_cast<size_t>(n));
        EXPECT_EQ(n, 0) << "the server did not close";
        ::close(fd);
        return out;
    }

    std::string dir_;
    Authority authority_ = *Authority::create("lab");
    Credentials controller_;
    Credentials host_;
    std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, EveryEndpointSaysWhoAsks) {
    start(describe);
    EXPECT_EQ(local().request("PUT", "/v1/port/g1", "{}")->body,
              "PUT as local token= v1 port g1 {}");
    EXPECT_EQ(plain().request("GET", "/metrics")->body, "GET as none token= metrics ");
    EXPECT_EQ(tls(host_).request("GET", "/x")->body, "GET as host/h1 token= x ");
    Credentials only_ca{authority_.certificate(), {}, {}};
    EXPECT_EQ(tls(only_ca, "t0k").request("GET", "/x")->body, "GET as none token=t0k x ");
}

TEST_F(ServerTest, CertificateOfAForeignAuthorityIsRefused) {
    start(describe);
    const auto foreign = Authority::create("lab");
    Credentials stranger = *foreign->issue({Role::host, "h1"});
    stranger.ca = authority_.certificate();  // it trusts us, we do not trust it
    const auto answer = tls(stranger).request("GET", "/x");
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::denied) << answer.error().text();
}

TEST_F(ServerTest, ClientRefusesAServerThatIsNoController) {
    const auto foreign = Authority::create("lab");
    start(describe);
    Credentials other = host_;
    other.ca = foreign->certificate();
    EXPECT_EQ(tls(other).request("GET", "/x").error().code, Errc::denied);
    server_.reset();
    // A host of the same authority poses as the controller.
    start(describe, [&](ServerOptions& options) { options.credentials = host_; });
    EXPECT_EQ(tls(host_).request("GET", "/x").error().code, Errc::denied);
}

TEST_F(ServerTest, WithoutACertificateNothingIsServedWhereOneIsRequired) {
    start(describe, [](ServerOptions& options) { options.require_certificate = true; });
    Credentials only_ca{authority_.certificate(), {}, {}};
    EXPECT_EQ(tls(only_ca).request("GET", "/x").error().code, Errc::denied);
    EXPECT_EQ(tls(host_).request("GET", "/x")->status, 200);
}

TEST_F(ServerTest, AnswersMayComeLaterFromAnotherThread) {
    Mailbox<Reply> waiting;
    start([&](const Request&, Reply reply) { waiting.put(std::move(reply)); });
    std::thread other([&] {
        auto reply = waiting.take();
        ASSERT_TRUE(reply);
        (*reply)({201, "text/plain", "late"});
        (*reply)({202, "text/plain", "twice"});
    });
    EXPECT_EQ(local().request("GET", "/")->body, "late");
    other.join();
}

TEST_F(ServerTest, DroppedRequestIsAnswered) {
    start([](const Request&, Reply) {});
    EXPECT_EQ(local().request("GET", "/")->status, 500);
}

TEST_F(ServerTest, StopAnswersWhatWaitsAndALateReplyDoesNothing) {
    Mailbox<Reply> waiting;
    start([&](const Request&, Reply reply) { waiting.put(std::move(reply)); });
    Mailbox<bool> done;
    std::thread client([&] { done.put(local().request("GET", "/").ok()); });
    auto reply = waiting.take();
    ASSERT_TRUE(reply);
    server_->stop();
    server_.reset();
    (*reply)({200, "text/plain", "too late"});
    EXPECT_TRUE(done.take());
    client.join();
}

TEST_F(ServerTest, TooLargeBodyIsRefusedByName) {
    start(describe, [](ServerOptions& options) { options.max_body_bytes = 1000; });
    EXPECT_EQ(local().request("PUT", "/x", std::string(1000, 'a'))->status, 200);
    const auto answer = local().request("PUT", "/x", std::string(1001, 'a'));
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_EQ(answer->status, 413);
    EXPECT_EQ(errors_in(*answer)[0].field, "body");
}

TEST_F(ServerTest, BytesThatAreNoRequestAreRefused) {
    start(describe);
    EXPECT_TRUE(raw("rubbish\r\n\r\n").starts_with("HTTP/1.1 400"));
    EXPECT_TRUE(raw("GET /%zz HTTP/1.1\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 400"));
    EXPECT_TRUE(raw("GET / HTTP/1.1\r\nX: " + std::string(20000, 'a') + "\r\n\r\n")
                    .starts_with("HTTP/1.1 400"));
    EXPECT_EQ(plain().request("GET", "/still/here")->status, 200);
}

TEST_F(ServerTest, OneConnectionCarriesManyRequests) {
    start(describe);
    const std::string once = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    const std::string last = "GET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const std::string said = raw(once + once + last);
    std::size_t count = 0;
    for (std::size_t at = 0; (at = said.find("200 OK", at)) != said.npos; ++at) ++count;
    EXPECT_EQ(count, 3u);
}

TEST_F(ServerTest, HalfARequestIsNotWaitedForLong) {
    start(describe, [](ServerOptions& options) { options.request_timeout = 200ms; });
    EXPECT_EQ(raw("GET /half HTTP/1.1\r\nHo"), "");
}

TEST_F(ServerTest, ManyOpenConnectionsNeedNoThreads) {
    start(describe, [](ServerOptions& options) { options.threads = 1; });
    std::vector<int> idle;
    for (int i = 0; i < 300; ++i) idle.push_back(connect_raw());
    EXPECT_EQ(plain().request("GET", "/x")->status, 200);
    for (const int fd : idle) ::close(fd);
}

TEST_F(ServerTest, ConnectionsBeyondTheLimitAreClosed) {
    start(describe, [](ServerOptions& options) { options.max_connections = 3; });
    std::vector<int> idle;
    for (int i = 0; i < 3; ++i) {
        idle.push_back(connect_raw());
        // An answer proves that the connection is counted before the next one comes.
        ASSERT_EQ(::send(idle.back(), "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
        char byte = 0;
        ASSERT_EQ(::recv(idle.back(), &byte, 1, 0), 1);
    }
    EXPECT_FALSE(plain().request("GET", "/x"));
    for (const int fd : idle) ::close(fd);
}

TEST_F(ServerTest, SocketFileOfADeadServerIsReplacedOfALivingOneNot) {
    start(describe);
    ServerOptions second;
    second.endpoints = {{Target::Kind::unix_socket, socket_path()}};
    const auto refused = Server::start(second, describe);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::conflict);
    server_.reset();
    EXPECT_FALSE(std::filesystem::exists(socket_path()));

    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    socket_path().copy(at.sun_path, sizeof at.sun_path - 1);
    ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    ::close(fd);  // the file stays, nobody listens
    start(describe);
    EXPECT_EQ(local().request("GET", "/x")->status, 200);
}

TEST_F(ServerTest, PlaceThatCannotBeListenedOnIsNamed) {
    for (const char* address : {"nowhere", "lab.example:80", "192.0.2.1:80"}) {
        ServerOptions options;
        options.endpoints = {{Target::Kind::plain, address}};
        const auto refused = Server::start(options, describe);
        ASSERT_FALSE(refused) << address;
        EXPECT_EQ(refused.error().object, address);
    }
}

TEST_F(ServerTest, AbsentServerIsUnavailable) {
    const auto answer = local().request("GET", "/");
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::unavailable);
    EXPECT_NE(answer.error().text().find(socket_path()), std::string::npos);
}

}  // namespace
}  // namespace weir::rest
