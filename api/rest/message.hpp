#pragma once
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api/rest/identity.hpp"
#include "base/result.hpp"

namespace weir::rest {

using Milliseconds = std::chrono::milliseconds;

inline constexpr std::size_t max_request_bytes = 16u << 20;
inline constexpr std::size_t max_response_bytes = 64u << 20;
inline constexpr std::size_t max_header_bytes = 16u << 10;
inline constexpr std::size_t max_watch_message_bytes = 64u << 20;

// The path of a request, without escapes, and its query.
struct Route {
    std::vector<std::string> parts;  // "/v1/port/g1" → {"v1", "port", "g1"}
    std::map<std::string, std::string, std::less<>> query;

    static Result<Route> parse(std::string_view target);
    std::string_view value(std::string_view key) const;  // "" if the query has none
    bool flag(std::string_view key) const;               // ?key, ?key=true, ?key=1
};

// `text` with everything but letters, digits and -._~ escaped as %XX.
std::string escape(std::string_view text);

struct Request {
    std::string method;  // "GET"
    Route route;
    std::string content_type;
    std::string body;
    std::string token;  // from "Authorization: Bearer …"; not yet compared with anything
    Identity peer;      // proven by the certificate or the kind of endpoint
};

struct Response {
    int status = 200;
    std::string content_type = "application/json";
    std::string body;
};

// May be called from any thread, once; dropping it uncalled answers 500.
using Reply = std::function<void(Response)>;
using Handler = std::function<void(const Request&, Reply)>;

// {"errors":[{"object":…,"field":…,"message":…}]} with the status that fits the first error.
Response problem(const std::vector<Error>& errors);
Response problem(const Error& error);
int status_of(Errc code);

// The errors a response carries, if its status says it failed; empty otherwise.
std::vector<Error> errors_in(const Response& response);

// Where a server is: "https://host:port", "http://host:port" or "unix:/path".
struct Target {
    enum class Kind : std::uint8_t { tls, plain, unix_socket };
    Kind kind = Kind::unix_socket;
    std::string host;  // without brackets; or the path of the socket
    std::string port;

    static Result<Target> parse(std::string_view text);
    std::string text() const;
};

// "IP:PORT" or "[IP6]:PORT".
struct HostPort {
    std::string host;
    std::string port;
    static Result<HostPort> parse(std::string_view text);
};

}  // namespace weir::rest
