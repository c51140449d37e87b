#include "apps/controller/move_ground.hpp"

#include <future>
#include <memory>
#include <utility>

namespace weir::controller {
namespace {

using model::Value;

constexpr std::chrono::milliseconds answer_patience{5'000};

}  // namespace

Result<Value> HostGround::ask(const std::string& host, Value question) {
    const auto answer = std::make_shared<std::promise<Result<Value>>>();
    hosts_.query(host, question, answer_patience,
                 [answer](Result<Value> body) { answer->set_value(std::move(body)); });
    Result<Value> body = answer->get_future().get();
    if (body && !(*body)["error"].as_text().empty())
        return Error{Errc::conflict, "host/" + host, {}, (*body)["error"].as_text()};
    if (body) return body;
    Error error = body.error();
    if (error.object.find(host) == std::string::npos) error.object = "host/" + host;
    return error;
}

bool HostGround::is_connected(const std::string& host) const { return hosts_.is_connected(host); }

Result<bool> HostGround::runs(const std::string& host, std::uint64_t revision) const {
    return hosts_.runs(host, revision);
}

Result<bool> HostGround::has_plan(const std::string& host) const { return hosts_.has_plan(host); }

std::string HostGround::why_late(const std::string& host) const { return hosts_.why_late(host); }

void HostGround::expect_arrival(const std::string& port, const std::string& host) {
    hosts_.expect_arrival(port, host);
}

void HostGround::forget_arrival(const std::string& port) { hosts_.forget_arrival(port); }

model::Snapshot HostGround::plan_if(const std::string& host, const std::string& port) const {
    return hosts_.plan_if(host, port);
}

void HostGround::rest(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
                      Span span, const std::function<bool()>& is_enough) {
    changed.wait_for(lock, span, is_enough);
}

}  // namespace weir::controller
