#pragma once
#include <atomic>
#include <map>
#include <mutex>
#include <string>

#include "api/rest/message.hpp"
#include "apps/controller/event_log.hpp"
#include "apps/controller/host_table.hpp"
#include "apps/controller/intent.hpp"
#include "apps/controller/migration.hpp"
#include "apps/controller/node_moves.hpp"

namespace weir::controller {

// The REST API under /v1 and the metrics. Generic: it learns the kinds from the registry.
class Api {
public:
    Api(const model::Registry& registry, Intent& intent, HostTable& hosts, EventLog& events,
        Migrations& moves, std::string token);

    // Before the first request; whoever leads moves of nodes must outlive this.
    void use(NodeMoves& node_moves) { node_moves_ = &node_moves; }
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
    rest::Response move(const rest::Request& request);
    rest::Response metrics() const;
    rest::Response move_node(const rest::Request& request);
    void query(const rest::Request& request, rest::Reply reply);
    bool is_admin(const rest::Request& request) const;
    ApplyOptions options_of(const rest::Request& request) const;

    const model::Registry& registry_;
    Intent& intent_;
    HostTable& hosts_;
    EventLog& events_;
    Migrations& moves_;
    NodeMoves* node_moves_ = nullptr;
    const std::string token_;
    mutable std::mutex mutex_;
    std::map<int, std::uint64_t> answers_;  // by status
};

}  // namespace weir::controller
