#include "api/rest/transport.hpp"

#include <openssl/ssl.h>

#include "api/rest/x509.hpp"

namespace weir::rest {
namespace {

// Preverified says the chain is good; the leaf must also be a controller's.
bool is_controller(bool preverified, asio::ssl::verify_context& context) {
    if (!preverified) return false;
    X509_STORE_CTX* store = context.native_handle();
    if (X509_STORE_CTX_get_error_depth(store) != 0) return true;
    const auto identity = identity_of(X509_STORE_CTX_get_current_cert(store));
    if (identity && identity->role == Role::controller) return true;
    X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
    return false;
}

bool use_files(TlsContext& context, const Credentials& credentials, ErrorCode& failed) {
    context.add_certificate_authority(asio::buffer(credentials.ca), failed);
    if (failed || (credentials.cert.empty() && credentials.key.empty())) return !failed;
    context.use_certificate(asio::buffer(credentials.cert), TlsContext::pem, failed);
    if (!failed) context.use_private_key(asio::buffer(credentials.key), TlsContext::pem, failed);
    return !failed;
}

}  // namespace

Result<TlsContext> make_tls_context(Side side, const Credentials& credentials, Demand demand) {
    TlsContext context(side == Side::server ? TlsContext::tls_server : TlsContext::tls_client);
    SSL_CTX* native = context.native_handle();
    SSL_CTX_set_min_proto_version(native, TLS1_3_VERSION);
    // Every connection proves itself anew: no tickets, no cache.
    SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(native, 0);
    ErrorCode failed;
    if (!use_files(context, credentials, failed)) {
        return Error{Errc::invalid, "certificate", {}, "cannot be used: " + failed.message()};
    }
    if (side == Side::server && credentials.cert.empty()) {
        return Error{Errc::invalid, "certificate", {}, "a TLS server needs one"};
    }
    asio::ssl::verify_mode mode = asio::ssl::verify_peer;
    if (demand == Demand::required) mode |= asio::ssl::verify_fail_if_no_peer_cert;
    context.set_verify_mode(mode, failed);
    if (side == Side::client) context.set_verify_callback(is_controller, failed);
    if (failed) return Error{Errc::internal, "certificate", {}, failed.message()};
    return context;
}

Result<Identity> identity_of(TlsStream& stream) {
    const X509Ptr certificate(SSL_get1_peer_certificate(stream.native_handle()));
    if (!certificate) return Identity{};
    return identity_of(certificate.get());
}

Error transport_error(const std::string& object, const char* what, const ErrorCode& failed) {
    const bool is_refusal = failed.category() == asio::error::get_ssl_category();
    std::string why = failed == beast::error::timeout ? "no answer in time" : failed.message();
    return {is_refusal ? Errc::denied : Errc::unavailable, object, {},
            std::string(what) + ": " + std::move(why)};
}

void send_at_once(Socket::socket_type& socket) {
    ErrorCode ignored;
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
}

asio::awaitable<void> linger(Socket& socket) {
    ErrorCode failed;
    socket.socket().shutdown(asio::socket_base::shutdown_send, failed);
    socket.expires_after(std::chrono::seconds(1));
    std::vector<char> rest(65536);
    for (int i = 0; i < 16 && !failed; ++i) {
        co_await socket.async_read_some(asio::buffer(rest), into(failed));
    }
}

asio::awaitable<ErrorCode> connect(Socket& socket, const Target& target) {
    ErrorCode failed;
    if (target.kind == Target::Kind::unix_socket) {
        if (target.host.size() >= 108) co_return asio::error::name_too_long;
        const asio::generic::stream_protocol::endpoint endpoint(
            asio::local::stream_protocol::endpoint(target.host));
        co_await socket.async_connect(endpoint, into(failed));
        co_return failed;
    }
    asio::ip::tcp::resolver resolver(socket.get_executor());
    const auto found = co_await resolver.async_resolve(target.host, target.port, into(failed));
    if (failed) co_return failed;
    failed = asio::error::host_not_found;
    for (const auto& entry : found) {
        const asio::generic::stream_protocol::endpoint endpoint(entry.endpoint());
        co_await socket.async_connect(endpoint, into(failed));
        if (!failed) {
            send_at_once(socket.socket());
            co_return failed;
        }
        socket.close();
    }
    co_return failed;
}

}  // namespace weir::rest
