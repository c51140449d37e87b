#pragma once
#include "api/rest/transport.hpp"

#include <atomic>
#include <boost/beast/http.hpp>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "api/rest/server.hpp"

namespace weir::rest {

namespace http = beast::http;

inline constexpr std::chrono::seconds finish_timeout{2};  // for work under way when a server stops

// One open connection as the server's end sees it. Both run on the executor.
struct Connection {
    asio::any_io_executor executor;
    std::function<void()> finish;  // end as soon as the work under way is done
    std::function<void()> abort;   // end now
};

// What sessions share. Dies after every one of them.
struct ServerShared {
    ServerOptions options;
    Handler handler;
    WatchHandler watch;
    std::optional<TlsContext> tls;
    std::atomic<bool> is_stopping{false};

    std::size_t open_connections();
    std::uint64_t enter(Connection connection);
    void replace(std::uint64_t id, std::function<void()> finish, std::function<void()> abort);
    void leave(std::uint64_t id);
    void end_all(bool at_once);
    bool wait_until_empty(std::chrono::seconds patience);

private:
    void end(std::uint64_t id, bool at_once);

    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::uint64_t, Connection> connections_;
    std::uint64_t next_id_ = 0;
};

// Keeps a connection in the list for as long as its coroutine lives.
class Entry {
public:
    Entry(ServerShared& shared, Connection connection)
        : shared_(shared), id_(shared.enter(std::move(connection))) {}
    ~Entry() { shared_.leave(id_); }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    std::uint64_t id() const { return id_; }

private:
    ServerShared& shared_;
    const std::uint64_t id_;
};

// Waits, within a session, for the one answer a handler gives from whatever thread.
class Waiter {
public:
    explicit Waiter(asio::any_io_executor executor);
    ~Waiter();
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    Reply reply();  // stays valid, and then does nothing, after the Waiter is gone
    void give(Response response);
    asio::awaitable<Response> wait();

private:
    struct Gate {
        std::mutex mutex;
        Waiter* waiter;
        void give(Response response);
        void wake();
    };
    class Promise;

    asio::any_io_executor executor_;
    asio::steady_timer timer_;
    std::optional<Response> response_;
    std::shared_ptr<Gate> gate_;
};

// One connection that carries requests, from its first byte to its last.
asio::awaitable<void> serve_tls(ServerShared& shared, Socket::socket_type socket);
asio::awaitable<void> serve_plain(ServerShared& shared, Socket::socket_type socket, Role role);

}  // namespace weir::rest
