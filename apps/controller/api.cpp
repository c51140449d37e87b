#include "apps/controller/api.hpp"

#include <charconv>
#include <optional>
#include <string_view>

#include "api/openapi/openapi.hpp"
#include "apps/controller/encode.hpp"
#include "apps/controller/read_move.hpp"
#include "base/closest.hpp"
#include "base/log.hpp"
#include "model/json.hpp"
#include "model/secret.hpp"
#include "model/yaml.hpp"

namespace weir::controller {
namespace {

using model::MoveSubject;
using model::Value;
using rest::Request;
using rest::Response;

constexpr std::uint64_t default_query_ms = 10'000;
constexpr std::uint64_t max_query_ms = 60'000;
constexpr std::uint64_t default_events = 100;
constexpr std::uint64_t max_events_per_answer = 10'000;

Response with_status(Response response, int status) {
    response.status = status;
    return response;
}

Response no_such(std::string object, std::string message) {
    return rest::problem(Error{Errc::not_found, std::move(object), {}, std::move(message)});
}

Response wrong_method(const Request& request, const char* allowed) {
    return with_status(
        rest::problem(Error{Errc::invalid, "request", "method",
                            request.method + " is not for this path; use " + allowed}),
        405);
}

// Takes as long whatever the difference: a guess learns nothing from the time.
bool same_secret(std::string_view a, std::string_view b) {
    unsigned difference = a.size() == b.size() ? 0 : 1;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const auto right = b.empty() ? '\0' : b[i % b.size()];
        difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(right);
    }
    return difference == 0;
}

// The number in the query, or the fallback if it is not there; an Error if it is no number.
Result<std::uint64_t> number(const Request& request, const char* key, std::uint64_t fallback,
                             std::uint64_t highest) {
    const std::string_view text = request.route.value(key);
    if (text.empty()) return fallback;
    std::uint64_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc{} || end != text.data() + text.size() || value > highest) {
        return Error{Errc::invalid, "request", key,
                     "expected a number up to " + std::to_string(highest)};
    }
    return value;
}

// What is written in the body, whichever of the two notations it is in.
std::vector<model::Document> documents_in(const Request& request, model::Errors& errors) {
    if (request.content_type.find("json") == std::string::npos) {
        return model::parse_documents(request.body, errors);
    }
    std::vector<model::Document> documents;
    auto value = model::parse_json(request.body);
    if (value) {
        model::split_documents(*value, documents, errors);
    } else {
        errors.add(value.error());
    }
    return documents;
}

}  // namespace

Api::Api(const model::Registry& registry, Intent& intent, HostTable& hosts, EventLog& events,
         Moves& moves, std::string token)
    : registry_(registry),
      intent_(intent),
      hosts_(hosts),
      events_(events),
      moves_(moves),
      token_(std::move(token)) {}

bool Api::is_admin(const Request& request) const {
    if (request.peer.role == rest::Role::local || request.peer.role == rest::Role::admin) {
        return true;
    }
    return request.peer.role == rest::Role::none && !token_.empty() &&
           same_secret(request.token, token_);
}

void Api::handle(const Request& request, rest::Reply reply) {
    const auto& parts = request.route.parts;
    const rest::Reply counted = [this, reply = std::move(reply)](Response response) {
        {
            const std::lock_guard lock(mutex_);
            ++answers_[response.status];
        }
        reply(std::move(response));
    };
    if (parts == std::vector<std::string>{"metrics"}) return counted(metrics());
    if (!is_admin(request)) {
        const int status = request.peer.role == rest::Role::none ? 401 : 403;
        const Error error{Errc::denied,
                          "request",
                          {},
                          "show the administrator's token or use the controller's Unix socket"};
        return counted(with_status(rest::problem(error), status));
    }
    if (parts.empty() || parts[0] != "v1") {
        return counted(no_such("request", "the API is below /v1; see /v1/openapi.json"));
    }
    if (parts.size() == 4 && parts[1] == "host" && parts[3] == "query") {
        return query(request, counted);
    }
    if (parts.size() >= 2 && parts[1] == "node-moves")
        return counted(move(request, MoveSubject::service_node));
    if (parts.size() >= 2 && parts[1] == "moves") return counted(move(request, MoveSubject::port));
    counted(answer(request));
}

Response Api::answer(const Request& request) {
    const auto& parts = request.route.parts;
    if (parts.size() != 2) return resource(request);
    const std::string& what = parts[1];
    if (what == "apply") {
        return request.method == "POST" ? apply(request) : wrong_method(request, "POST");
    }
    using Read = std::function<Response()>;
    const std::map<std::string_view, Read> reads{
        {"revision", [&] { return revision(); }},
        {"history", [&] { return history(); }},
        {"hosts", [&] { return hosts(); }},
        {"events", [&] { return events(request); }},
        {"schema", [&] { return json(openapi::schema_document(registry_)); }},
        {"openapi.json", [&] { return json(openapi::openapi_document(registry_)); }},
    };
    const auto found = reads.find(what);
    if (found == reads.end()) return resource(request);
    return request.method == "GET" ? found->second() : wrong_method(request, "GET");
}

