#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <mutex>
#include <set>

#include "cluster/sqlite.hpp"
#include "cluster/store.hpp"
#include "model/scalars.hpp"

namespace weir::cluster {

namespace {

constexpr std::string_view key_root = "/weir/config/";
constexpr std::int64_t layout_version = 1;
constexpr std::int64_t application_id = 0x57454952;  // "WEIR", in the file's header

// `undo` keeps what a commit replaced, so that a past state is the newest one walked backwards.
constexpr const char* layout = R"(
    CREATE TABLE state(id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL);
    INSERT INTO state(id, revision) VALUES(1, 0);
    CREATE TABLE resource(key TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE history(revision INTEGER PRIMARY KEY, at_s INTEGER NOT NULL,
                         note TEXT NOT NULL, touched INTEGER NOT NULL);
    CREATE TABLE undo(revision INTEGER NOT NULL, key TEXT NOT NULL, json TEXT,
                      PRIMARY KEY(revision, key)) WITHOUT ROWID;
)";

Result<StoredResource> split_key(const std::string& key, std::string json) {
    const std::size_t slash = key.find('/', key_root.size());
    if (!key.starts_with(key_root) || slash == std::string::npos)
        return Error{Errc::io, key, {}, "is no key of a resource"};
    return StoredResource{key.substr(key_root.size(), slash - key_root.size()),
                          key.substr(slash + 1), std::move(json)};
}

// What one commit does to keys; no text: delete.
using Writes = std::map<std::string, const std::string*>;

Result<Writes> collect(const std::vector<StoredResource>& puts,
                       const std::vector<model::ResourceKey>& deletes) {
    Writes writes;
    auto add = [&](const std::string& kind, const std::string& name,
                   const std::string* json) -> Status {
        for (const std::string& part : {kind, name})
            if (std::string why = model::why_no_name(part); !why.empty())
                return Error{Errc::invalid, kind + "/" + name, "name", why};
        if (!writes.emplace(storage_key(kind, name), json).second)
            return Error{Errc::invalid, kind + "/" + name, {}, "is written twice"};
        return {};
    };
    for (const StoredResource& put : puts)
        if (Status added = add(put.kind, put.name, &put.json); !added) return added.error();
    for (const model::ResourceKey& key : deletes)
        if (Status added = add(key.kind, key.name, nullptr); !added) return added.error();
    return writes;
}

class SqliteStore final : public Store {
public:
    explicit SqliteStore(StoreOptions options) : options_(options) {}

    Status open(const std::string& path);
    Result<Contents> load() override;
    Result<Contents> load_at(std::uint64_t revision) override;
    Result<std::uint64_t> commit(std::uint64_t expected_revision,
                                 const std::vector<StoredResource>& puts,
                                 const std::vector<model::ResourceKey>& deletes,
                                 std::string_view note) override;
    Result<std::vector<Commit>> history() override;

private:
    Status prepare_layout();
    Result<std::int64_t> newest() { return database_.number("SELECT revision FROM state"); }
    Status read_all(std::map<std::string, std::string>& rows);
    Status walk_back(std::int64_t revision, std::map<std::string, std::string>& rows);
    Result<Contents> load_locked(std::int64_t revision, std::int64_t newest_revision);
    Status write(const Writes& writes, std::int64_t revision);
    Status record(std::int64_t revision, std::string_view note, std::size_t touched);

