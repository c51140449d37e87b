#include "apps/controller/node_moves.hpp"

#include <algorithm>
#include <future>
#include <thread>
#include <utility>

#include "base/log.hpp"
#include "features/chain/node_table.hpp"
#include "features/chain/planned.hpp"
#include "features/chain/resources.hpp"
#include "model/core_resources.hpp"

namespace weir::controller {
namespace {

using chain::MovePhase;
using chain::ServiceNode;
using chain::ServiceNodeMove;
using model::Value;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds answer_patience{5'000};
constexpr milliseconds apply_patience{15'000};
constexpr milliseconds relay_time{11'000};  // the old host relays for 10 s, then it is over
constexpr milliseconds look_again{10};

}  // namespace

struct NodeMoves::Job {
    NodeMoveOrder order;
    mutable std::mutex mutex;
    std::condition_variable changed;
    std::string state = "announced", from, error;
    bool is_cancelled = false, is_done = false, is_over = false;
    double frozen_ms = 0;
    std::uint64_t contexts = 0, renumbered = 0, lost = 0;
    std::thread thread;
};

class NodeMoves::Lead {
public:
    Lead(NodeMoves& all, Job& job) : all_(all), job_(job) {}

    void run() {
        const Status done = steps();
        tell(done ? "node-move.done" : "node-move.failed", done);
        {
            const std::lock_guard lock(job_.mutex);
            job_.state = done ? "done" : "failed";
            if (!done) job_.error = done.error().text();
            job_.is_done = true;
            job_.changed.notify_all();
        }
        if (done) rest(relay_time);
        forget();
        const std::lock_guard lock(job_.mutex);
        job_.is_over = true;
        job_.changed.notify_all();
    }

    // What can be known before anything is changed.
    Status check() {
        const auto state = all_.intent_.current();
        const model::Snapshot& intent = state->intent;
        const std::string object = "service-node/" + job_.order.node;
        const auto* node = intent.find<ServiceNode>(job_.order.node);
        if (!node) return Error{Errc::not_found, object, {}, "there is no such node"};
        const auto* from = intent.find(node->host);
        const auto* to = intent.find<model::Host>(job_.order.to);
        if (!to)
            return Error{Errc::not_found, "host/" + job_.order.to, {}, "there is no such host"};
        if (!from || from == to)
            return Error{Errc::invalid, object, "host", "it is on " + job_.order.to + " already"};
        const auto* plane = intent.find(node->service_segment);
        if (!plane) return Error{Errc::invalid, object, "service_segment", "there is none"};
        const auto takes_part = [&](const auto& ref) { return ref.name == to->name; };
        if (!plane->hosts.empty() && std::ranges::none_of(plane->hosts, takes_part))
            return Error{Errc::conflict, "service-segment/" + plane->name, "hosts",
                         to->name + " takes no part in it; add the host"};
        std::size_t there = 0;
        for (const auto& row : intent.all<ServiceNode>()) there += row.second.host.name == to->name;
        if (there >= chain::max_local_nodes)
            return Error{Errc::limit, "host/" + to->name, {}, "has as many nodes as a host can"};
        move_ = {node->name, node->id, plane->svni,
                 static_cast<std::uint32_t>(state->revision + 1), from->name, to->name,
                 from->id, to->id, MovePhase::announced};
        const std::lock_guard lock(job_.mutex);
        job_.from = from->name;
        return {};
    }

private:
    // MB-9, in its order.
    Status steps() {
        tell("node-move.started", {});
        if (Status ready = be(MovePhase::announced, {move_.to, move_.from}); !ready) return ready;
        const auto since = Clock::now();
        if (Status frozen = be(MovePhase::frozen, {move_.from}); !frozen) return frozen;
        if (!job_.order.without_state)
            if (Status carried = carry(); !carried) return carried;
        if (Status plugged = wait_for_ports(); !plugged) return plugged;
        if (Status expected = be(MovePhase::arriving, {}); !expected) return expected;
        if (Status there = wait_for_node(); !there) return there;
        const Status settled = settle();
        const std::lock_guard lock(job_.mutex);
        job_.frozen_ms = std::chrono::duration<double, std::milli>(Clock::now() - since).count();
        return settled;
    }

    // The next phase, until these hosts know of it.
    Status be(MovePhase phase, const std::vector<std::string>& hosts) {
        move_.phase = phase;
        const auto report = [&](model::Snapshot& reported) {
            reported.put(move_);
            return true;
        };
        const Status stored = all_.intent_.report(report, "move of service-node/" + move_.name);
        if (!stored) return stored;
        say(model::enum_name(phase));
        const std::uint64_t revision = all_.intent_.current()->revision;
        const auto until = Clock::now() + apply_patience;
        while (!have_applied(hosts, revision)) {
            if (is_cancelled()) return cancelled();
            if (Clock::now() > until)
                return Error{Errc::unavailable, "service-node/" + move_.name, {},
                             "the hosts did not take the next step in time"};
            rest(look_again);
        }
        return {};
    }

    bool have_applied(const std::vector<std::string>& hosts, std::uint64_t revision) const {
        if (hosts.empty()) return true;
        std::size_t ready = 0;
        for (const HostStatus& status : all_.hosts_.statuses())
            if (std::ranges::find(hosts, status.name) != hosts.end())
                ready += status.is_connected && status.applied >= revision;
        return ready == hosts.size();
    }

    Result<Value> ask(const std::string& host, Value question) {
        const auto answer = std::make_shared<std::promise<Result<Value>>>();
        all_.hosts_.query(host, question, answer_patience,
                          [answer](Result<Value> body) { answer->set_value(std::move(body)); });
        Result<Value> body = answer->get_future().get();
        if (body && !(*body)["error"].as_text().empty())
            return Error{Errc::conflict, "host/" + host, {}, (*body)["error"].as_text()};
        return body;
    }

    // Part by part, who it is first (features/chain/node_transfer.hpp).
    Status carry() {
        std::uint64_t next = 0;
        do {
            Value question = Value::object();
            question.set("what", "save-service-node");
            question.set("node", move_.name);
            question.set("from", next);
            const auto parts = ask(move_.from, std::move(question));
            if (!parts) return parts.error();
            next = 0;
            for (const Value& part : (*parts)["rows"].items()) {
                next = next != 0 ? next : part["next"].as_uint();
                if (part["state"].as_text().empty()) continue;
                if (Status taken = restore(part["state"]); !taken) return taken;
            }
            if (is_cancelled()) return cancelled();
        } while (next != 0);
        return {};
    }

    Status restore(const Value& state) {
        Value question = Value::object();
        question.set("what", "restore-service-node");
        question.set("state", state);
        const auto answer = ask(move_.to, std::move(question));
        if (!answer) return answer.error();
        const std::lock_guard lock(job_.mutex);
        for (const Value& row : (*answer)["rows"].items()) {
            job_.contexts += row["taken"].as_uint();
            job_.renumbered += row["renumbered"].as_uint();
            job_.lost += row["lost"].as_uint();
        }
        return {};
    }

    // Somebody moves the machine meanwhile: the devices of its ports come up at the new host.
    Status wait_for_ports() {
        const auto until = Clock::now() + job_.order.patience;
        const auto state = all_.intent_.current();
        const auto* node = state->intent.find<ServiceNode>(move_.name);
        if (node == nullptr)
            return Error{Errc::conflict, "service-node/" + move_.name, {},
                         "was deleted while it moved"};
        for (;;) {
            Value question = Value::object();
            question.set("what", "host-ports");
            const auto ports = ask(move_.to, std::move(question));
            if (!ports) return ports.error();
            std::size_t running = 0;
            for (const Value& row : (*ports)["rows"].items())
                for (const auto& ref : node->vnics)
                    running += row["name"].as_text() == ref.name &&
                               row["state"].as_text() == "running";
            if (running == node->vnics.size()) return {};
            if (is_cancelled()) return cancelled();
            if (Clock::now() > until)
                return Error{Errc::unavailable, "host/" + move_.to, {},
                             "the devices of the node's ports did not come up there in time"};
            rest(look_again);
        }
    }

    // Its new host says when it has the node.
    Status wait_for_node() {
        const auto until = Clock::now() + job_.order.patience;
        for (;;) {
            const auto state = all_.intent_.current();
            const auto* move = state->reported.find<ServiceNodeMove>(move_.name);
            if (move && move->number == move_.number && move->phase == MovePhase::arrived)
                return {};
            if (is_cancelled()) return cancelled();
            if (!move || Clock::now() > until)
                return Error{Errc::unavailable, "host/" + move_.to, {},
                             "the node's ports did not come up there in time"};
            rest(look_again);
        }
    }

    // The intent says where it is now; its paths stay as they are.
    Status settle() {
        const auto state = all_.intent_.current();
        const auto& registry = all_.registry_;
        const auto* node = state->intent.find<ServiceNode>(move_.name);
        if (node == nullptr)
            return Error{Errc::conflict, "service-node/" + move_.name, {},
                         "was deleted while it moved"};
        std::vector<model::Document> documents;
        for (const auto& ref : node->vnics) {
            Value fields = registry.kind("port")->encode(state->intent, ref.name);
            fields.set("host", move_.to);
            documents.push_back({"port", std::move(fields)});
        }
        Value fields = registry.kind("service-node")->encode(state->intent, move_.name);
        fields.set("host", move_.to);
        const std::string home = node->home ? node->home.name : move_.from;
        fields.set("home", home);
        documents.push_back({"service-node", std::move(fields)});
        ApplyOptions options;
        options.note = "move of service-node/" + move_.name;
        const Outcome outcome = all_.intent_.apply(documents, options);
        if (outcome.ok()) return {};
        return outcome.errors.empty()
                   ? Error{Errc::io, "store", {}, "did not take the node's new host"}
                   : outcome.errors.front();
    }

    void forget() {
        const auto erase = [&](model::Snapshot& reported) {
            return reported.erase<ServiceNodeMove>(move_.name);
        };
        if (Status gone = all_.intent_.report(erase, "move of service-node/" + move_.name); !gone)
            log::error("node-move.not_forgotten", {{"why", gone.error().text()}});
    }

    void say(std::string_view state) {
        const std::lock_guard lock(job_.mutex);
        job_.state = std::string(state);
        job_.changed.notify_all();
    }
    void tell(const char* type, const Status& status) {
        Value details = Value::object();
        details.set("node", move_.name);
        details.set("from", move_.from);
        details.set("to", move_.to);
        if (!status) details.set("why", status.error().text());
        all_.events_.add(type, move_.to, details);
        log::info(type, {{"node", move_.name}, {"to", move_.to}});
    }
    bool is_cancelled() const {
        const std::lock_guard lock(job_.mutex);
        return job_.is_cancelled;
    }
    Error cancelled() const {
        return {Errc::conflict, "service-node/" + move_.name, {}, "the move was cancelled"};
    }
    void rest(milliseconds time) {
        std::unique_lock lock(job_.mutex);
        job_.changed.wait_for(lock, time, [&] { return job_.is_cancelled; });
    }

    NodeMoves& all_;
    Job& job_;
    ServiceNodeMove move_;
};

// Moves that another controller led, or this one before it ended, are given up.
NodeMoves::NodeMoves(const model::Registry& registry, Intent& intent, HostTable& hosts,
                     EventLog& events)
    : registry_(registry), intent_(intent), hosts_(hosts), events_(events) {
    const auto erase = [](model::Snapshot& reported) {
        std::vector<std::string> names;
        for (const auto& row : reported.all<ServiceNodeMove>()) names.push_back(row.first);
        for (const std::string& name : names) reported.erase<ServiceNodeMove>(name);
        return !names.empty();
    };
    if (Status done = intent_.report(erase, "moves given up"); !done)
        log::error("node-move.not_forgotten", {{"why", done.error().text()}});
}

NodeMoves::~NodeMoves() {
    for (auto& [node, job] : jobs_) {
        {
            const std::lock_guard lock(job->mutex);
            job->is_cancelled = true;
            job->changed.notify_all();
        }
        if (job->thread.joinable()) job->thread.join();
    }
}

Status NodeMoves::start(NodeMoveOrder order) {
    const std::lock_guard lock(mutex_);
    std::size_t running = 0;
    for (auto at = jobs_.begin(); at != jobs_.end();) {
        Job& job = *at->second;
        std::unique_lock job_lock(job.mutex);
        if (!job.is_over) {
            if (at->first == order.node)
                return Error{Errc::conflict, "service-node/" + order.node, {},
                             job.is_done ? "has just moved; again in some seconds"
                                         : "is being moved already"};
            running += !job.is_done;
        }
        const bool replaced = job.is_over && at->first == order.node;
        job_lock.unlock();
        if (replaced) job.thread.join();
        at = replaced ? jobs_.erase(at) : std::next(at);
    }
    if (running >= max_at_once)
        return Error{Errc::limit, "moves", {},
                     "no more than " + std::to_string(max_at_once) + " at once"};
    auto job = std::make_shared<Job>();
    job->order = std::move(order);
    auto lead = std::make_shared<Lead>(*this, *job);
    if (Status fit = lead->check(); !fit) return fit;
    jobs_[job->order.node] = job;
    job->thread = std::thread([lead] { lead->run(); });
    return {};
}

Status NodeMoves::cancel(const std::string& node) {
    const std::lock_guard lock(mutex_);
    const auto at = jobs_.find(node);
    if (at == jobs_.end())
        return Error{Errc::not_found, "service-node/" + node, {}, "is not being moved"};
    const std::lock_guard job_lock(at->second->mutex);
    if (at->second->is_done)
        return Error{Errc::conflict, "service-node/" + node, {}, "its move has come to its end"};
    at->second->is_cancelled = true;
    at->second->changed.notify_all();
    return {};
}

Value NodeMoves::status(const std::string& node) const {
    const std::lock_guard lock(mutex_);
    const auto at = jobs_.find(node);
    if (at == jobs_.end()) return {};
    const Job& job = *at->second;
    const std::lock_guard job_lock(job.mutex);
    Value out = Value::object();
    out.set("node", node);
    out.set("from", job.from);
    out.set("to", job.order.to);
    out.set("state", job.state);
    out.set("done", job.is_done);
    out.set("frozen_ms", job.frozen_ms);
    out.set("contexts", job.contexts);
    out.set("renumbered", job.renumbered);
    out.set("lost", job.lost);
    if (!job.error.empty()) out.set("error", job.error);
    return out;
}

}  // namespace weir::controller
