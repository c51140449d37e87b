#pragma once
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "api/rest/client.hpp"
#include "api/rest/host_link.hpp"
#include "api/rest/mailbox.hpp"
#include "apps/controller/controller.hpp"
#include "base/testing/patience.hpp"
#include "model/core_resources.hpp"
#include "model/json.hpp"

// A real controller on loopback, and hosts that only remember what they were told. For tests.
namespace weir::controller::testing {

using model::Value;

inline std::vector<Error> accept(const model::Snapshot&) {
    return {};
}
// Every host is to know everything.
inline void plan_all(const model::Snapshot& intent, std::string_view, model::Snapshot& out) {
    const std::uint64_t revision = out.revision;
    out = intent;
    out.revision = revision;
}
// {"event":"segment-heard","name":…,"vni":…}: hosts may report segments here.
inline bool hear_segment(const Value& event, std::string_view, model::Snapshot& reported) {
    if (event["event"].as_text() != "segment-heard") return false;
    model::Segment segment;
    segment.name = event["name"].as_text();
    segment.vni = static_cast<std::uint32_t>(event["vni"].as_uint());
    const auto* before = reported.find<model::Segment>(segment.name);
    if (before != nullptr && before->vni == segment.vni) return false;
    reported.put(std::move(segment));
    return true;
}
inline constexpr features::Feature everything{"everything", model::add_core_kinds, accept, plan_all,
                                              hear_segment};

// Asks again until the answer is yes.
template <class Ask>
bool eventually(Ask ask) {
    const auto deadline =
        std::chrono::steady_clock::now() + weir::testing::patience(std::chrono::seconds(30));
    while (std::chrono::steady_clock::now() < deadline) {
        if (ask()) return true;
        std::this_thread::yield();
    }
    return false;
}

class TestHost {
public:
    TestHost(const model::Registry& registry, std::uint16_t port, rest::Credentials credentials,
             std::string name, std::size_t max_events = limits::max_event_backlog)
        : registry_(registry),
          port_(port),
          credentials_(std::move(credentials)),
          name_(name),
          max_events_(max_events) {
        start();
    }
    void start() {
        rest::HostLinkOptions options;
        options.controller = {rest::Target::Kind::tls, "127.0.0.1", std::to_string(port_)};
        options.credentials = credentials_;
        options.host = name_;
        options.last_retry = std::chrono::milliseconds(100);
        options.max_events = max_events_;
        auto link = rest::HostLink::start(
            options, {[this] { return state(); }, [this](const auto& d) { return apply(d); },
                      [this](const Value& body) { return answer(body); },
                      [this](bool is_up, const Error& why) {
                          if (!is_up) down.put(why);
                      }});
        ASSERT_TRUE(link) << link.error().text();
        link_ = std::move(*link);
    }
    void stop() { link_.reset(); }
    rest::HostLink& link() { return *link_; }
    void tell(std::string_view event, std::string_view name = {}, std::uint64_t vni = 0) {
        Value fields;
        fields.set("event", event);
        if (!name.empty()) fields.set("name", name);
        if (vni != 0) fields.set("vni", vni);
        link_->send_event(fields);
    }

    model::Snapshot snapshot() {
        const std::lock_guard lock(mutex_);
        return snapshot_;
    }
    // As if this host had been told by somebody else.
    void set_snapshot(model::Snapshot snapshot) {
        const std::lock_guard lock(mutex_);
        snapshot_ = std::move(snapshot);
    }

    std::function<Result<Value>(const Value&)> on_query;  // set before anything is asked
    std::atomic<bool> refuses{false};
    std::atomic<bool> is_stalled{false};  // until something comes into `release`
    rest::Mailbox<bool> release;
    rest::Mailbox<model::Delta> changes;  // every one that came
    rest::Mailbox<Error> down;

private:
    rest::HostState state() {
        const std::lock_guard lock(mutex_);
        return {snapshot_.revision, model::digests(registry_, snapshot_)};
    }
    Status apply(const model::Delta& delta) {
        changes.put(delta);
        if (is_stalled) release.take();
        if (refuses) return Error{Errc::limit, "port/g1", "mtu", "too large for this host"};
        const std::lock_guard lock(mutex_);
        auto next = model::apply(registry_, snapshot_, delta);
        if (!next) return next.error();
        snapshot_ = std::move(*next);
        return {};
    }
    Result<Value> answer(const Value& body) {
        if (is_stalled) release.take();
        if (on_query) return on_query(body);
        if (body["fail"].as_bool()) return invalid("query", "not understood");
        Value out;
        out.set("asked", body);
        return out;
    }

