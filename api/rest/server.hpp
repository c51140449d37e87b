#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/rest/message.hpp"
#include "api/rest/pki.hpp"
#include "api/rest/watch.hpp"
#include "base/result.hpp"

// An asynchronous HTTP/1.1 server: a few threads for any number of connections.
namespace weir::rest {

struct Endpoint {
    Target::Kind kind = Target::Kind::unix_socket;
    std::string address;  // "IP:PORT" (port 0: the system chooses) or the path of a socket
};

struct ServerOptions {
    std::vector<Endpoint> endpoints;
    Credentials credentials;           // shown on TLS endpoints
    bool require_certificate = false;  // false: a client without one arrives as Role::none
    unsigned threads = 2;
    std::size_t max_connections = 1024;
    std::size_t max_body_bytes = max_request_bytes;
    Milliseconds request_timeout{30'000};  // for a whole request to arrive, idle time included
    Milliseconds watch_timeout{10'000};    // a watch that shows no life for this long is closed
    std::size_t max_watch_queue_bytes = 2 * max_watch_message_bytes;
};

class Server {
public:
    // Listens on every endpoint or on none. Both handlers run on the server's threads.
    static Result<std::unique_ptr<Server>> start(ServerOptions options, Handler handler,
                                                 WatchHandler watch = {});
    ~Server();  // stops

    std::uint16_t port(std::size_t endpoint) const;  // of a TCP endpoint, host byte order

    // Lets requests under way finish (at most 2 s), closes everything, ends the threads.
    // No handler runs afterwards and every watch has had its on_close.
    void stop();

private:
    struct Core;
    explicit Server(std::unique_ptr<Core> core);
    std::unique_ptr<Core> core_;
};

}  // namespace weir::rest
