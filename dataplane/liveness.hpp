#pragma once
#include <algorithm>
#include <cstdint>

// One judge of life for everything that is asked and answers: service nodes now, tunnels later.
namespace weir::dataplane {

// Spec service-plane LV-2, LV-4, LV-6.
struct LivenessTimes {
    std::uint64_t interval_ns = 250'000'000;  // one question per interval
    std::uint64_t grace_ns = 20'000'000;      // how long a question waits for a packet to ride on
    std::uint32_t misses_to_down = 3;
    std::uint32_t answers_to_up = 3;
    std::uint64_t hold_up_ns = 2'000'000'000;        // first time down; doubles with each flap …
    std::uint64_t max_hold_up_ns = 60'000'000'000;   // … up to this …
    std::uint64_t flap_window_ns = 300'000'000'000;  // … as long as flaps follow within this
};

// Judges by intervals on a fixed grid: a question is asked early in each interval, and when the
// interval ends without an answer that is a miss. Three misses in a row take at most four intervals
// from the moment the other side fell silent, whenever that was.
//
// Pure and without pointers: the caller brings the clock, and the zeroed memory of a vault pool is
// a valid start. One thread at a time.
class Liveness {
public:
    enum class Verdict : std::uint8_t { unknown = 0, up, down };

    // What came of the question asked in the interval that ends.
    enum class Outcome : std::uint8_t {
        unasked,  // no question could be sent: says nothing
        answered,
        missed,
    };

    bool due(std::uint64_t now_ns) const { return now_ns >= interval_end_ns_; }

    // Judges the interval that has ended (`due`) and starts the next one. True: the verdict
    // changed.
    //
    // A caller that comes a whole interval late was itself not running; its silence is nobody's
    // miss.
    bool advance(std::uint64_t now_ns, Outcome outcome, const LivenessTimes& times = {}) {
        const bool slept = now_ns >= interval_end_ns_ + times.interval_ns;
        interval_start_ns_ = slept ? now_ns : interval_end_ns_;
        interval_end_ns_ = interval_start_ns_ + times.interval_ns;
        switch (outcome) {
            case Outcome::answered:
                ++answered_;
                return on_answer(now_ns, times);
            case Outcome::missed:
                if (slept) return false;
                ++missed_;
                return on_miss(now_ns, times);
            case Outcome::unasked:
                break;
        }
        return false;
    }

    Verdict verdict() const { return verdict_; }
    std::uint64_t interval_start_ns() const { return interval_start_ns_; }
    std::uint64_t changed_ns() const { return changed_ns_; }
    std::uint64_t hold_up_ns() const { return hold_up_ns_; }  // of the last time down
    std::uint64_t answered() const { return answered_; }
    std::uint64_t missed() const { return missed_; }
    std::uint64_t flaps() const { return flaps_; }  // times down

    // Everything but the grid of intervals, with times as ages: what another host goes on from.
    struct Saved {
        Verdict verdict = Verdict::unknown;
        std::uint32_t misses = 0, answers = 0;
        std::uint64_t recovering_for_ns = 0;  // 0: it is not
        std::uint64_t hold_up_ns = 0, down_for_ns = 0, unchanged_for_ns = 0;
        std::uint64_t answered = 0, missed = 0, flaps = 0;
        friend bool operator==(const Saved&, const Saved&) = default;
    };
    Saved save(std::uint64_t now_ns) const {
        const auto age = [&](std::uint64_t then) { return then == 0 ? 0 : now_ns - then + 1; };
        return {verdict_, misses_,       answers_,          age(recovering_since_ns_), hold_up_ns_,
                age(down_ns_), age(changed_ns_), answered_, missed_,                   flaps_};
    }
    void restore(const Saved& saved, std::uint64_t now_ns) {
        const auto time = [&](std::uint64_t age) {
            return age == 0 ? 0 : age <= now_ns ? now_ns - age + 1 : std::uint64_t{1};
        };
        *this = {};
        verdict_ = saved.verdict;
        misses_ = saved.misses;
        answers_ = saved.answers;
        recovering_since_ns_ = time(saved.recovering_for_ns);
        hold_up_ns_ = saved.hold_up_ns;
        down_ns_ = time(saved.down_for_ns);
        changed_ns_ = time(saved.unchanged_for_ns);
        answered_ = saved.answered;
        missed_ = saved.missed;
        flaps_ = saved.flaps;
    }

private:
    bool on_answer(std::uint64_t now_ns, const LivenessTimes& times) {
        misses_ = 0;
        if (verdict_ == Verdict::up) return false;
        if (verdict_ == Verdict::down) {
            if (answers_ < times.answers_to_up) ++answers_;
            if (answers_ < times.answers_to_up) return false;
            if (recovering_since_ns_ == 0) recovering_since_ns_ = now_ns;
            if (now_ns - recovering_since_ns_ < hold_up_ns_) return false;
        }
        return become(Verdict::up, now_ns);
    }

    bool on_miss(std::uint64_t now_ns, const LivenessTimes& times) {
        answers_ = 0;
        recovering_since_ns_ = 0;
        if (verdict_ == Verdict::down || ++misses_ < times.misses_to_down) return false;
        const bool again = flaps_ != 0 && now_ns - down_ns_ < times.flap_window_ns;
        hold_up_ns_ = again ? std::min(2 * hold_up_ns_, times.max_hold_up_ns) : times.hold_up_ns;
        down_ns_ = now_ns;
        ++flaps_;
        return become(Verdict::down, now_ns);
    }

    bool become(Verdict verdict, std::uint64_t now_ns) {
        verdict_ = verdict;
        changed_ns_ = now_ns;
        misses_ = 0;
        answers_ = 0;
        recovering_since_ns_ = 0;
        return true;
    }

    Verdict verdict_ = Verdict::unknown;
    std::uint32_t misses_ = 0;   // in a row
    std::uint32_t answers_ = 0;  // in a row, while down
    std::uint64_t interval_start_ns_ = 0;
    std::uint64_t interval_end_ns_ = 0;
    std::uint64_t recovering_since_ns_ = 0;  // when the last of the needed answers came; 0: not yet
    std::uint64_t hold_up_ns_ = 0;
    std::uint64_t down_ns_ = 0;
    std::uint64_t changed_ns_ = 0;
    std::uint64_t answered_ = 0, missed_ = 0, flaps_ = 0;
};

}  // namespace weir::dataplane
