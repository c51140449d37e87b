#include "apps/host/local_server.hpp"

#include <utility>
#include <vector>

#include "api/rest/server.hpp"
#include "apps/host/metrics_page.hpp"
#include "model/json.hpp"

namespace weir::host {
namespace {

using model::Value;
using rest::Response;

Value counters_request() {
    Value request = Value::object();
    request.set("what", "counters");
    return request;
}

Response answer_query(const rest::Request& request, const LocalServer::Ask& ask) {
    if (request.peer.role != rest::Role::local)
        return rest::problem({Errc::denied, "query", {}, "only over the host's own socket"});
    const Result<Value> question = model::parse_json(request.body);
    if (!question) return rest::problem(question.error());
    const Value answer = ask(*question);
    if (const Value* error = answer.find("error"))
        return rest::problem({Errc::invalid, "query", {}, error->as_text()});
    return {200, "application/json", model::dump_json(answer)};
}

Response answer(const rest::Request& request, const LocalServer::Ask& ask) {
    const std::vector<std::string>& parts = request.route.parts;
    if (request.method == "GET" && parts == std::vector<std::string>{"metrics"})
        return {200, "text/plain; version=0.0.4", metrics_page(ask(counters_request()))};
    if (request.method == "POST" && parts.size() == 4 && parts[0] == "v1" && parts[1] == "host" &&
        parts[3] == "query")
        return answer_query(request, ask);
    return rest::problem({Errc::not_found, request.method, {}, "there is nothing here"});
}

}  // namespace

LocalServer::LocalServer(std::unique_ptr<rest::Server> server) : server_(std::move(server)) {}
LocalServer::~LocalServer() = default;
void LocalServer::stop() {
    server_->stop();
}

Result<std::unique_ptr<LocalServer>> LocalServer::start(const std::string& socket,
                                                        const std::string& metrics, Ask ask) {
    rest::ServerOptions options;
    options.threads = 2;
    options.endpoints.push_back({rest::Target::Kind::unix_socket, socket});
    if (!metrics.empty()) options.endpoints.push_back({rest::Target::Kind::plain, metrics});
    auto handler = [ask = std::move(ask)](const rest::Request& request, rest::Reply reply) {
        reply(answer(request, ask));
    };
    auto server = rest::Server::start(std::move(options), std::move(handler));
    if (!server) return server.error();
    return std::unique_ptr<LocalServer>(new LocalServer(std::move(*server)));
}

}  // namespace weir::host
