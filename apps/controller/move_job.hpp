#pragma once
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "apps/controller/move_ground.hpp"
#include "model/move.hpp"

namespace weir::controller {

// One move, as it stands: what its leader says of it and what others want of it. What must outlive
// the controller is its record in the store. Thread-safe.
class MoveJob {
public:
    using Edit = std::function<void(model::Snapshot& reported)>;

    MoveJob(MoveGround& ground, model::Move record)
        : ground_(ground), record_(std::move(record)) {}

    const std::string& object() const { return record_.object; }
    const std::string& to() const { return record_.to; }
    std::string text() const;  // "port/g1", as errors name it

    // What its leader says.
    void be(const std::string& state);
    void wait_as(const std::string& state);  // until somebody says go_on()
    void measure(const char* what, double ms);
    void count(const char* what, std::uint64_t more);
    void set(const char* what, std::uint64_t now);
    std::uint64_t counted(const char* what) const;
    // Into the store: whoever leads it after this controller finds it so. `also`: in one commit.
    Status keep(const Edit& also = {});
    Status keep_as(const std::string& state, const Edit& also = {});
    void put(const std::function<void(model::Move&)>& edit);  // into the record, not yet kept
    model::Move record() const;
    void end(const Status& status);

    // What its leader hears. An error: it is to end.
    Status stopped() const;
    // From now on there is no way back: nobody can cancel it. An error: somebody did before, or it
    // is left to the next controller; nothing is final then.
    Status commit();
    // It has moved, as turns out: whoever cancelled it came too late.
    void commit_regardless();
    // Somebody said that it should go on, now or within so long.
    bool was_told(std::chrono::milliseconds within);
    // Waits, unless it is to end.
    void rest(std::chrono::milliseconds span);

    // What others want and see.
    Status go_on();
    Status cancel();
    void leave();  // the controller ends; the move is the next one's
    bool is_left() const;
    bool is_over() const;  // what became of it is known
    bool is_free() const;  // nobody is busy with it any more
    void set_free();
    model::Value status() const;

private:
    Error error(Errc code, std::string why) const;
    Status stopped_now() const;

    MoveGround& ground_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    model::Move record_;
    std::string state_;
    std::vector<Error> errors_;
    model::Value progress_ = model::Value::object();
    bool is_waiting_ = false, is_told_ = false, is_cancelled_ = false, is_final_ = false;
    bool is_left_ = false, is_over_ = false, is_free_ = false;
};

// What is shown of a move of which there is only the record.
model::Value status_of(const model::Move& record);

// Leads one move through its steps. What goes wrong before the last of them is undone.
class MoveLead {
public:
    MoveLead(MoveGround& ground, MoveJob& job) : ground_(ground), job_(job) {}
    virtual ~MoveLead() = default;

    // What can be known at once, without asking anybody.
    virtual Status fit() { return {}; }
    virtual Status steps() = 0;
    // From where the controller before this one had come (MoveJob::record()).
    virtual Status resume() = 0;
    // It failed: all is to be as it was, unless there is no way back any more.
    virtual void undo() = 0;
    // It is done: what remains to be looked after for a while.
    virtual bool has_remains() const { return false; }
    virtual void look_after_remains() {}
    // Only looks whether it could be done: no record, no events.
    virtual bool is_trial() const { return false; }
    // Before hosts hear anything from a controller that goes on with it.
    virtual void prepare_resume() {}
    // Of its events: "NAME.started", "NAME.done", "NAME.failed".
    virtual std::string event_name() const = 0;
    virtual void describe(model::Value&) const {}

    void tell(const std::string& what, const Status& status = {});

protected:
    using Value = model::Value;

    MoveGround& ground_;
    MoveJob& job_;
};

}  // namespace weir::controller