Response Api::resource(const Request& request) {
    const auto& parts = request.route.parts;
    const model::Kind* kind = parts.size() > 1 ? registry_.kind(parts[1]) : nullptr;
    if (kind == nullptr || parts.size() > 3) {
        const auto names = registry_.kind_names();
        const std::string& asked = parts.size() > 1 ? parts[1] : std::string();
        if (const auto meant = closest(asked, names); !meant.empty() && kind == nullptr)
            return no_such(asked,
                           "is no kind of resource; did you mean " + std::string(meant) + "?");
        std::string kinds;
        for (const std::string_view name : names)
            kinds += (kinds.empty() ? "" : ", ") + std::string(name);
        return no_such("request", "there is no such path; kinds are: " + kinds);
    }
    if (parts.size() == 2) {
        return request.method == "GET" ? collection(*kind) : wrong_method(request, "GET");
    }
    if (request.method == "GET") return one(*kind, parts[2]);
    if (request.method == "PUT") return put(request, *kind);
    if (request.method == "DELETE") return erase(request, *kind);
    return wrong_method(request, "GET, PUT or DELETE");
}

namespace {

// A resource as operators see it.
Value shown(const model::Kind& kind, const model::Snapshot& snapshot, const std::string& name) {
    Value fields = kind.encode(snapshot, name);
    model::hide_secrets(kind.fields(), fields);
    return model::written({std::string(kind.name()), std::move(fields)});
}

}  // namespace

// What operators declared, or what Weir made. What they deleted is not shown as theirs, though it
// may be kept for a while (features::Feature::remember).
Response Api::collection(const model::Kind& kind) const {
    const auto state = intent_.current();
    const model::Snapshot& from = kind.is_made_by_weir() ? state->reported : state->intent;
    Value items = Value::array();
    for (const std::string& name : kind.names(from)) items.push(shown(kind, from, name));
    Value out;
    out.set("revision", state->revision);
    out.set("items", std::move(items));
    return json(out);
}

Response Api::one(const model::Kind& kind, const std::string& name) const {
    const auto state = intent_.current();
    const model::Snapshot& from = kind.is_made_by_weir() ? state->reported : state->intent;
    if (kind.contains(from, name)) return json(shown(kind, from, name));
    std::string why = "there is no such resource" + did_you_mean(name, kind.names(from));
    if (!kind.shown_by().empty()) why = "no store holds it: see " + std::string(kind.shown_by());
    return no_such(std::string(kind.name()) + "/" + name, why);
}

ApplyOptions Api::options_of(const Request& request) const {
    ApplyOptions options;
    options.prune = request.route.flag("prune");
    options.dry_run = request.route.flag("dry_run");
    options.note = request.peer.role == rest::Role::none ? "token" : request.peer.text();
    return options;
}

Response Api::put(const Request& request, const model::Kind& kind) {
    auto written = model::parse_json(request.body);
    const std::string& name = request.route.parts[2];
    const std::string object = std::string(kind.name()) + "/" + name;
    if (!written || !written->is_object()) {
        return rest::problem(Error{Errc::invalid,
                                   object,
                                   {},
                                   written ? "expected a map of fields" : written.error().message});
    }
    Value fields = Value::object();
    for (const Value::Member& member : written->members()) {
        if (member.key == "kind" && member.value.as_text() == kind.name()) continue;
        fields.edit_members().push_back(member);
    }
    if (fields.find("name") == nullptr) fields.set("name", name);
    if (fields["name"].as_text() != name) {
        return rest::problem(Error{Errc::invalid, object, "name", "is not the one in the path"});
    }
    ApplyOptions options = options_of(request);
    options.prune = false;
    return outcome_response(intent_.apply({{std::string(kind.name()), std::move(fields)}}, options),
                            options);
}

Response Api::erase(const Request& request, const model::Kind& kind) {
    const ApplyOptions options = options_of(request);
    return outcome_response(
        intent_.erase({std::string(kind.name()), request.route.parts[2]}, options), options);
}

Response Api::apply(const Request& request) {
    model::Errors errors;
    const auto documents = documents_in(request, errors);
    const ApplyOptions options = options_of(request);
    if (errors.empty() && documents.empty() && !options.prune) {
        errors.add({Errc::invalid, "request", "body", "holds no resource"});
    }
    if (!errors.empty()) return rest::problem(errors.list());
    return outcome_response(intent_.apply(documents, options), options);
}

