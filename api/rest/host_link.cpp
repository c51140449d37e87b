#include "api/rest/host_link.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "api/rest/protocol.hpp"
#include "api/rest/watch.hpp"
#include "base/log.hpp"

namespace weir::rest {
namespace {

// More than a controller that waits for answers ever has under way.
constexpr std::size_t max_waiting_messages = 1024;

}  // namespace

struct HostLink::Core {
    HostLinkOptions options;
    HostLinkEvents events;

    std::mutex mutex;
    std::condition_variable changed;
    std::shared_ptr<WatchSession> session;  // null: down
    std::uint64_t incarnation = 0;          // of the session; what came by an older one is void
    std::deque<std::function<void()>> work;
    bool is_stopping = false;

    std::thread worker;
    std::unique_ptr<WatchClient> client;

    void open(std::shared_ptr<WatchSession> opened);
    void close(const Error& why);
    void receive(std::string_view text);
    void add_work(std::function<void()> item);
    void run_work();
    void say(std::uint64_t to_incarnation, const HostMessage& message);
    void say_hello(std::uint64_t now);
    void apply(std::uint64_t now, const ChangeMessage& change);
    void answer(std::uint64_t now, const Query& query);
};

void HostLink::Core::open(std::shared_ptr<WatchSession> opened) {
    std::uint64_t now = 0;
    {
        const std::lock_guard lock(mutex);
        session = std::move(opened);
        now = ++incarnation;
    }
    if (events.on_link) events.on_link(true, {});
    add_work([this, now] { say_hello(now); });
}

void HostLink::Core::close(const Error& why) {
    {
        const std::lock_guard lock(mutex);
        session = nullptr;
        ++incarnation;
    }
    if (events.on_link) events.on_link(false, why);
}

void HostLink::Core::receive(std::string_view text) {
    auto message = decode_controller_message(text);
    std::uint64_t now = 0;
    std::shared_ptr<WatchSession> from;
    {
        const std::lock_guard lock(mutex);
        now = incarnation;
        from = session;
    }
    if (!message) {
        log::warn("link.message_refused", {{"why", message.error().text()}});
        if (from) from->close("not understood: " + message.error().text());
        return;
    }
    if (auto* change = std::get_if<ChangeMessage>(&*message)) {
        add_work([this, now, change = std::move(*change)] { apply(now, change); });
    } else {
        add_work([this, now, query = std::get<Query>(std::move(*message))] { answer(now, query); });
    }
}

void HostLink::Core::add_work(std::function<void()> item) {
    const std::lock_guard lock(mutex);
    if (work.size() >= max_waiting_messages) {
        if (session) session->close("too many messages wait");
        return;
    }
    work.push_back(std::move(item));
    changed.notify_one();
}

void HostLink::Core::run_work() {
    std::unique_lock lock(mutex);
    for (;;) {
        changed.wait(lock, [this] { return is_stopping || !work.empty(); });
        if (is_stopping) return;
        const std::function<void()> item = std::move(work.front());
        work.pop_front();
        lock.unlock();
        item();
        lock.lock();
    }
}

void HostLink::Core::say(std::uint64_t to_incarnation, const HostMessage& message) {
    std::shared_ptr<WatchSession> to;
    {
        const std::lock_guard lock(mutex);
        if (to_incarnation == incarnation) to = session;
    }
    if (to) to->send(encode(message));
}

void HostLink::Core::say_hello(std::uint64_t now) {
    HostState state = events.state();
    say(now, Hello{options.host, state.applied, std::move(state.digests)});
}

void HostLink::Core::apply(std::uint64_t now, const ChangeMessage& change) {
    {
        // The controller will hear of our state anew and send what is then missing.
        const std::lock_guard lock(mutex);
        if (now != incarnation) return;
    }
    if (events.state().applied != change.delta.base_revision) return say_hello(now);
    const Status status = events.on_change(change.delta);
    if (status) {
        say(now, Applied{change.delta.target_revision});
    } else {
        say(now, Refused{change.delta.target_revision, status.error()});
    }
}

void HostLink::Core::answer(std::uint64_t now, const Query& query) {
    say(now, QueryReply{query.id, events.on_query(query.body)});
}

HostLink::HostLink(std::unique_ptr<Core> core) : core_(std::move(core)) {}

HostLink::~HostLink() { stop(); }

Result<std::unique_ptr<HostLink>> HostLink::start(HostLinkOptions options, HostLinkEvents events) {
    auto core = std::make_unique<Core>();
    core->options = options;
    core->events = std::move(events);
    WatchClientOptions with;
    with.target = options.controller;
    with.credentials = options.credentials;
    with.watch_timeout = options.watch_timeout;
    with.last_retry = options.last_retry;
    Core* const c = core.get();
    auto client = WatchClient::start(
        std::move(with),
        {[c](std::shared_ptr<WatchSession> session) { c->open(std::move(session)); },
         [c](std::string_view text) { c->receive(text); },
         [c](const Error& why) { c->close(why); }});
    if (!client) return client.error();
    core->client = std::move(*client);
    core->worker = std::thread([c] { c->run_work(); });
    return std::unique_ptr<HostLink>(new HostLink(std::move(core)));
}

void HostLink::stop() {
    if (!core_->worker.joinable()) return;
    core_->client->stop();
    {
        const std::lock_guard lock(core_->mutex);
        core_->is_stopping = true;
        core_->changed.notify_one();
    }
    core_->worker.join();
}

void HostLink::send_event(const model::Value& fields) {
    std::shared_ptr<WatchSession> to;
    {
        const std::lock_guard lock(core_->mutex);
        to = core_->session;
    }
    if (to) to->send(encode(HostMessage(HostEvent{fields})));
}

bool HostLink::is_up() const {
    const std::lock_guard lock(core_->mutex);
    return core_->session != nullptr;
}

}  // namespace weir::rest
