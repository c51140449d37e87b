#include "api/rest/server_core.hpp"
#include "api/rest/watch_stream.hpp"
#include "base/log.hpp"

namespace weir::rest {
namespace {

constexpr std::chrono::seconds handshake_timeout{10};

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

std::string bearer_token(std::string_view header) {
    constexpr std::string_view prefix = "Bearer ";
    return header.starts_with(prefix) ? std::string(header.substr(prefix.size())) : std::string();
}

Result<Request> make_request(http::request<http::string_body>& message, const Identity& peer) {
    auto route = Route::parse(view(message.target()));
    if (!route) return route.error();
    Request request;
    request.method = std::string(view(message.method_string()));
    request.route = std::move(*route);
    request.content_type = std::string(view(message[http::field::content_type]));
    request.body = std::move(message.body());
    request.token = bearer_token(view(message[http::field::authorization]));
    request.peer = peer;
    return request;
}

Response with_status(Response response, int status) {
    response.status = status;
    return response;
}

// Tells the owner of a watch that it is over: once, even if its coroutine never ends by itself.
class Farewell {
public:
    explicit Farewell(std::function<void(const std::string&)> on_close)
        : on_close_(std::move(on_close)) {}
    ~Farewell() { say("the server stops"); }
    Farewell(const Farewell&) = delete;
    Farewell& operator=(const Farewell&) = delete;
    void say(const std::string& reason) {
        if (on_close_) std::exchange(on_close_, {})(reason);
    }

private:
    std::function<void(const std::string&)> on_close_;
};

// One connection's requests, one after the other.
template <class Stream>
class Session {
public:
    Session(ServerShared& shared, Stream& stream, Identity peer)
        : shared_(shared), stream_(stream), peer_(std::move(peer)) {}

    asio::awaitable<void> run(std::uint64_t connection);
    void finish() {
        if (!is_busy_) socket().close();
    }
    void abort() {
        socket().close();
        if (waiter_ != nullptr) waiter_->give({503, "text/plain", "the server stops\n"});
    }

private:
    using Parser = http::request_parser<http::string_body>;

    Socket& socket() { return beast::get_lowest_layer(stream_); }
    asio::awaitable<ErrorCode> read(Parser& parser);
    asio::awaitable<Response> answer(Parser& parser);
    asio::awaitable<bool> write(Response response, unsigned version, bool keep);
    asio::awaitable<void> watch(http::request<http::string_body> message, std::uint64_t connection);
    asio::awaitable<void> close();
    std::optional<Response> refusal_of(const ErrorCode& failed) const;