    const model::Registry& registry_;
    const std::uint16_t port_;
    const rest::Credentials credentials_;
    const std::string name_;
    const std::size_t max_events_;
    std::mutex mutex_;
    model::Snapshot snapshot_;
    std::unique_ptr<rest::HostLink> link_;
};

class ControllerTest : public ::testing::Test {
protected:
    void SetUp() override {
        char pattern[] = "/tmp/weir-controller-XXXXXX";
        dir_ = ::mkdtemp(pattern);
        model::add_core_kinds(registry_);
        start();
    }
    virtual features::Features features() { return {&everything, 1}; }
    void TearDown() override {
        controller_.reset();
        std::filesystem::remove_all(dir_);
    }

    // The second time: another controller process on the same store, authority and port.
    void start() {
        ControllerOptions options;
        auto store = cluster::open_sqlite(dir_ + "/store.sqlite");
        ASSERT_TRUE(store) << store.error().text();
        options.store = std::move(*store);
        options.features = features();
        options.token = "secret";
        options.server.credentials = *authority_.issue({rest::Role::controller, "c1"});
        options.server.max_watch_queue_bytes = watch_queue_bytes_;
        options.server.endpoints = {{rest::Target::Kind::unix_socket, dir_ + "/sock"},
                                    {rest::Target::Kind::tls, "127.0.0.1:" + std::to_string(port_)},
                                    {rest::Target::Kind::plain, "127.0.0.1:0"}};
        auto controller = Controller::start(std::move(options));
        ASSERT_TRUE(controller) << controller.error().text();
        controller_ = std::move(*controller);
        port_ = controller_->port(1);
    }

    rest::Response ask(std::string_view method, std::string_view path, std::string body = {},
                       std::string_view type = "application/yaml") const {
        const rest::Client client({{rest::Target::Kind::unix_socket, dir_ + "/sock", {}}, {}, {}});
        const auto answer = client.request(method, path, std::move(body), type);
        EXPECT_TRUE(answer) << answer.error().text();
        return answer ? *answer : rest::Response{};
    }
    Value get(std::string_view path) const {
        const rest::Response response = ask("GET", path);
        EXPECT_EQ(response.status, 200) << path << " " << response.body;
        const auto value = model::parse_json(response.body);
        return value ? *value : Value();
    }
    Value apply(std::string body, std::string_view query = "") const {
        const rest::Response response =
            ask("POST", "/v1/apply" + std::string(query), std::move(body));
        EXPECT_EQ(response.status, 200) << response.body;
        const auto value = model::parse_json(response.body);
        return value ? *value : Value();
    }
    std::vector<Error> refused(std::string body, std::string_view query = "") const {
        const rest::Response response =
            ask("POST", "/v1/apply" + std::string(query), std::move(body));
        EXPECT_EQ(response.status, 422) << response.body;
        return rest::errors_in(response);
    }
    std::uint64_t revision() const { return get("/v1/revision")["revision"].as_uint(); }
    Value host_status(std::string_view name) const {
        const Value hosts = get("/v1/hosts");
        for (const Value& item : hosts["items"].items()) {
            if (item["name"].as_text() == name) return item;
        }
        return {};
    }
    bool has_applied(std::string_view name, std::uint64_t wanted) const {
        return eventually([&] { return host_status(name)["applied"].as_uint() == wanted; });
    }
    std::unique_ptr<TestHost> host(const std::string& name) {
        return std::make_unique<TestHost>(registry_, port_,
                                          *authority_.issue({rest::Role::host, name}), name);
    }

    std::string dir_;
    std::size_t watch_queue_bytes_ = 64u << 20;
    model::Registry registry_;
    rest::Authority authority_ = *rest::Authority::create("lab");
    std::uint16_t port_ = 0;
    std::unique_ptr<Controller> controller_;
};

}  // namespace weir::controller::testing
