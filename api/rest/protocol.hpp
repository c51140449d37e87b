#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.hpp"
#include "model/canonical.hpp"
#include "model/delta.hpp"
#include "model/value.hpp"

// The messages of a watch, as JSON objects with a "type" (service-plane CP-1): the host says what
// it runs, the controller sends differences, the host says what became of each.
namespace weir::rest {

// First message of a host, and again whenever a change does not fit what it runs.
struct Hello {
    std::string host;
    std::uint64_t applied = 0;  // revision it runs; 0: none yet
    model::Digests digests;     // of every resource it runs
};
struct Applied {
    std::uint64_t revision = 0;
};
struct Refused {
    std::uint64_t revision = 0;
    Error error;
};
// Answer to a query of the same id.
struct QueryReply {
    std::uint64_t id = 0;
    Result<model::Value> body = model::Value();
};
// Something worth telling, with members of the sender's choice. Sent again over the next watch
// until it is known to be taken, so it may come twice.
struct HostEvent {
    std::uint64_t number = 0;  // counts up in the order of events; 0: needs no EventsTaken
    model::Value fields;
};
using HostMessage = std::variant<Hello, Applied, Refused, QueryReply, HostEvent>;

// Makes the host's set of resources that of `target_revision`. Sent again only after an answer.
struct ChangeMessage {
    model::Delta delta;
};
struct Query {
    std::uint64_t id = 0;
    model::Value body;
};
// What events up to this number mean for the controller is stored.
struct EventsTaken {
    std::uint64_t number = 0;
};
using ControllerMessage = std::variant<ChangeMessage, Query, EventsTaken>;

std::string encode(const HostMessage& message);
std::string encode(const ControllerMessage& message);

// Errors name the member that is missing or wrong. The text is untrusted.
Result<HostMessage> decode_host_message(std::string_view text);
Result<ControllerMessage> decode_controller_message(std::string_view text);

}  // namespace weir::rest
