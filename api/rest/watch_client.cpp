#include <algorithm>
#include <random>
#include <thread>

#include "api/rest/watch_stream.hpp"

namespace weir::rest {

struct WatchClient::Core {
    WatchClientOptions options;
    WatchClientEvents events;
    TlsContext tls{TlsContext::tls_client};
    std::mt19937 random{std::random_device{}()};  // only spreads the retries of many hosts
    std::thread thread;
    bool is_stopping = false;
    asio::io_context io{1};
    std::shared_ptr<WatchStream> open;  // touched on the thread of `io` only
    asio::steady_timer retry{io};

    asio::awaitable<void> keep_open();
    asio::awaitable<Error> attempt(bool& was_open);
    asio::awaitable<Error> shake_hands(std::shared_ptr<WatchStream> stream, bool& was_open);
    Milliseconds jittered(Milliseconds delay);
};

Milliseconds WatchClient::Core::jittered(Milliseconds delay) {
    std::uniform_int_distribution<Milliseconds::rep> part(delay.count() / 2, delay.count());
    return Milliseconds(part(random));
}

asio::awaitable<void> WatchClient::Core::keep_open() {
    Milliseconds delay = options.first_retry;
    while (!is_stopping) {
        bool was_open = false;
        const Error why = co_await attempt(was_open);
        if (is_stopping) break;
        events.on_down(why);
        if (was_open) delay = options.first_retry;
        ErrorCode ignored;
        retry.expires_after(jittered(delay));
        delay = std::min(delay * 2, options.last_retry);
        co_await retry.async_wait(into(ignored));
    }
}

asio::awaitable<Error> WatchClient::Core::attempt(bool& was_open) {
    const std::string where = options.target.text();
    TlsStream tls_stream(asio::any_io_executor(io.get_executor()), tls);
    Socket& socket = beast::get_lowest_layer(tls_stream);
    socket.expires_after(options.connect_timeout);
    ErrorCode failed = co_await connect(socket, options.target);
    if (failed) co_return transport_error(where, "cannot connect", failed);
    socket.expires_after(options.connect_timeout);
    co_await tls_stream.async_handshake(asio::ssl::stream_base::client, into(failed));
    if (failed) co_return transport_error(where, "TLS handshake", failed);
    auto peer = identity_of(tls_stream);
    if (!peer) co_return peer.error();
    auto handle = std::make_shared<WatchHandle>(std::move(*peer), options.max_queue_bytes);
    open = std::make_shared<WatchStream>(std::move(tls_stream), handle, options.watch_timeout);
    Error why = co_await shake_hands(open, was_open);
    open.reset();
    co_return why;
}

asio::awaitable<Error> WatchClient::Core::shake_hands(std::shared_ptr<WatchStream> stream,
                                                      bool& was_open) {
    const std::string where = options.target.text();
    websocket::response_type answer;
    ErrorCode failed;
    co_await stream->stream().async_handshake(answer, options.target.host, options.path,
                                              into(failed));
    if (failed == websocket::error::upgrade_declined) {
        const auto errors = errors_in({static_cast<int>(answer.result_int()), {}, answer.body()});
        co_return errors.empty() ? transport_error(where, "no watch", failed) : errors.front();
    }
    if (failed) co_return transport_error(where, "no watch", failed);
    was_open = true;
    events.on_open(stream->handle());
    const std::string reason = co_await stream->run(events.on_message);
    co_return Error{Errc::unavailable, where, {}, reason};
}

WatchClient::WatchClient(std::unique_ptr<Core> core) : core_(std::move(core)) {}

WatchClient::~WatchClient() { stop(); }

Result<std::unique_ptr<WatchClient>> WatchClient::start(WatchClientOptions options,
                                                        WatchClientEvents events) {
    if (options.target.kind != Target::Kind::tls) {
        return Error{Errc::invalid, options.target.text(), {},
                     "a watch needs mutual TLS: write https://HOST:PORT"};
    }
    auto context = make_tls_context(Side::client, options.credentials);
    if (!context) return context.error();
    auto core = std::make_unique<Core>();
    core->options = std::move(options);
    core->events = std::move(events);
    core->tls = std::move(*context);
    asio::co_spawn(core->io, core->keep_open(), asio::detached);
    core->thread = std::thread([io = &core->io] { io->run(); });
    return std::unique_ptr<WatchClient>(new WatchClient(std::move(core)));
}

void WatchClient::stop() {
    if (!core_->thread.joinable()) return;
    asio::post(core_->io, [core = core_.get()] {
        core->is_stopping = true;
        core->retry.cancel();
        if (core->open) core->open->abort("this side stops");
        if (!core->open) core->io.stop();  // connecting or waiting: nothing worth finishing
    });
    core_->thread.join();
}

}  // namespace weir::rest
