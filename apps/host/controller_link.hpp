#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "model/delta.hpp"
#include "model/snapshot.hpp"
#include "model/value.hpp"

namespace weir::rest {
class HostLink;
}

namespace weir::host {

// What the link asks of the host. Called on the link's own thread, one at a time.
struct LinkDuties {
    std::function<model::Snapshot()> running;           // what the host runs now
    std::function<Status(const model::Delta&)> change;  // apply it, or say why not
    std::function<model::Value(const model::Value&)> query;
};

// The way to the controller: mutual TLS, one watch. Losing it changes nothing on the host.
class ControllerLink {
public:
    // `controller`: "IP:PORT"; `cert_dir`: ca.pem, cert.pem, key.pem of this host.
    static Result<std::unique_ptr<ControllerLink>> start(const std::string& controller,
                                                         const std::string& cert_dir,
                                                         const std::string& host,
                                                         LinkDuties duties);
    ~ControllerLink();
    void stop();  // waits for the call under way
    void send_event(const std::string& json);  // now, or when the controller is back
    std::uint64_t lost_events() const;

private:
    explicit ControllerLink(std::unique_ptr<rest::HostLink> link);
    std::unique_ptr<rest::HostLink> link_;
};

}  // namespace weir::host
