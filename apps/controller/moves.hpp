#pragma once
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "apps/controller/move_ground.hpp"
#include "apps/controller/move_job.hpp"
#include "base/result.hpp"
#include "model/move.hpp"
#include "model/value.hpp"

namespace weir::controller {

// A move that somebody wants: what of it is recorded, and who leads it.
struct MoveOrder {
    using MakeLead = std::function<std::unique_ptr<MoveLead>(MoveGround&, MoveJob&)>;
    model::Move record;
    MakeLead lead;
};

// Moves of guests' ports and of service nodes between hosts (spec service-plane §8;
// docs/operate/migrate.md), each led by a thread of its own. A controller that ends leaves them to
// the next one, which resumes or undoes them. Thread-safe.
class Moves {
public:
    using Subject = model::MoveSubject;
    using Resume = std::function<MoveOrder(const model::Move&)>;

    static constexpr std::size_t max_moves = 64;  // of a sort; remembered, under way or over
    static constexpr std::size_t max_at_once = 4;  // of a sort

    explicit Moves(std::unique_ptr<MoveGround> ground) : ground_(std::move(ground)) {}
    ~Moves();

    // Takes up what the controller before this one left. Before any host is served.
    void recover(const Resume& resume);

    // Errors: conflict (it is being moved already), limit, or why it cannot be.
    Status start(MoveOrder order);
    Status go_on(Subject subject, const std::string& object);
    Status cancel(Subject subject, const std::string& object);
    // The newest move of the object; null: none.
    model::Value status(Subject subject, const std::string& object) const;
    // Those of a sort, by name.
    model::Value list(Subject subject) const;

private:
    struct Led {
        std::unique_ptr<MoveJob> job;
        std::unique_ptr<MoveLead> lead;
        std::thread thread;
    };
    using Key = std::pair<Subject, std::string>;

    Led& add(MoveOrder order);
    Status make_room(const Key& key);
    std::shared_ptr<const State> state() const { return ground_->intent.current(); }
    void lead(Led& led, bool is_resumed);
    void look_after_remains(Led& led);

    const std::unique_ptr<MoveGround> ground_;
    mutable std::mutex mutex_;
    std::map<Key, Led> moves_;
};

}  // namespace weir::controller
