#include "apps/host/agent_sockets.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <set>
#include <utility>

#include "api/rest/server.hpp"
#include "base/log.hpp"
#include "model/json.hpp"

namespace weir::host {
namespace {

using model::Value;

constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::size_t most_body_bytes = 4096;
constexpr std::chrono::milliseconds longest_end{2'500};  // a server's stop(), as it promises

std::uint64_t now_ns() {
    return static_cast<std::uint64_t>(
        std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

Value one(const char* key, std::string_view text) {
    Value value = Value::object();
    value.set(key, text);
    return value;
}

Error io_error(const std::string& path, const char* what) {
    return {Errc::io, path, {}, std::string(what) + ": " + std::strerror(errno)};
}

}  // namespace

bool AgentRate::take(std::uint64_t now_ns) {
    constexpr std::uint64_t price = second_ns / each_second, most = price * burst;
    tokens_ns_ = began_ ? std::min(most, tokens_ns_ + (now_ns - looked_ns_)) : most;
    began_ = true;
    looked_ns_ = now_ns;
    if (tokens_ns_ < price) return false;
    tokens_ns_ -= price;
    return true;
}

AgentSockets::AgentSockets(std::string folder, Ask ask)
    : folder_(std::move(folder)), ask_(std::move(ask)) {}

AgentSockets::~AgentSockets() {
    stop();
}

rest::Response AgentSockets::answered(Socket& socket, Result result, int status,
                                      Value body) const {
    const std::lock_guard lock(socket.mutex);
    ++socket.counts[static_cast<std::size_t>(result)];
    return {status, "application/json", model::dump_json(body) + "\n"};
}

rest::Response AgentSockets::answer(Socket& socket, const std::string& body) const {
    {
        const std::lock_guard lock(socket.mutex);
        if (!socket.rate.take(now_ns())) {
            ++socket.counts[static_cast<std::size_t>(Result::limited)];
            return {429, "application/json", "{\"error\":\"more than 100 orders a second\"}\n"};
        }
    }
    const auto read = model::parse_json(body);
    if (!read || !read->is_object())
        return answered(socket, Result::malformed, 400,
                        one("error", read ? "an object is wanted" : read.error().text()));
    Value question = socket.words;
    for (const auto& [key, value] : read->members())
        if (!question.find(key)) question.set(key, value);
    const Value said = ask_(question);
    if (const Value* error = said.find("error"))
        return answered(socket, Result::malformed, 400, one("error", error->as_text()));
    const auto& rows = said["rows"].items();
    if (rows.empty())
        return answered(socket, Result::unknown, 404, one("error", "flow: not in the node"));
    for (const Value& row : rows)
        if (const Value* error = row.find("error"))
            return answered(socket, Result::malformed, 400, one("error", error->as_text()));
    const bool done = rows.front()["done"].as_bool();
    return answered(socket, done ? Result::done : Result::refused, done ? 200 : 403,
                    one("result", rows.front()["result"].as_text()));
}

// Only the owner can connect: writing to the file is what connecting needs (unix(7)).
Status AgentSockets::open(Socket& socket) {
    if (::mkdir(folder_.c_str(), 0711) != 0 && errno != EEXIST)
        return io_error(folder_, "cannot be made");
    const std::string path = path_of(socket);
    rest::ServerOptions options;
    options.threads = 1;
    options.max_connections = 4;
    options.max_body_bytes = most_body_bytes;
    options.request_timeout = std::chrono::milliseconds{5'000};
    options.endpoints.push_back({rest::Target::Kind::unix_socket, path});
    auto handler = [this, &socket](const rest::Request& request, rest::Reply reply) {
        if (request.method != "POST" ||
            request.route.parts != std::vector<std::string>{"v1", "order"})
            return reply(rest::problem(
                {Errc::not_found, request.method, {}, "only POST /v1/order is there"}));
        reply(answer(socket, request.body));
    };
    auto server = rest::Server::start(std::move(options), std::move(handler));
    if (!server) return server.error();
    socket.server = std::move(*server);
    return own(socket);
}

Status AgentSockets::own(const Socket& socket) const {
    const std::string path = path_of(socket);
    if (::chmod(path.c_str(), 0600) != 0) return io_error(path, "cannot set its mode");
    if (::chown(path.c_str(), socket.uid, static_cast<gid_t>(-1)) != 0)
        return io_error(path, "cannot set its owner");
    return {};
}

std::string AgentSockets::path_of(const Socket& socket) const {
    return folder_ + "/" + socket.name + ".sock";
}

// A request under way may wait for the thread that we are on.
void AgentSockets::close(std::shared_ptr<Socket> socket) {
    std::erase_if(closing_, [](const auto& entry) {
        return entry.second.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    });
    ::unlink(path_of(*socket).c_str());
    closing_[socket->name] = std::async(std::launch::async, [socket] { socket->server->stop(); });
}

void AgentSockets::follow(const Value& rows) {
    const std::lock_guard lock(mutex_);
    std::set<std::string> wanted;
    for (const Value& row : rows.items()) {
        auto socket = std::make_shared<Socket>();
        socket->name = row["socket"].as_text();
        socket->uid = static_cast<std::uint32_t>(row["uid"].as_uint());
        socket->words = Value::object();
        for (const auto& [key, value] : row.members())
            if (key != "socket" && key != "uid") socket->words.set(key, value);
        if (!wanted.insert(socket->name).second) continue;
        if (const auto known = sockets_.find(socket->name); known != sockets_.end()) {
            known->second->uid = socket->uid;
            if (const Status owned = own(*known->second); !owned)
                log::error("host.agent_socket", {{"why", owned.error().text()}});
            continue;
        }
        // The one before removes its file when it ends.
        if (const auto before = closing_.find(socket->name);
            before != closing_.end() &&
            before->second.wait_for(longest_end) != std::future_status::ready) {
            log::error("host.agent_socket", {{"why", socket->name + ": still closing"}});
            continue;
        }
        if (const Status opened = open(*socket); !opened) {
            log::error("host.agent_socket", {{"why", opened.error().text()}});
            if (socket->server) close(socket);
            continue;
        }
        sockets_[socket->name] = std::move(socket);
    }
    std::erase_if(sockets_, [&](auto& entry) {
        const bool gone = !wanted.contains(entry.first);
        if (gone) close(entry.second);
        return gone;
    });
}

void AgentSockets::stop() {
    std::map<std::string, std::shared_ptr<Socket>> open_ones;
    std::map<std::string, std::future<void>> closing;
    {
        const std::lock_guard lock(mutex_);
        open_ones.swap(sockets_);
        closing.swap(closing_);
    }
    for (auto& [name, socket] : open_ones) socket->server->stop();
    closing.clear();  // waits for them
}

void AgentSockets::add_counters(Value& answer) const {
    const std::lock_guard lock(mutex_);
    Value rows = answer["rows"];
    for (const auto& [name, socket] : sockets_) {
        const std::lock_guard also(socket->mutex);
        for (std::size_t i = 0; i < result_names.size(); ++i) {
            if (socket->counts[i] == 0) continue;
            Value& row = rows.push(Value::object());
            row.set("metric", "weir_agent_requests_total");
            Value& labels = row.set("labels", Value::object());
            labels.set("socket", name);
            labels.set("result", result_names[i]);
            row.set("value", socket->counts[i]);
        }
    }
    answer.set("rows", std::move(rows));
}

}  // namespace weir::host
