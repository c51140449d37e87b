#include "apps/host/controller_link.hpp"

#include <utility>

#include "api/rest/host_link.hpp"
#include "api/rest/pki.hpp"
#include "apps/host/host_config.hpp"
#include "base/log.hpp"
#include "model/canonical.hpp"
#include "model/json.hpp"

namespace weir::host {
namespace {

Result<model::Value> answer_or_error(model::Value answer) {
    const model::Value* error = answer.find("error");
    if (!error) return answer;
    return Error{Errc::invalid, "query", {}, error->as_text()};
}

}  // namespace

ControllerLink::ControllerLink(std::unique_ptr<rest::HostLink> link) : link_(std::move(link)) {}
ControllerLink::~ControllerLink() = default;

Result<std::unique_ptr<ControllerLink>> ControllerLink::start(const std::string& controller,
                                                              const std::string& cert_dir,
                                                              const std::string& host,
                                                              LinkDuties duties) {
    Result<rest::Target> target = rest::Target::parse("https://" + controller);
    if (!target) return target.error();
    Result<rest::Credentials> credentials = rest::load_credentials(cert_dir);
    if (!credentials) return credentials.error();

    rest::HostLinkOptions options;
    options.controller = std::move(*target);
    options.credentials = std::move(*credentials);
    options.host = host;
    rest::HostLinkEvents events;
    events.state = [running = std::move(duties.running)] {
        const model::Snapshot now = running();
        return rest::HostState{now.revision, model::digests(registry(), now)};
    };
    events.on_change = std::move(duties.change);
    events.on_query = [query = std::move(duties.query)](const model::Value& body) {
        return answer_or_error(query(body));
    };
    events.on_link = [last = std::string()](bool is_up, const Error& why) mutable {
        const std::string now = is_up ? "" : why.text();
        if (is_up) {
            log::info("controller.up");
        } else if (now != last) {  // not once per attempt
            log::warn("controller.down", {{"why", now}});
        }
        last = now;
    };
    auto link = rest::HostLink::start(std::move(options), std::move(events));
    if (!link) return link.error();
    return std::unique_ptr<ControllerLink>(new ControllerLink(std::move(*link)));
}

void ControllerLink::stop() {
    link_->stop();
}

void ControllerLink::send_event(const std::string& json) {
    if (const Result<model::Value> fields = model::parse_json(json)) link_->send_event(*fields);
}

std::uint64_t ControllerLink::lost_events() const {
    return link_->lost_events();
}

}  // namespace weir::host