Response Api::revision() const {
    Value out;
    out.set("revision", intent_.current()->revision);
    return json(out);
}

Response Api::history() {
    const auto commits = intent_.history();
    if (!commits) return rest::problem(commits.error());
    Value items = Value::array();
    for (const cluster::Commit& commit : *commits) {
        Value& item = items.push(Value::object());
        item.set("revision", commit.revision);
        item.set("at", commit.at_s);
        item.set("note", commit.note);
        item.set("touched", commit.touched);
    }
    Value out;
    out.set("items", std::move(items));
    return json(out);
}

Response Api::hosts() const {
    Value items = Value::array();
    for (const HostStatus& status : hosts_.statuses()) items.push(to_value(status));
    Value out;
    out.set("revision", intent_.current()->revision);
    out.set("items", std::move(items));
    return json(out);
}

Response Api::events(const Request& request) const {
    const auto after = number(request, "after", 0, UINT64_MAX);
    const auto limit = number(request, "limit", default_events, max_events_per_answer);
    if (!after) return rest::problem(after.error());
    if (!limit) return rest::problem(limit.error());
    Value items = Value::array();
    for (Value& event : events_.after(*after, *limit)) items.push(std::move(event));
    Value out;
    out.set("items", std::move(items));
    return json(out);
}

Response Api::metrics() const {
    std::map<int, std::uint64_t> answers;
    {
        const std::lock_guard lock(mutex_);
        answers = answers_;
    }
    return {200, "text/plain; version=0.0.4",
            metrics_text(registry_, intent_.current()->intent, hosts_.statuses(), hosts_.resyncs(),
                         answers)};
}

Status Api::start_move(const Request& request, MoveSubject subject) {
    const auto body = model::parse_json(request.body);
    if (!body) return body.error();
    auto order = read_move(*body, subject, request.route.parts[2]);
    return order ? moves_.start(std::move(*order)) : Status(order.error());
}

// /v1/moves (ports) and /v1/node-moves: GET shows all; …/NAME: POST begins a move, GET shows how it
// stands; POST …/NAME/go-on and …/NAME/cancel.
Response Api::move(const Request& request, MoveSubject subject) {
    const auto& parts = request.route.parts;
    if (parts.size() == 2)
        return request.method == "GET" ? json(moves_.list(subject)) : wrong_method(request, "GET");
    const std::string& object = parts[2];
    if (request.method == "GET" && parts.size() == 3) {
        const Value status = moves_.status(subject, object);
        return status.is_null() ? no_such(std::string(model::enum_name(subject)) + "/" + object,
                                          "has not been moved")
                                : json(status);
    }
    if (request.method != "POST") return wrong_method(request, "GET or POST");
    Status done = Error{Errc::not_found, "request", {}, "there is no such path"};
    if (parts.size() == 3) done = start_move(request, subject);
    if (parts.size() == 4 && parts[3] == "go-on") done = moves_.go_on(subject, object);
    if (parts.size() == 4 && parts[3] == "cancel") done = moves_.cancel(subject, object);
    if (!done) return rest::problem(done.error());
    return json(moves_.status(subject, object));
}

namespace {

// What only the controller asks, in the course of a move: what a node or a port is known by, taken
// from one host or given to another, would cut guests off if anybody else said it.
std::optional<std::string_view> asked_by_controller_alone(std::string_view what) {
    if (what.ends_with("-service-node"))
        return "only the controller moves what hosts know of nodes: see `weir migrate`";
    if (what.starts_with("host-move-"))
        return "only the controller moves ports between hosts: see `weir migrate`";
    return std::nullopt;
}

}  // namespace

void Api::query(const Request& request, rest::Reply reply) {
    if (request.method != "POST") return reply(wrong_method(request, "POST"));
    const auto timeout = number(request, "timeout_ms", default_query_ms, max_query_ms);
    auto body = model::parse_json(request.body);
    if (!timeout) return reply(rest::problem(timeout.error()));
    if (!body) return reply(rest::problem(body.error()));
    if (const auto why = asked_by_controller_alone((*body)["what"].as_text()))
        return reply(rest::problem(Error{Errc::denied, "request", "what", std::string(*why)}));
    hosts_.query(request.route.parts[2], *body, std::chrono::milliseconds(*timeout),
                 [reply = std::move(reply)](Result<Value> answer) {
                     if (answer) return reply(json(*answer));
                     const Error& error = answer.error();
                     const bool is_late = error.field == "timeout";
                     reply(is_late ? with_status(rest::problem(error), 504) : rest::problem(error));
                 });
}

}  // namespace weir::controller