    std::mutex mutex_;
    StoreOptions options_;
    Database database_;
};

Status SqliteStore::open(const std::string& path) {
    if (path != ":memory:") {
        // SQLite would make the file readable by everybody; its side files follow this one.
        const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (file < 0)
            return Error{Errc::io, path, {}, "cannot be opened or made: check the directory"};
        ::close(file);
    }
    if (Status opened = database_.open(path, options_.busy_timeout_ms); !opened) return opened;
    // WAL with FULL: a commit is on the medium before it is answered, and a torn one vanishes.
    if (Status set = database_.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"); !set)
        return set;
    return prepare_layout();
}

Status SqliteStore::prepare_layout() {
    Transaction transaction(database_);
    if (Status begun = transaction.begin(); !begun) return begun;
    const auto version = database_.number("PRAGMA user_version");
    const auto owner = database_.number("PRAGMA application_id");
    const auto tables = database_.number("SELECT count(*) FROM sqlite_master");
    if (!version) return version.error();
    if (!owner) return owner.error();
    if (!tables) return tables.error();
    if (*tables != 0 && *owner != application_id)
        return Error{Errc::io, {}, {}, "the file is a database of something else"};
    if (*version > layout_version)
        return Error{Errc::invalid, {}, {}, "the file was written by a newer version of Weir"};
    if (*tables == 0) {
        const std::string mark = "PRAGMA application_id=" + std::to_string(application_id) +
                                 "; PRAGMA user_version=" + std::to_string(layout_version) + ";";
        if (Status made = database_.execute(layout + mark); !made) return made;
    }
    if (const auto revision = newest(); !revision) return revision.error();
    return transaction.commit();
}

Status SqliteStore::read_all(std::map<std::string, std::string>& rows) {
    Statement select(database_, "SELECT key, json FROM resource");
    while (select.step()) rows.emplace(select.text(0), select.text(1));
    if (select.failed()) return database_.error();
    return {};
}

// Takes back, newest first, what the commits after `revision` did.
Status SqliteStore::walk_back(std::int64_t revision, std::map<std::string, std::string>& rows) {
    Statement select(database_,
                     "SELECT key, json FROM undo WHERE revision > ? ORDER BY revision DESC");
    select.bind(1, revision);
    while (select.step()) {
        if (select.is_null(1)) {
            rows.erase(select.text(0));
        } else {
            rows.insert_or_assign(select.text(0), select.text(1));
        }
    }
    if (select.failed()) return database_.error();
    return {};
}

Result<Contents> SqliteStore::load_locked(std::int64_t revision, std::int64_t newest_revision) {
    std::map<std::string, std::string> rows;
    if (Status read = read_all(rows); !read) return read.error();
    if (revision != newest_revision)
        if (Status walked = walk_back(revision, rows); !walked) return walked.error();
    Contents contents{static_cast<std::uint64_t>(revision), {}};
    for (auto& [key, json] : rows) {
        auto resource = split_key(key, std::move(json));
        if (!resource) return resource.error();
        contents.resources.push_back(*std::move(resource));
    }
    std::ranges::sort(contents.resources);
    return contents;
}

Result<Contents> SqliteStore::load() {
    const std::lock_guard lock(mutex_);
    Transaction transaction(database_);
    if (Status begun = transaction.begin_read(); !begun) return begun.error();
    const auto revision = newest();
    if (!revision) return revision.error();
    return load_locked(*revision, *revision);
}

Result<Contents> SqliteStore::load_at(std::uint64_t revision) {
    const std::lock_guard lock(mutex_);
    Transaction transaction(database_);
    if (Status begun = transaction.begin_read(); !begun) return begun.error();
    const auto newest_revision = newest();
    if (!newest_revision) return newest_revision.error();
    // The oldest commit that can be taken back leads to the state before it.
    const auto oldest = database_.number("SELECT ifnull(min(revision) - 1, -1) FROM history");
    if (!oldest) return oldest.error();
    const auto last = static_cast<std::uint64_t>(*newest_revision);
    const std::uint64_t first = *oldest < 0 ? last : static_cast<std::uint64_t>(*oldest);
    if (revision > last || revision < first)
        return Error{Errc::not_found,
                     {},
                     "revision",
                     std::to_string(revision) + " is not kept; " + std::to_string(first) + " to " +
                         std::to_string(last) + " are"};
    return load_locked(static_cast<std::int64_t>(revision), *newest_revision);
}

Status SqliteStore::write(const Writes& writes, std::int64_t revision) {
    Statement before(database_, "SELECT json FROM resource WHERE key = ?");
    Statement undo(database_, "INSERT INTO undo(revision, key, json) VALUES(?, ?, ?)");
    Statement put(database_, "INSERT OR REPLACE INTO resource(key, json) VALUES(?, ?)");
    Statement erase(database_, "DELETE FROM resource WHERE key = ?");
    for (const auto& [key, json] : writes) {
        undo.bind(1, revision).bind(2, key);
        const bool was_there = before.bind(1, key).step();
        if (was_there) {
            undo.bind(3, before.text(0));
            before.step();
        } else {
            undo.bind_null(3);
        }
        if (before.failed()) return database_.error();
        if (!was_there && !json)
            return Error{Errc::not_found, key.substr(key_root.size()), {}, "does not exist"};
        if (Status kept = undo.run(); !kept) return kept;
        Status done = json ? put.bind(1, key).bind(2, *json).run() : erase.bind(1, key).run();
        if (!done) return done;
    }
    return {};
}

Status SqliteStore::record(std::int64_t revision, std::string_view note, std::size_t touched) {
    Statement add(database_,
                  "INSERT INTO history(revision, at_s, note, touched) VALUES(?, ?, ?, ?)");
    add.bind(1, revision).bind(2, std::int64_t{std::time(nullptr)}).bind(3, note);
    if (Status added = add.bind(4, static_cast<std::int64_t>(touched)).run(); !added) return added;
    const auto kept = static_cast<std::int64_t>(
        std::min(options_.history_limit, static_cast<std::uint64_t>(revision)));
    for (const char* sql :
         {"DELETE FROM history WHERE revision <= ?", "DELETE FROM undo WHERE revision <= ?"}) {
        Statement forget(database_, sql);
        if (Status done = forget.bind(1, revision - kept).run(); !done) return done;
    }
    Statement advance(database_, "UPDATE state SET revision = ?");
    return advance.bind(1, revision).run();
}

Result<std::uint64_t> SqliteStore::commit(std::uint64_t expected_revision,
                                          const std::vector<StoredResource>& puts,
                                          const std::vector<model::ResourceKey>& deletes,
                                          std::string_view note) {
    const auto writes = collect(puts, deletes);
    if (!writes) return writes.error();
    const std::lock_guard lock(mutex_);
    Transaction transaction(database_);
    if (Status begun = transaction.begin(); !begun) return begun.error();
    const auto revision = newest();
    if (!revision) return revision.error();
    if (static_cast<std::uint64_t>(*revision) != expected_revision)
        return Error{Errc::conflict,
                     {},
                     "revision",
                     "expected " + std::to_string(expected_revision) + ", the newest is " +
                         std::to_string(*revision)};
    if (writes->empty()) return expected_revision;
    if (Status done = write(*writes, *revision + 1); !done) return done.error();
    if (Status done = record(*revision + 1, note, writes->size()); !done) return done.error();
    if (Status done = transaction.commit(); !done) return done.error();
    return expected_revision + 1;
}

Result<std::vector<Commit>> SqliteStore::history() {
    const std::lock_guard lock(mutex_);
    Statement select(database_,
                     "SELECT revision, at_s, note, touched FROM history ORDER BY revision DESC");
    std::vector<Commit> out;
    while (select.step())
        out.push_back({static_cast<std::uint64_t>(select.number(0)), select.number(1),
                       select.text(2), static_cast<std::uint32_t>(select.number(3))});
    if (select.failed()) return database_.error();
    return out;
}

}  // namespace

std::string storage_key(std::string_view kind, std::string_view name) {
    return std::string(key_root).append(kind).append("/").append(name);
}

Result<std::unique_ptr<Store>> open_sqlite(const std::string& path, StoreOptions options) {
    auto store = std::make_unique<SqliteStore>(options);
    if (Status opened = store->open(path); !opened) {
        Error error = opened.error();
        if (error.object.empty()) error.object = path;
        return error;
    }
    return std::unique_ptr<Store>(std::move(store));
}

}  // namespace weir::cluster
