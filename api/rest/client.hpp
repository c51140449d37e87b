#pragma once
#include <string>
#include <string_view>

#include "api/rest/message.hpp"
#include "api/rest/pki.hpp"
#include "base/result.hpp"

namespace weir::rest {

struct ClientOptions {
    Target target;
    Credentials credentials;  // for https: at least the authority's certificate
    std::string token;        // for https without a certificate
    Milliseconds timeout{10'000};  // for each of: connecting, sending, the answer
};

// A blocking HTTP client; one connection per request.
class Client {
public:
    explicit Client(ClientOptions options) : options_(std::move(options)) {}

    // `target` is a path with its query, escaped. An answer of any status is a value;
    // Errc::unavailable or Errc::denied if there was none.
    Result<Response> request(std::string_view method, std::string_view target,
                             std::string body = {},
                             std::string_view content_type = "application/json") const;

    const Target& target() const { return options_.target; }

private:
    ClientOptions options_;
};

}  // namespace weir::rest
