#pragma once
#include <atomic>
#include <map>
#include <mutex>
#include <string>

#include "api/rest/message.hpp"
#include "apps/controller/event_log.hpp"
#include "apps/controller/host_table.hpp"
#include "apps/controller/intent.hpp"
#include "apps/controller/moves.hpp"

namespace weir::controller {

// The REST API under /v1 and the metrics. Generic: it learns the kinds from the registry.
class Api {
public:
    Api(const model::Registry& registry, Intent& intent, HostTable& hosts, EventLog& events,
        Moves& moves, std::string token);

    void handle(const rest::Request& request, rest::Reply reply);

private:
    rest::Response answer(const rest::Request& request);
    rest::Response resource(const rest::Request& request);
    rest::Response collection(const model::Kind& kind) const;
    rest::Response one(const model::Kind& kind, const std::string& name) const;
    rest::Response put(const rest::Request& request, const model::Kind& kind);
    rest::Response erase(const rest::Request& request, const model::Kind& kind);
    rest::Response apply(const rest::Request& request);
    rest::Response revision() const;
    rest::Response history();
    rest::Response hosts() const;
    rest::Response events(const rest::Request& request) const;
    rest::Response move(const rest::Request& request, model::MoveSubject subject);
    Status start_move(const rest::Request& request, model::MoveSubject subject);
    rest::Response metrics() const;
    void query(const rest::Request& request, rest::Reply reply);
    bool is_admin(const rest::Request& request) const;
    ApplyOptions options_of(const rest::Request& request) const;

    const model::Registry& registry_;
    Intent& intent_;
    HostTable& hosts_;
    EventLog& events_;
    Moves& moves_;
    const std::string token_;
    mutable std::mutex mutex_;
    std::map<int, std::uint64_t> answers_;  // by status
};

}  // namespace weir::controller
