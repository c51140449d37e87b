#pragma once
#include <functional>
#include <memory>
#include <string>

#include "api/rest/message.hpp"
#include "api/rest/pki.hpp"
#include "base/limits.hpp"
#include "base/result.hpp"
#include "model/canonical.hpp"
#include "model/delta.hpp"
#include "model/value.hpp"

// The host's end of its watch: says hello, takes changes, answers queries, comes back when the
// controller does. Losing the controller changes nothing on the host.
namespace weir::rest {

struct HostLinkOptions {
    Target controller;  // https
    Credentials credentials;
    std::string host;                   // as in the certificate
    Milliseconds watch_timeout{10'000};  // a controller silent for this long is reconnected to
    Milliseconds last_retry{2'000};     // longest pause between two attempts
    std::size_t max_events = limits::max_event_backlog;
};

// What the host runs now.
struct HostState {
    std::uint64_t applied = 0;  // 0: nothing yet
    model::Digests digests;
};

// All but on_link are called one at a time on the link's working thread and may take long.
struct HostLinkEvents {
    // Asked whenever the link comes up, and after a change that does not fit.
    std::function<HostState()> state;
    // Applies the difference as a whole and answers "applied", or leaves everything as it is and
    // answers why. An empty difference still carries a new revision.
    std::function<Status(const model::Delta&)> on_change;
    std::function<Result<model::Value>(const model::Value& body)> on_query;
    // On the network thread: the link is up, or down and why (also for each attempt that fails).
    std::function<void(bool is_up, const Error& why)> on_link;
};

class HostLink {
public:
    static Result<std::unique_ptr<HostLink>> start(HostLinkOptions options, HostLinkEvents events);
    ~HostLink();  // stops
    void stop();  // waits for the callback under way, if any

    // Tells the controller: now, or when it is back. Events are kept until the controller has taken
    // them; if there are more than `max_events`, the oldest is lost.
    void send_event(const model::Value& fields);
    std::uint64_t lost_events() const;
    std::size_t kept_events() const;  // that no controller is known to have taken
    bool is_up() const;

private:
    struct Core;
    explicit HostLink(std::unique_ptr<Core> core);
    std::unique_ptr<Core> core_;
};

}  // namespace weir::rest
