#include "apps/controller/encode.hpp"

#include "api/metrics/metrics.hpp"
#include "model/json.hpp"

namespace weir::controller {
namespace {

using model::Value;

const char* name_of(model::ChangeType type) {
    switch (type) {
        case model::ChangeType::created: return "created";
        case model::ChangeType::changed: return "changed";
        case model::ChangeType::deleted: return "deleted";
    }
    return "changed";
}

}  // namespace

rest::Response json(const Value& value) {
    return {200, "application/json", model::dump_json(value) + "\n"};
}

Value to_value(const HostStatus& status) {
    Value out;
    out.set("name", status.name);
    out.set("connected", status.is_connected);
    out.set("since", status.since_s);
    out.set("desired", status.desired);
    out.set("applied", status.applied);
    Value& waiting = out.set("waiting", Value::array());
    for (const model::ResourceKey& key : status.waiting) waiting.push(key.text());
    if (status.refused) {
        Value& refused = out.set("refused", Value::object());
        refused.set("revision", status.refused->revision);
        refused.set("object", status.refused->error.object);
        refused.set("field", status.refused->error.field);
        refused.set("message", status.refused->error.message);
    }
    return out;
}

Value to_value(const model::Change& change) {
    Value out;
    out.set("type", name_of(change.type));
    out.set("kind", change.key.kind);
    out.set("name", change.key.name);
    Value& fields = out.set("fields", Value::array());
    for (const model::FieldChange& field : change.fields) {
        Value& item = fields.push(Value::object());
        item.set("field", field.field);
        item.set("before", field.before);
        item.set("after", field.after);
    }
    return out;
}

rest::Response outcome_response(const Outcome& outcome, const ApplyOptions& options) {
    if (!outcome.ok()) {
        std::vector<Error> errors = outcome.errors;
        if (outcome.errors_found > errors.size()) {
            errors.push_back({Errc::invalid, {}, {},
                              "and " + std::to_string(outcome.errors_found - errors.size()) +
                                  " more"});
        }
        rest::Response response = rest::problem(errors);
        if (outcome.failure == Outcome::Failure::invalid) response.status = 422;
        return response;
    }
    Value out;
    out.set("revision", outcome.revision);
    out.set("dry_run", options.dry_run);
    Value& changes = out.set("changes", Value::array());
    for (const model::Change& change : outcome.changes) changes.push(to_value(change));
    return json(out);
}

std::string metrics_text(const model::Registry& registry, const model::Snapshot& snapshot,
                         const std::vector<HostStatus>& hosts, std::uint64_t resyncs,
                         const std::map<int, std::uint64_t>& answers) {
    metrics::Page page;
    page.family("weir_controller_revision", metrics::Type::gauge, "Newest revision of the intent.");
    page.sample(snapshot.revision);
    page.family("weir_controller_resources", metrics::Type::gauge, "Resources by kind.");
    for (const model::Kind* kind : registry.kinds()) {
        page.sample(kind->count(snapshot), {{"kind", kind->name()}});
    }
    page.family("weir_controller_host_connected", metrics::Type::gauge,
                "1 if the host's watch is open.");
    for (const HostStatus& host : hosts) page.sample(host.is_connected, {{"host", host.name}});
    page.family("weir_controller_host_applied_revision", metrics::Type::gauge,
                "Revision the host last said it runs.");
    for (const HostStatus& host : hosts) page.sample(host.applied, {{"host", host.name}});
    page.family("weir_controller_host_refused_revision", metrics::Type::gauge,
                "Revision the host refused; 0 if none.");
    for (const HostStatus& host : hosts) {
        page.sample(host.refused ? host.refused->revision : 0, {{"host", host.name}});
    }
    page.family("weir_controller_resyncs_total", metrics::Type::counter,
                "Hosts that came with something else than they should run.");
    page.sample(resyncs);
    page.family("weir_controller_answers_total", metrics::Type::counter, "API answers by status.");
    for (const auto& [status, count] : answers) {
        page.sample(count, {{"status", std::to_string(status)}});
    }
    return page.text();
}

}  // namespace weir::controller
