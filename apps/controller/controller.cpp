#include "apps/controller/controller.hpp"

#include <chrono>
#include <condition_variable>

#include "apps/controller/api.hpp"
#include "apps/controller/node_move.hpp"
#include "apps/controller/port_move.hpp"
#include "base/log.hpp"

namespace weir::controller {
namespace {

std::uint64_t seconds_since_1970() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now);
    return static_cast<std::uint64_t>(seconds.count());
}

// Time goes on: what was remembered may be over.
void pass_time(features::Features features, Intent& intent, bool is_start) {
    const auto report = [&](model::Snapshot& reported) {
        const auto now = intent.current();
        const features::Occasion occasion{now->intent, now->intent, seconds_since_1970(), is_start};
        return features::remember(features, occasion, reported);
    };
    if (const Status status = intent.report(report, "time"); !status)
        log::warn("time.not_stored", {{"why", status.error().text()}});
}

void tick(features::Features features, Intent& intent, HostTable& hosts,
          const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    while (!stopped.wait_for(lock, stop, std::chrono::milliseconds(250),
                             [&] { return stop.stop_requested(); })) {
        pass_time(features, intent, false);
        hosts.tick();
    }
}

}  // namespace

Controller::~Controller() {
    ticker_ = {};
    if (server_) server_->stop();
    moves_.reset();  // now that nobody asks about them
}

Result<std::unique_ptr<Controller>> Controller::start(ControllerOptions options) {
    std::unique_ptr<Controller> made(new Controller);
    Controller& c = *made;
    const auto features = options.features;
    c.registry_ = features::registry_of(features);
    const Plan plan = [features, registry = &c.registry_](const State& state,
                                                          std::string_view host) {
        return features::plan_for(features, *registry, state.intent, state.reported, host);
    };
    const ReportTaker take = [features, controller = &c](const model::Value& event,
                                                         const std::string& host) {
        model::Value heard = event;
        heard.set("heard_s", seconds_since_1970());
        const auto report = [&](model::Snapshot& reported) {
            const auto now = controller->intent_->current();
            return features::take_report(features, heard, host, now->intent, reported);
        };
        const Status status = controller->intent_->report(report, "report of host/" + host);
        if (!status) log::error("report.not_stored", {{"why", status.error().text()}});
        return status.ok();
    };
    c.hosts_ = std::make_unique<HostTable>(c.registry_, plan, take, c.events_,
                                           Rollout(features, options.rollout));
    HostTable* const hosts = c.hosts_.get();
    auto intent = Intent::open(
        c.registry_, std::move(options.store),
        [hosts](auto state) { hosts->publish(std::move(state)); },
        [features](const auto& before, const auto& after, auto& reported) {
            return features::remember(features, {before, after, seconds_since_1970()}, reported);
        });
    if (!intent) return intent.error();
    c.intent_ = std::move(*intent);
    pass_time(features, *c.intent_, true);
    forget_unrecorded_node_moves(*c.intent_);
    c.moves_ = std::make_unique<Moves>(std::make_unique<HostGround>(*c.intent_, *hosts, c.events_));
    c.moves_->recover([](const model::Move& record) {
        return record.subject == model::MoveSubject::port ? resumed_move_of_port(record)
                                                          : resumed_move_of_node(record);
    });
    c.api_ =
        std::make_unique<Api>(c.registry_, *c.intent_, *hosts, c.events_, *c.moves_, options.token);
    auto server = rest::Server::start(
        std::move(options.server),
        [api = c.api_.get()](const rest::Request& request, rest::Reply reply) {
            api->handle(request, std::move(reply));
        },
        [hosts](const rest::Request& request,
                std::shared_ptr<rest::WatchSession> session) -> Result<rest::WatchEvents> {
            if (request.route.parts != std::vector<std::string>{"v1", "watch"}) {
                return Error{Errc::not_found, "watch", {}, "watches are opened at /v1/watch"};
            }
            return hosts->admit(request, std::move(session));
        });
    if (!server) return server.error();
    c.server_ = std::move(*server);
    c.ticker_ =
        std::jthread([features, intent = c.intent_.get(), hosts](const std::stop_token& stop) {
            tick(features, *intent, *hosts, stop);
        });
    log::info("controller.started", {{"revision", c.intent_->current()->revision},
                                     {"resources", c.intent_->current()->intent.size()}});
    return made;
}

}  // namespace weir::controller
