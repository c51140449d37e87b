#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "api/rest/message.hpp"
#include "api/rest/pki.hpp"
#include "base/result.hpp"

// A watch: one WebSocket over mutual TLS between a controller and a host, text messages both ways.
namespace weir::rest {

// One end of an open watch. Thread-safe; inert once the watch is closed.
class WatchSession {
public:
    virtual ~WatchSession() = default;

    // Queues a message. If the other side reads too slowly for the queue's bound, the watch is
    // closed with a reason.
    virtual void send(std::string text) = 0;

    // Sends what is queued, then closes. `reason` (≤ 123 bytes) reaches the other side.
    virtual void close(std::string reason) = 0;
    virtual const Identity& peer() const = 0;
};

struct WatchEvents {
    std::function<void(std::string_view text)> on_message;   // one at a time
    std::function<void(const std::string& reason)> on_close;  // once, after the last on_message
};

// Admits a watch (and may already send into it) or refuses it with an error.
using WatchHandler =
    std::function<Result<WatchEvents>(const Request&, std::shared_ptr<WatchSession>)>;

struct WatchClientOptions {
    Target target;  // https
    Credentials credentials;
    std::string path = "/v1/watch";
    Milliseconds connect_timeout{5'000};
    Milliseconds watch_timeout{10'000};
    Milliseconds first_retry{50};  // doubles up to `last_retry`; each wait is 50–100 % of it
    Milliseconds last_retry{2'000};
    std::size_t max_queue_bytes = max_watch_message_bytes;
};

// All are called on the client's own thread.
struct WatchClientEvents {
    std::function<void(std::shared_ptr<WatchSession>)> on_open;
    std::function<void(std::string_view text)> on_message;
    std::function<void(const Error& why)> on_down;  // also for every attempt that fails
};

// Keeps one watch open, reconnecting until it is stopped.
class WatchClient {
public:
    static Result<std::unique_ptr<WatchClient>> start(WatchClientOptions options,
                                                      WatchClientEvents events);
    ~WatchClient();  // stops
    void stop();     // no event arrives afterwards; not to be called from an event

private:
    struct Core;
    explicit WatchClient(std::unique_ptr<Core> core);
    std::unique_ptr<Core> core_;
};

}  // namespace weir::rest
