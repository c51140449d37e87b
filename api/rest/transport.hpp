#pragma once
#include <utility>

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/ssl.hpp>

#include "api/rest/identity.hpp"
#include "api/rest/message.hpp"
#include "api/rest/pki.hpp"

// Streams and TLS contexts shared by the sources of this folder. Heavy: never in another header
// that leaves the folder.
namespace weir::rest {

namespace asio = boost::asio;
namespace beast = boost::beast;
using ErrorCode = boost::system::error_code;

// TCP and Unix sockets are one type, so that every session is compiled once per kind of security.
using Socket = beast::basic_stream<asio::generic::stream_protocol, asio::any_io_executor>;
using TlsStream = beast::ssl_stream<Socket>;
using TlsContext = asio::ssl::context;

enum class Side : std::uint8_t { server, client };

// Certificates a server asks of its clients.
enum class Demand : std::uint8_t { optional, required };

// TLS 1.3, trusting only `credentials.ca`. A client additionally refuses a server whose
// certificate is not a controller's.
Result<TlsContext> make_tls_context(Side side, const Credentials& credentials,
                                    Demand demand = Demand::optional);

// Who the other side has proven to be; role none if it showed no certificate.
Result<Identity> identity_of(TlsStream& stream);

// Says whether a transport error means a refusal (certificates) or only absence.
Error transport_error(const std::string& object, const char* what, const ErrorCode& failed);

// Connects a fresh socket to `target`; the deadline is set by the caller on `socket`.
asio::awaitable<ErrorCode> connect(Socket& socket, const Target& target);

// Ends our half and reads away what the other side still sends (a second, 1 MiB at most): closing
// at once would reset the connection and could take our last words with it.
asio::awaitable<void> linger(Socket& socket);

// Small messages do not wait for the acknowledgement of earlier ones. No effect on Unix sockets.
void send_at_once(Socket::socket_type& socket);

// `co_await operation(..., into(ec))` reports by `ec` and not by an exception.
inline auto into(ErrorCode& failed) { return asio::redirect_error(asio::use_awaitable, failed); }

}  // namespace weir::rest
