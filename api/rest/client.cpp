#include "api/rest/client.hpp"

#include "api/rest/transport.hpp"

#include <boost/beast/http.hpp>
#include <optional>

namespace weir::rest {
namespace {

namespace http = beast::http;
using Message = http::request<http::string_body>;

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

// One request over a stream that is connected and, if TLS, not yet shaken hands.
class Exchange {
public:
    Exchange(const ClientOptions& options, Message message)
        : options_(options), message_(std::move(message)), where_(options.target.text()) {}

    asio::awaitable<void> over_plain();
    asio::awaitable<void> over_tls(TlsContext& context);
    Result<Response> take() { return std::move(*result_); }

private:
    template <class Stream>
    asio::awaitable<void> talk(Stream& stream);
    bool fail(const char* what, const ErrorCode& failed) {
        if (failed) result_ = transport_error(where_, what, failed);
        return static_cast<bool>(failed);
    }

    const ClientOptions& options_;
    const Message message_;
    const std::string where_;
    std::optional<Result<Response>> result_;
};

asio::awaitable<void> Exchange::over_plain() {
    Socket socket(co_await asio::this_coro::executor);
    socket.expires_after(options_.timeout);
    const ErrorCode failed = co_await connect(socket, options_.target);
    if (!fail("cannot connect", failed)) co_await talk(socket);
}

asio::awaitable<void> Exchange::over_tls(TlsContext& context) {
    TlsStream stream(co_await asio::this_coro::executor, context);
    Socket& socket = beast::get_lowest_layer(stream);
    socket.expires_after(options_.timeout);
    ErrorCode failed = co_await connect(socket, options_.target);
    if (fail("cannot connect", failed)) co_return;
    socket.expires_after(options_.timeout);
    co_await stream.async_handshake(asio::ssl::stream_base::client, into(failed));
    if (!fail("TLS handshake", failed)) co_await talk(stream);
}

template <class Stream>
asio::awaitable<void> Exchange::talk(Stream& stream) {
    Socket& socket = beast::get_lowest_layer(stream);
    ErrorCode failed;
    socket.expires_after(options_.timeout);
    co_await http::async_write(stream, message_, into(failed));
    if (fail("cannot send", failed)) co_return;
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(max_response_bytes);
    socket.expires_after(options_.timeout);
    co_await http::async_read(stream, buffer, parser, into(failed));
    if (fail("no answer", failed)) co_return;
    auto& message = parser.get();
    result_ = Response{static_cast<int>(message.result_int()),
                       std::string(view(message[http::field::content_type])),
                       std::move(message.body())};
}

Message make_message(const ClientOptions& options, std::string_view method,
                     std::string_view target, std::string body, std::string_view content_type) {
    Message message;
    message.version(11);
    message.method_string({method.data(), method.size()});
    message.target({target.data(), target.size()});
    const bool is_local = options.target.kind == Target::Kind::unix_socket;
    message.set(http::field::host, is_local ? std::string("localhost") : options.target.host);
    message.set(http::field::user_agent, "weir");
    message.set(http::field::connection, "close");
    if (!options.token.empty()) message.set(http::field::authorization, "Bearer " + options.token);
    if (!body.empty()) {
        message.set(http::field::content_type,
                    beast::string_view(content_type.data(), content_type.size()));
    }
    message.body() = std::move(body);
    message.prepare_payload();
    return message;
}

}  // namespace

Result<Response> Client::request(std::string_view method, std::string_view target,
                                 std::string body, std::string_view content_type) const {
    Exchange exchange(options_,
                      make_message(options_, method, target, std::move(body), content_type));
    asio::io_context io(1);
    if (options_.target.kind != Target::Kind::tls) {
        asio::co_spawn(io, exchange.over_plain(), asio::detached);
        io.run();
        return exchange.take();
    }
    auto context = make_tls_context(Side::client, options_.credentials);
    if (!context) return context.error();
    asio::co_spawn(io, exchange.over_tls(*context), asio::detached);
    io.run();
    return exchange.take();
}

}  // namespace weir::rest
