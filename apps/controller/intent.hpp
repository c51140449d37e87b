#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/store.hpp"
#include "model/delta.hpp"
#include "model/documents.hpp"
#include "model/errors.hpp"
#include "model/registry.hpp"
#include "model/snapshot.hpp"

namespace weir::controller {

// What the network is to be, and what hosts report of it. Immutable once made.
struct State {
    std::uint64_t revision = 0;
    model::Snapshot intent;    // declared by operators; carries the revision
    model::Snapshot reported;  // learned addresses, nodes that are down, …
};

// What became of a request to change the intent.
struct Outcome {
    enum class Failure : std::uint8_t { none, invalid, missing, store };
    Failure failure = Failure::none;  // else nothing was changed
    std::vector<Error> errors;
    std::size_t errors_found = 0;  // more than errors.size() if some were left off
    std::uint64_t revision = 0;  // now; the former one if nothing differed
    std::vector<model::Change> changes;

    bool ok() const { return failure == Failure::none; }
    Status status() const;  // the first error
};

struct ApplyOptions {
    bool prune = false;    // delete every resource that is not written
    bool dry_run = false;  // say what would change, change nothing
    std::string note;      // who asks, for the history
};

// All that operators declared, validated as a whole, and what hosts reported; stored and numbered
// together, so that a revision always means the same to every host. Thread-safe.
class Intent {
public:
    using Listener = std::function<void(std::shared_ptr<const State>)>;
    // Changes what is wanted, as it is at that moment; an error: it is to stay as it is.
    using Rewrite = std::function<Status(model::Snapshot& intent)>;
    // Changes what is reported; true if anything is different then.
    using Report = std::function<bool(model::Snapshot& reported)>;
    // What of a change must be remembered in `reported` (features::Feature); true if anything is
    // different then.
    using Remember = std::function<bool(const model::Snapshot& before,
                                        const model::Snapshot& intent, model::Snapshot& reported)>;

    // `listener` hears of every new state, in order, before the change is answered.
    // Errors: those of the store; invalid if what it holds cannot be read by this program.
    static Result<std::unique_ptr<Intent>> open(const model::Registry& registry,
                                                std::unique_ptr<cluster::Store> store,
                                                Listener listener, Remember remember = {});

    std::shared_ptr<const State> current() const;

    Outcome apply(const std::vector<model::Document>& documents, const ApplyOptions& options);
    Outcome erase(const model::ResourceKey& key, const ApplyOptions& options);
    // For what Weir itself changes: nothing that operators write meanwhile is lost. `prune` does
    // not count.
    Outcome edit(const Rewrite& rewrite, const ApplyOptions& options);
    Status report(const Report& report, const std::string& note);

    Result<std::vector<cluster::Commit>> history();

private:
    using Edit = std::function<Outcome::Failure(model::Snapshot& candidate, model::Errors&)>;
    Intent(const model::Registry& registry, std::unique_ptr<cluster::Store> store,
           Listener listener, Remember remember);
    Status load();
    Outcome change(const Edit& edit, const ApplyOptions& options);
    Status commit(const State& before, State candidate, const std::string& note);

    const model::Registry& registry_;
    const std::unique_ptr<cluster::Store> store_;
    const Listener listener_;
    const Remember remember_;
    std::mutex change_mutex_;  // one change at a time
    mutable std::mutex mutex_;
    std::shared_ptr<const State> current_;
};

}  // namespace weir::controller