    ServerShared& shared_;
    Stream& stream_;
    const Identity peer_;
    beast::flat_buffer buffer_;
    bool is_busy_ = false;  // a request has begun to arrive and is not yet answered
    Waiter* waiter_ = nullptr;
};

template <class Stream>
asio::awaitable<void> Session<Stream>::run(std::uint64_t connection) {
    bool keep = true;
    while (keep && !shared_.is_stopping) {
        Parser parser;
        const ErrorCode failed = co_await read(parser);
        if (!failed && websocket::is_upgrade(parser.get())) {
            co_await watch(parser.release(), connection);
            co_return;
        }
        auto answered = refusal_of(failed);
        if (failed && !answered) co_return;
        keep = !answered && parser.get().keep_alive() && !shared_.is_stopping;
        const unsigned version = answered ? 11 : parser.get().version();
        // No `?:` around co_await: g++ 12 destroys the result of such an expression twice.
        if (!answered) answered.emplace(co_await answer(parser));
        const bool written = co_await write(std::move(*answered), version, keep);
        if (!written) co_return;
        is_busy_ = false;
    }
    co_await close();
}

template <class Stream>
asio::awaitable<ErrorCode> Session<Stream>::read(Parser& parser) {
    parser.header_limit(max_header_bytes);
    parser.body_limit(shared_.options.max_body_bytes);
    socket().expires_after(shared_.options.request_timeout);
    ErrorCode failed;
    co_await http::async_read_header(stream_, buffer_, parser, into(failed));
    is_busy_ = true;
    if (failed || websocket::is_upgrade(parser.get())) co_return failed;
    if (view(parser.get()[http::field::expect]) == "100-continue") {
        http::response<http::empty_body> go_on(http::status::continue_, 11);
        co_await http::async_write(stream_, go_on, into(failed));
        if (failed) co_return failed;
    }
    co_await http::async_read(stream_, buffer_, parser, into(failed));
    co_return failed;
}

// What to tell a client whose request could not be read; nothing if it is simply gone.
template <class Stream>
std::optional<Response> Session<Stream>::refusal_of(const ErrorCode& failed) const {
    if (!failed || failed == http::error::end_of_stream ||
        failed == http::error::partial_message) {
        return std::nullopt;
    }
    if (failed == http::error::body_limit) {
        return problem(Error{Errc::limit, "request", "body",
                             "is larger than " + std::to_string(shared_.options.max_body_bytes) +
                                 " bytes"});
    }
    if (failed.category() != make_error_code(http::error::bad_version).category()) {
        return std::nullopt;
    }
    return with_status(problem(invalid("request", failed.message())), 400);
}

template <class Stream>
asio::awaitable<Response> Session<Stream>::answer(Parser& parser) {
    const auto request = make_request(parser.get(), peer_);
    if (!request) co_return with_status(problem(request.error()), 400);
    socket().expires_never();
    Waiter waiter(stream_.get_executor());
    waiter_ = &waiter;
    shared_.handler(*request, waiter.reply());
    Response response = co_await waiter.wait();
    waiter_ = nullptr;
    co_return response;
}

template <class Stream>
asio::awaitable<bool> Session<Stream>::write(Response response, unsigned version, bool keep) {
    http::response<http::string_body> message;
    message.version(version);
    message.result(static_cast<unsigned>(response.status));
    message.set(http::field::content_type, response.content_type);
    message.set(http::field::server, "weir");
    message.body() = std::move(response.body);
    message.keep_alive(keep);
    message.prepare_payload();
    socket().expires_after(shared_.options.request_timeout);
    ErrorCode failed;
    co_await http::async_write(stream_, message, into(failed));
    co_return !failed;
}

template <class Stream>
asio::awaitable<void> Session<Stream>::close() {
    if constexpr (std::is_same_v<Stream, TlsStream>) {
        ErrorCode ignored;
        socket().expires_after(finish_timeout);
        co_await stream_.async_shutdown(into(ignored));
    }
    co_await linger(socket());
}

template <>
asio::awaitable<void> Session<Socket>::watch(http::request<http::string_body>, std::uint64_t) {
    const Error error{Errc::denied, "watch", {}, "needs TLS and a certificate"};
    co_await write(with_status(problem(error), 403), 11, false);
    co_await close();
}

template <>
asio::awaitable<void> Session<TlsStream>::watch(http::request<http::string_body> message,
                                                std::uint64_t connection) {
    const auto request = make_request(message, peer_);
    Error why{Errc::not_found, "watch", {}, "there is nothing to watch here"};
    if (!request) why = request.error();
    // The handler sees the session before the handshake is answered; what it sends is queued.
    const auto late = std::make_shared<WatchHandle>(peer_, shared_.options.max_watch_queue_bytes);
    Result<WatchEvents> events = why;
    if (request && shared_.watch) events = shared_.watch(*request, late);
    if (!events) {
        const int status = peer_.role == Role::none ? 401 : status_of(events.error().code);
        co_await write(with_status(problem(events.error()), status), 11, false);
        co_await close();
        co_return;
    }
    Farewell farewell(events->on_close);
    const auto open =
        std::make_shared<WatchStream>(std::move(stream_), late, shared_.options.watch_timeout);
    shared_.replace(
        connection, [open] { open->handle()->close("the server stops"); },
        [open] { open->abort("the server stops"); });
    ErrorCode failed;
    co_await open->stream().async_accept(message, into(failed));
    std::string reason = failed.message();
    if (!failed) reason = co_await open->run(events->on_message);
    late->detach();
    shared_.replace(connection, [] {}, [] {});
    farewell.say(reason);
}

template <class Stream>
asio::awaitable<void> serve(ServerShared& shared, Session<Stream>& session, const Entry& entry) {
    if (!shared.is_stopping) co_await session.run(entry.id());
}

}  // namespace

asio::awaitable<void> serve_tls(ServerShared& shared, Socket::socket_type socket) {
    TlsStream stream(Socket(std::move(socket)), *shared.tls);
    Socket& lowest = beast::get_lowest_layer(stream);
    const auto close = [&lowest] { lowest.close(); };
    const Entry entry(shared, {stream.get_executor(), close, close});
    ErrorCode failed;
    lowest.expires_after(handshake_timeout);
    co_await stream.async_handshake(asio::ssl::stream_base::server, into(failed));
    if (failed) {
        log::info("rest.handshake_refused", {{"why", failed.message()}});
        co_await linger(lowest);
        co_return;
    }
    auto peer = identity_of(stream);
    if (!peer) {
        log::warn("rest.certificate_refused", {{"why", peer.error().message}});
        co_await linger(lowest);
        co_return;
    }
    Session<TlsStream> session(shared, stream, std::move(*peer));
    shared.replace(entry.id(), [&session] { session.finish(); }, [&session] { session.abort(); });
    co_await serve(shared, session, entry);
    shared.replace(entry.id(), [] {}, [] {});
}

asio::awaitable<void> serve_plain(ServerShared& shared, Socket::socket_type socket, Role role) {
    Socket stream(std::move(socket));
    Session<Socket> session(shared, stream, Identity{role, {}});
    const Entry entry(shared, {stream.get_executor(), [&session] { session.finish(); },
                               [&session] { session.abort(); }});
    co_await serve(shared, session, entry);
}

}  // namespace weir::rest
