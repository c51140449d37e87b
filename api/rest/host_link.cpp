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
    struct Event {
        std::uint64_t number = 0;
        std::string message;
    };
    std::deque<Event> backlog;    // events nobody is known to have taken, oldest first
    std::uint64_t last_event = 0;  // number of the newest
    std::uint64_t lost = 0, lost_when_up = 0;
    bool tells_events = false;  // the backlog went out over this session: what is new may follow

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
    void add_event(const model::Value& fields);
    void send_backlog(std::uint64_t now);
    void forget_events(std::uint64_t up_to);
};

void HostLink::Core::open(std::shared_ptr<WatchSession> opened) {
    std::uint64_t now = 0;
    {
        const std::lock_guard lock(mutex);
        session = std::move(opened);
        now = ++incarnation;
    }
    if (events.on_link) events.on_link(true, {});
    add_work([this, now] {
        say_hello(now);
        send_backlog(now);
    });
}

void HostLink::Core::close(const Error& why) {
    {
        const std::lock_guard lock(mutex);
        session = nullptr;
        ++incarnation;
        tells_events = false;
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
    } else if (const auto* taken = std::get_if<EventsTaken>(&*message)) {
        forget_events(taken->number);
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

// Older events go first, always: the last word on a node must be the newest.
void HostLink::Core::add_event(const model::Value& fields) {
    const std::lock_guard lock(mutex);
    if (backlog.size() >= options.max_events) {
        if (lost++ == lost_when_up)  // once for each time that nobody takes them
            log::warn("link.events_lost", {{"kept", backlog.size()}, {"lost", "the oldest"}});
        backlog.pop_front();
    }
    const std::uint64_t number = ++last_event;
    backlog.push_back({number, encode(HostMessage(HostEvent{number, fields}))});
    if (tells_events) session->send(backlog.back().message);
}

void HostLink::Core::send_backlog(std::uint64_t now) {
    const std::lock_guard lock(mutex);
    if (now != incarnation || !session) return;
    for (const Event& event : backlog) session->send(event.message);
    if (lost != lost_when_up)
        log::warn("link.events_missing", {{"lost", lost - lost_when_up}, {"in_all", lost}});
    lost_when_up = lost;
    tells_events = true;
}

void HostLink::Core::forget_events(std::uint64_t up_to) {
    const std::lock_guard lock(mutex);
    while (!backlog.empty() && backlog.front().number <= up_to) backlog.pop_front();
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

void HostLink::send_event(const model::Value& fields) { core_->add_event(fields); }

std::uint64_t HostLink::lost_events() const {
    const std::lock_guard lock(core_->mutex);
    return core_->lost;
}

std::size_t HostLink::kept_events() const {
    const std::lock_guard lock(core_->mutex);
    return core_->backlog.size();
}

bool HostLink::is_up() const {
    const std::lock_guard lock(core_->mutex);
    return core_->session != nullptr;
}

}  // namespace weir::rest
