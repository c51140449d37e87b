#include "apps/controller/host_table.hpp"

#include <chrono>

#include "base/closest.hpp"
#include "base/log.hpp"
#include "features/arrivals.hpp"
#include "model/core_resources.hpp"

namespace weir::controller {
namespace {

std::int64_t now_s() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

model::Value reason_of(const std::string& reason) {
    model::Value details;
    details.set("reason", reason);
    return details;
}

// Makes of what runs what is planned.
model::Delta difference(const model::Registry& registry, const model::Digests& running,
                        const model::Snapshot& planned, const model::Digests& digests) {
    model::Delta delta;
    for (const auto& [key, digest] : digests) {
        const auto found = running.find(key);
        if (found != running.end() && found->second == digest) continue;
        delta.puts.push_back({key.kind, registry.kind(key.kind)->encode(planned, key.name)});
    }
    for (const auto& [key, digest] : running) {
        if (!digests.contains(key)) delta.deletes.push_back(key);
    }
    return delta;
}

}  // namespace

HostTable::HostTable(const model::Registry& registry, Plan plan, ReportTaker take_report,
                     EventLog& events, Rollout rollout)
    : registry_(registry),
      plan_(std::move(plan)),
      take_report_(std::move(take_report)),
      events_(events),
      state_(std::make_shared<State>()),
      rollout_(std::move(rollout)) {}

void HostTable::publish(std::shared_ptr<const State> state) {
    const std::lock_guard lock(mutex_);
    state_ = std::move(state);
    for (const auto& row : state_->intent.all<model::Host>()) hosts_.try_emplace(row.first);
    for (auto& [name, host] : hosts_) plan(name, host);
    advance_all();
}

void HostTable::tick() {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    for (auto& row : hosts_)
        if (row.second.look_again && *row.second.look_again <= now) advance(row.second);
    rollout_.forget(now);
}

// What a host runs that is neither declared nor connected holds nobody up.
void HostTable::plan(const std::string& name, Host& host) {
    Standing& standing = host.standing;
    rollout_.leave(standing);
    standing.name = name;
    ++host.plans;
    std::set<std::string> arriving;
    for (const auto& [port, to] : arrivals_)
        if (to == name) arriving.insert(port);
    Rollout::replace_plan(registry_, standing, plan_of(name, std::move(arriving)));
    if (host.session || state_->intent.find<model::Host>(name))
        rollout_.join(standing, std::chrono::steady_clock::now());
}

model::Snapshot HostTable::plan_of(const std::string& name, std::set<std::string> arriving) const {
    if (arriving.empty()) return plan_(*state_, name);
    State as_if = *state_;
    as_if.intent = features::as_if_arrived(state_->intent, arriving, name);
    model::Snapshot plan = plan_(as_if, name);
    features::as_they_are(state_->intent, arriving, plan);
    return plan;
}

// The same revision means something else for this host now.
void HostTable::replan(const std::string& name) {
    const auto found = hosts_.find(name);
    if (found == hosts_.end()) return;
    plan(name, found->second);
    found->second.settled = 0;
    found->second.refused.reset();  // that was another plan
    advance_all();
}

void HostTable::expect_arrival(const std::string& port, const std::string& host) {
    const std::lock_guard lock(mutex_);
    arrivals_[port] = host;
    replan(host);
}

void HostTable::forget_arrival(const std::string& port) {
    const std::lock_guard lock(mutex_);
    const auto found = arrivals_.find(port);
    if (found == arrivals_.end()) return;
    const std::string host = found->second;
    arrivals_.erase(found);
    replan(host);
}

model::Snapshot HostTable::plan_if(const std::string& host, const std::string& port) const {
    const std::lock_guard lock(mutex_);
    return plan_of(host, {port});
}

bool HostTable::is_connected(const std::string& host) const {
    const std::lock_guard lock(mutex_);
    const auto found = hosts_.find(host);
    return found != hosts_.end() && found->second.session && found->second.has_said_hello;
}

Result<bool> HostTable::runs(const std::string& host, std::uint64_t revision) const {
    const std::lock_guard lock(mutex_);
    const auto found = hosts_.find(host);
    if (found == hosts_.end()) return false;
    const Host& one = found->second;
    if (one.refused && one.refused->revision >= revision)
        return Error{Errc::unavailable, "host/" + host, {},
                     "refused it: " + one.refused->error.text()};
    return one.has_said_hello && one.settled >= revision;
}

Result<bool> HostTable::has_plan(const std::string& host) const {
    std::uint64_t newest = 0;
    {
        const std::lock_guard lock(mutex_);
        newest = state_->revision;
        const auto found = hosts_.find(host);
        if (found != hosts_.end() && found->second.in_flight) return false;
    }
    return runs(host, newest);
}

std::string HostTable::why_late(const std::string& host) const {
    const std::lock_guard lock(mutex_);
    const auto found = hosts_.find(host);
    if (found == hosts_.end() || !found->second.session) return "it is not connected";
    const Host& one = found->second;
    if (!one.has_said_hello) return "it has not said what it runs";
    if (one.in_flight) return "it has not answered";
    if (one.held.empty()) return "it is not its turn";
    return "other hosts are not ready for " + one.held.front().text();
}

void HostTable::advance_all() {
    for (auto& row : hosts_) advance(row.second);
}

void HostTable::set_running(Host& host, model::Digests digests) {
    rollout_.leave(host.standing);
    host.standing.running = std::move(digests);
    rollout_.join(host.standing, std::chrono::steady_clock::now());
}

Result<rest::WatchEvents> HostTable::admit(const rest::Request& request,
                                           std::shared_ptr<rest::WatchSession> session) {
    const rest::Identity& peer = request.peer;
    if (peer.role != rest::Role::host) {
        log::warn("host.refused", {{"peer", peer.text()}});
        return Error{Errc::denied, "watch", {},
                     "only a host with a certificate of this controller's authority may watch; "
                     "issue one with: weir-controller issue"};
    }
    const std::string name = peer.name;
    std::shared_ptr<rest::WatchSession> former;
    std::uint64_t incarnation = 0;
    {
        const std::lock_guard lock(mutex_);
        Host& host = hosts_[name];
        former = std::exchange(host.session, std::move(session));
        incarnation = host.incarnation = next_incarnation_++;
        host.since_s = now_s();
        host.has_said_hello = false;
        host.in_flight.reset();
        if (host.standing.planned.empty()) plan(name, host);
    }
    if (former) former->close("the host opened a newer watch");
    events_.add("host.connected", name);
    log::info("host.connected", {{"host", name}});
    return rest::WatchEvents{
        [this, name, incarnation](std::string_view text) { receive(name, incarnation, text); },
        [this, name, incarnation](const std::string& reason) {
            leave(name, incarnation, reason);
        }};
}

void HostTable::leave(const std::string& name, std::uint64_t incarnation,
                      const std::string& reason) {
    {
        const std::lock_guard lock(mutex_);
        Host& host = hosts_[name];
        if (host.incarnation != incarnation) return;  // replaced by a newer watch
        host.session.reset();
        host.since_s = now_s();
        host.has_said_hello = false;
        host.in_flight.reset();
    }
    desk_.close_all(name, Error{Errc::unavailable, "host/" + name, {}, "went away: " + reason});
    events_.add("host.disconnected", name, reason_of(reason));
    log::info("host.disconnected", {{"host", name}, {"why", reason}});
}

void HostTable::receive(const std::string& name, std::uint64_t incarnation,
                        std::string_view text) {
    auto message = rest::decode_host_message(text);
    if (message) {
        if (auto* reply = std::get_if<rest::QueryReply>(&*message)) {
            return desk_.close(reply->id, name, std::move(reply->body));
        }
        if (const auto* event = std::get_if<rest::HostEvent>(&*message)) {
            return take_event(name, incarnation, *event);
        }
    }
    const std::lock_guard lock(mutex_);
    Host& host = hosts_[name];
    if (host.incarnation != incarnation || !host.session) return;
    if (!message) {
        log::warn("host.message_refused", {{"host", name}, {"why", message.error().text()}});
        host.session->close("not understood: " + message.error().text());
    } else if (auto* hello = std::get_if<rest::Hello>(&*message)) {
        take(name, host, std::move(*hello));
    } else if (const auto* applied = std::get_if<rest::Applied>(&*message)) {
        take(name, host, *applied);
    } else if (auto* refused = std::get_if<rest::Refused>(&*message)) {
        take(name, host, std::move(*refused));
    }
}

// What is told "again", for a controller that may have missed it, is no news to people.
void HostTable::take_event(const std::string& name, std::uint64_t incarnation,
                           const rest::HostEvent& event) {
    const std::string& type = event.fields["event"].as_text();
    if (!event.fields["again"].as_bool())
        events_.add(type.empty() ? "host.event" : type, name, event.fields);
    if (!take_report_(event.fields, name) || event.number == 0) return;
    const std::lock_guard lock(mutex_);
    const Host& host = hosts_[name];
    if (host.incarnation != incarnation || !host.session) return;
    host.session->send(rest::encode(rest::ControllerMessage(rest::EventsTaken{event.number})));
}

void HostTable::take(const std::string& name, Host& host, rest::Hello hello) {
    if (hello.host != name) {
        log::warn("host.name_refused", {{"host", hello.host}, {"certificate", name}});
        events_.add("host.name_refused", name);
        host.session->close("the certificate is for host " + name + ", not " + hello.host);
        return;
    }
    host.has_said_hello = true;
    host.must_answer_hello = true;
    host.applied = hello.applied;
    host.settled = std::min(hello.applied, state_->revision - 1);  // advance() sees about the last
    set_running(host, std::move(hello.digests));
    host.in_flight.reset();
    advance_all();
}

void HostTable::take(const std::string& name, Host& host, rest::Applied applied) {
    if (!host.in_flight || host.in_flight->target != applied.revision) return;
    host.applied = applied.revision;
    // A later plan of the same revision is not what it runs.
    const bool is_former = host.in_flight->plan != host.plans;
    if (host.in_flight->is_whole && !(is_former && applied.revision == state_->revision))
        host.settled = applied.revision;
    set_running(host, std::move(host.in_flight->digests));
    host.in_flight.reset();
    host.refused.reset();
    log::info("host.applied", {{"host", name}, {"revision", applied.revision}});
    advance(host);
    for (auto& row : hosts_)
        if (!row.second.held.empty()) advance(row.second);
}

void HostTable::take(const std::string& name, Host& host, rest::Refused refused) {
    if (!host.in_flight || host.in_flight->target != refused.revision) return;
    const bool is_former = host.in_flight->plan != host.plans;
    host.in_flight.reset();
    log::warn("host.refused_revision", {{"host", name},
                                        {"revision", refused.revision},
                                        {"why", refused.error.text()}});
    model::Value details = reason_of(refused.error.text());
    details.set("revision", refused.revision);
    events_.add("host.refused_revision", name, details);
    if (!is_former) host.refused = std::move(refused);
    advance(host);
}

// Sends the next change, if one is due: one at a time, always against what the host said it runs.
void HostTable::advance(Host& host) {
    if (!host.session || !host.has_said_hello || host.in_flight) return;
    const std::uint64_t target = state_->revision;
    const bool owes_answer = std::exchange(host.must_answer_hello, false);
    if (!owes_answer) {
        if (host.settled == target && !host.look_again) return;
        if (host.refused && host.refused->revision == target) return;  // no before, no again
    }
    Rollout::Target next = rollout_.target(host.standing, std::chrono::steady_clock::now());
    host.held = std::move(next.held);
    host.look_again = next.look_again;
    model::Delta delta =
        difference(registry_, host.standing.running, host.standing.plan, next.digests);
    if (delta.empty() && host.applied == target) {
        if (host.held.empty()) host.settled = target;
        return;
    }
    if (owes_answer && !delta.empty()) ++resyncs_;
    delta.base_revision = host.applied;
    delta.target_revision = target;
    host.in_flight = InFlight{target, std::move(next.digests), host.held.empty(), host.plans};
    host.session->send(rest::encode(rest::ControllerMessage(rest::ChangeMessage{delta})));
}

std::vector<HostStatus> HostTable::statuses() const {
    const std::lock_guard lock(mutex_);
    std::map<std::string, HostStatus> out;
    for (const auto& [name, resource] : state_->intent.all<model::Host>()) out[name].name = name;
    for (const auto& [name, host] : hosts_) {
        if (!host.session && host.since_s == 0) continue;  // was declared once
        // Until its hello, what is known of it is of its former life.
        out[name] = {name,         host.session && host.has_said_hello, host.since_s, 0,
                     host.settled, host.held,                           host.refused};
    }
    std::vector<HostStatus> list;
    for (auto& [name, status] : out) {
        status.desired = state_->revision;
        list.push_back(std::move(status));
    }
    return list;
}

void HostTable::query(const std::string& host, const model::Value& body,
                      std::chrono::milliseconds timeout, QueryAnswer answer) {
    std::shared_ptr<rest::WatchSession> session;
    bool is_known = false;
    std::string meant;
    {
        const std::lock_guard lock(mutex_);
        const auto found = hosts_.find(host);
        if (found != hosts_.end()) session = found->second.session;
        is_known = found != hosts_.end() || state_->intent.find<model::Host>(host) != nullptr;
        std::vector<std::string> names;
        for (const auto& [name, one] : state_->intent.all<model::Host>()) names.push_back(name);
        if (!is_known) meant = did_you_mean(host, names);
    }
    if (!session) {
        const Errc code = is_known ? Errc::unavailable : Errc::not_found;
        return answer(Error{code, "host/" + host, {},
                            is_known ? "is not connected" : "there is no such host" + meant});
    }
    const std::uint64_t id = desk_.open(host, timeout, std::move(answer));
    session->send(rest::encode(rest::ControllerMessage(rest::Query{id, body})));
}

std::uint64_t HostTable::resyncs() const {
    const std::lock_guard lock(mutex_);
    return resyncs_;
}

}  // namespace weir::controller
