#include "features/arrivals.hpp"

#include "model/core_resources.hpp"

namespace weir::features {

model::Snapshot as_if_arrived(const model::Snapshot& intent, const std::set<std::string>& ports,
                              std::string_view host) {
    model::Snapshot out = intent;
    for (const std::string& name : ports) {
        const auto* found = intent.find<model::Port>(name);
        if (!found) continue;
        model::Port port = *found;
        port.host.name = host;
        out.put(std::move(port));
    }
    return out;
}

void as_they_are(const model::Snapshot& intent, const std::set<std::string>& ports,
                 model::Snapshot& plan) {
    for (const std::string& name : ports) {
        const auto* found = intent.find<model::Port>(name);
        const auto* planned = plan.find<model::Port>(name);
        if (!found || !planned) continue;
        model::Port port = *planned;
        port.host = found->host;
        plan.put(std::move(port));
        if (const auto* host = intent.find<model::Host>(found->host.name)) plan.put(*host);
    }
}

}  // namespace weir::features
