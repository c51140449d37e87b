#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/delta.hpp"

// Where a controller keeps the resources: transactions, one growing revision, a bounded history.
namespace weir::cluster {

struct StoredResource {
    std::string kind;
    std::string name;
    std::string json;  // the fields, opaque to the store
    friend auto operator<=>(const StoredResource&, const StoredResource&) = default;
};

struct Contents {
    std::uint64_t revision = 0;
    std::vector<StoredResource> resources;  // by kind, then name
};

struct Commit {
    std::uint64_t revision = 0;
    std::int64_t at_s = 0;      // seconds since 1970, of the controller that committed
    std::string note;           // who or why, as given to commit()
    std::uint32_t touched = 0;  // resources put or deleted
};

// Thread-safe. Every function gives Errc::io where the medium fails.
class Store {
public:
    virtual ~Store() = default;

    // Everything as of the newest revision; revision 0 and nothing in a new store.
    virtual Result<Contents> load() = 0;
    // Everything as of a past revision. not_found: never was, or older than the history reaches.
    virtual Result<Contents> load_at(std::uint64_t revision) = 0;
    // Durable and as a whole, or not at all. The answer is the new revision, larger than any
    // before, also over restarts; the same revision if nothing was asked for. Errors: conflict (the
    // newest revision is another), not_found (deletes what is not there), invalid (no name, or
    // twice).
    virtual Result<std::uint64_t> commit(std::uint64_t expected_revision,
                                         const std::vector<StoredResource>& puts,
                                         const std::vector<model::ResourceKey>& deletes,
                                         std::string_view note = {}) = 0;
    // Newest first, as far as load_at() reaches.
    virtual Result<std::vector<Commit>> history() = 0;
};

struct StoreOptions {
    std::uint64_t history_limit = 1000;  // revisions that load_at() reaches back
    int busy_timeout_ms = 5000;          // wait for another process that is writing
};

// A SQLite file, made if it is not there; ":memory:" for one that ends with the process. Errors:
// io (no access, no store, damaged), invalid (written by a newer version).
Result<std::unique_ptr<Store>> open_sqlite(const std::string& path, StoreOptions options = {});

// "/weir/config/<kind>/<name>": the key a resource is stored under.
std::string storage_key(std::string_view kind, std::string_view name);

}  // namespace weir::cluster
