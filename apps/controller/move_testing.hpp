#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "apps/controller/moves.hpp"
#include "apps/controller/node_move.hpp"
#include "apps/controller/port_move.hpp"
#include "apps/controller/testing.hpp"
#include "features/chain/planned.hpp"
#include "features/chain/resources.hpp"
#include "model/yaml.hpp"

// Hosts that are only questions and answers, and time that passes when a leader of a move waits. A
// real store and intent. For tests.
namespace weir::controller::testing {

// A store that can be told to fail.
class MoodyStore : public cluster::Store {
public:
    explicit MoodyStore(std::unique_ptr<cluster::Store> store) : store_(std::move(store)) {}
    Result<cluster::Contents> load() override { return store_->load(); }
    Result<cluster::Contents> load_at(std::uint64_t r) override { return store_->load_at(r); }
    Result<std::uint64_t> commit(std::uint64_t expected,
                                 const std::vector<cluster::StoredResource>& puts,
                                 const std::vector<model::ResourceKey>& deletes,
                                 std::string_view note) override {
        if (fails) return Error{Errc::io, "store", {}, "the disk is full"};
        return store_->commit(expected, puts, deletes, note);
    }
    Result<std::vector<cluster::Commit>> history() override { return store_->history(); }

    std::atomic<bool> fails{false};

private:
    const std::unique_ptr<cluster::Store> store_;
};

class FakeGround : public MoveGround {
public:
    FakeGround(const model::Registry& kinds, Intent& wanted, EventLog& log)
        : MoveGround(kinds, wanted, log) {}

    // Set before the move begins; called on the leader's thread.
    std::set<std::string> away, refuses;  // hosts: not connected; that say no to plans
    std::function<bool(const std::string&)> runs_newest = [](const auto&) { return true; };
    std::function<Result<Value>(const std::string& what)> answer;  // "h1 host-move-save"
    std::function<void()> while_resting = [] {};
    std::string stuck_in;  // as long as the record says this state, only being left ends a rest
    std::atomic<bool> is_stuck{false};
    bool keeps_remains = false;  // long rests only end with the controller

    Result<Value> ask(const std::string& host, Value question) override {
        const std::string what = host + " " + question["what"].as_text();
        {
            const std::lock_guard lock(mutex_);
            asked_.push_back(what);
        }
        if (away.contains(host)) return Error{Errc::unavailable, "host/" + host, {}, "is away"};
        return answer(what);
    }
    bool is_connected(const std::string& host) const override { return !away.contains(host); }
    Result<bool> runs(const std::string& host, std::uint64_t) const override {
        return has_plan(host);
    }
    Result<bool> has_plan(const std::string& host) const override {
        if (refuses.contains(host))
            return Error{Errc::unavailable, "host/" + host, {}, "refused it: too much"};
        return runs_newest(host);
    }
    std::string why_late(const std::string&) const override { return "it has not answered"; }
    void expect_arrival(const std::string& port, const std::string& host) override {
        const std::lock_guard lock(mutex_);
        arrivals_[port] = host;
    }
    void forget_arrival(const std::string& port) override {
        const std::lock_guard lock(mutex_);
        arrivals_.erase(port);
    }
    model::Snapshot plan_if(const std::string&, const std::string&) const override { return {}; }
    Time now() const override {
        const std::lock_guard lock(mutex_);
        return now_;
    }
    void rest(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, Span span,
              const std::function<bool()>& is_enough) override {
        if (is_enough()) return;
        lock.unlock();
        while_resting();
        const bool stays = must_stay(span);
        lock.lock();
        if (stays) {
            is_stuck = true;
            changed.wait(lock, is_enough);
        }
        const std::lock_guard own(mutex_);
        now_ += span;
    }

    std::vector<std::string> asked() const {
        const std::lock_guard lock(mutex_);
        return asked_;
    }
    bool was_asked(const std::string& what) const {
        const auto all = asked();
        return std::ranges::find(all, what) != all.end();
    }
    std::map<std::string, std::string> arrivals() const {
        const std::lock_guard lock(mutex_);
        return arrivals_;
    }
    std::chrono::seconds elapsed() const {
        return std::chrono::duration_cast<std::chrono::seconds>(now() - Time());
    }

private:
    bool must_stay(Span span) const {
        if (keeps_remains && span >= std::chrono::seconds(10)) return true;
        if (stuck_in.empty()) return false;
        const auto state = intent.current();
        for (const auto& row : state->reported.all<model::Move>())
            if (row.second.state == stuck_in) return true;
        return false;
    }

