#pragma once
#include <memory>
#include <string>
#include <thread>

#include "api/rest/server.hpp"
#include "apps/controller/event_log.hpp"
#include "apps/controller/host_table.hpp"
#include "apps/controller/intent.hpp"
#include "apps/controller/moves.hpp"
#include "features/feature.hpp"

namespace weir::controller {

struct ControllerOptions {
    std::unique_ptr<cluster::Store> store;
    features::Features features;  // the kinds, too, come from them
    std::string token;            // that an administrator shows; empty: none is accepted
    rest::ServerOptions server;
    RolloutTimes rollout;
};

// A controller: intent, hosts and the API that changes the one and shows both.
class Controller {
public:
    static Result<std::unique_ptr<Controller>> start(ControllerOptions options);
    ~Controller();
    Controller(const Controller&) = delete;
    Controller& operator=(const Controller&) = delete;

    std::uint16_t port(std::size_t endpoint) const { return server_->port(endpoint); }

private:
    Controller() = default;

    model::Registry registry_;
    EventLog events_;
    std::unique_ptr<HostTable> hosts_;
    std::unique_ptr<Intent> intent_;
    std::unique_ptr<Moves> moves_;
    std::unique_ptr<class Api> api_;
    std::unique_ptr<rest::Server> server_;
    std::jthread ticker_;
};

}  // namespace weir::controller