    mutable std::mutex mutex_;
    std::vector<std::string> asked_;
    std::map<std::string, std::string> arrivals_;
    Time now_;
};

// Somebody's change of the intent that has begun when begin() returns, and is made once the thread
// that called it waits for something.
class Meanwhile {
public:
    ~Meanwhile() { join(); }
    void begin(Intent& intent, Intent::Rewrite rewrite) {
        const pid_t leader = ::gettid();
        thread_ = std::thread([this, &intent, leader, rewrite = std::move(rewrite)] {
            const auto write = [&](model::Snapshot& wanted) {
                has_begun_ = true;
                EXPECT_TRUE(eventually([&] { return goes_on_ && sleeps(leader); }));
                return rewrite(wanted);
            };
            EXPECT_TRUE(intent.edit(write, {}).ok());
        });
        while (!has_begun_) std::this_thread::yield();
        goes_on_ = true;
    }
    void join() {
        if (thread_.joinable()) thread_.join();
    }

private:
    // proc(5): the state stands behind the name.
    static bool sleeps(pid_t thread) {
        std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
        std::string text;
        std::getline(file, text);
        const std::size_t name = text.rfind(')');
        return name != text.npos && text.substr(name, 3) == ") S";
    }

    std::atomic<bool> has_begun_{false}, goes_on_{false};
    std::thread thread_;
};

class MoveTest : public ::testing::Test {
protected:
    using Subject = model::MoveSubject;

    void SetUp() override {
        char pattern[] = "/tmp/weir-moves-XXXXXX";
        dir = ::mkdtemp(pattern);
        registry = features::registry_of(features::all());
        start();
    }
    void TearDown() override {
        moves.reset();
        std::filesystem::remove_all(dir);
    }

    // A controller: the second time one that follows the first.
    void start() {
        auto file = cluster::open_sqlite(dir + "/store.sqlite");
        ASSERT_TRUE(file) << file.error().text();
        auto made = std::make_unique<MoodyStore>(std::move(*file));
        store = made.get();
        auto opened = Intent::open(registry, std::move(made),
                                   [this](const auto& state) { on_change(*state); });
        ASSERT_TRUE(opened) << opened.error().text();
        intent = std::move(*opened);
        events = std::make_unique<EventLog>();
        auto fake = std::make_unique<FakeGround>(registry, *intent, *events);
        ground = fake.get();
        moves = std::make_unique<Moves>(std::move(fake));
        prepare(*ground);
    }
    virtual void prepare(FakeGround&) = 0;  // how hosts answer
    void recover() {
        moves->recover([](const model::Move& record) {
            return record.subject == Subject::port ? resumed_move_of_port(record)
                                                   : resumed_move_of_node(record);
        });
    }
    // The controller ends where its leader is stuck; another one follows, and has not begun yet.
    void restart_when_stuck() {
        ASSERT_TRUE(eventually([&] { return ground->is_stuck.load(); }));
        moves.reset();
        intent.reset();
        start();
    }
    void apply(const std::string& yaml) {
        model::Errors errors;
        const auto documents = model::parse_documents(yaml, errors);
        ASSERT_TRUE(errors.empty()) << errors.list().front().text();
        const Outcome outcome = intent->apply(documents, {});
        ASSERT_TRUE(outcome.ok()) << outcome.errors.front().text();
    }
    Value finished(Subject subject, const std::string& object) {
        EXPECT_TRUE(eventually([&] { return moves->status(subject, object)["over"].as_bool(); }));
        return moves->status(subject, object);
    }
    static std::string why(const Value& status) {
        std::string all;
        for (const Value& error : status["errors"].items()) {
            const std::string& object = error["object"].as_text();
            all += (object.empty() ? "" : object + ": ") + error["message"].as_text();
        }
        return all;
    }
    template <class R>
    const R* reported(const std::string& name) {
        shown = intent->current();
        return shown->reported.template find<R>(name);
    }
    std::vector<std::string> event_types() const {
        std::vector<std::string> types;
        for (const Value& event : events->after(0, 1000)) types.push_back(event["type"].as_text());
        return types;
    }

    std::function<void(const State&)> on_change = [](const State&) {};  // of the intent, or reports

    std::string dir;
    model::Registry registry;
    MoodyStore* store = nullptr;
    std::unique_ptr<Intent> intent;
    std::unique_ptr<EventLog> events;
    FakeGround* ground = nullptr;
    std::unique_ptr<Moves> moves;
    std::shared_ptr<const State> shown;
};

}  // namespace weir::controller::testing
