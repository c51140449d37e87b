#include "cluster/sqlite.hpp"

#include <sqlite3.h>

namespace weir::cluster {

Statement::Statement(Database& database, std::string_view sql) : database_(database) {
    failed_ = sqlite3_prepare_v2(database.handle(), sql.data(), static_cast<int>(sql.size()),
                                 &handle_, nullptr) != SQLITE_OK;
}

Statement::~Statement() {
    sqlite3_finalize(handle_);
}

Statement& Statement::bind(int place, std::string_view text) {
    const char* bytes = text.data() ? text.data() : "";  // a null pointer would bind NULL
    if (!failed_)
        failed_ = sqlite3_bind_text64(handle_, place, bytes, text.size(), SQLITE_TRANSIENT,
                                      SQLITE_UTF8) != SQLITE_OK;
    return *this;
}

Statement& Statement::bind(int place, std::int64_t number) {
    if (!failed_) failed_ = sqlite3_bind_int64(handle_, place, number) != SQLITE_OK;
    return *this;
}

Statement& Statement::bind_null(int place) {
    if (!failed_) failed_ = sqlite3_bind_null(handle_, place) != SQLITE_OK;
    return *this;
}

bool Statement::step() {
    if (failed_) return false;
    const int code = sqlite3_step(handle_);
    if (code == SQLITE_ROW) return true;
    failed_ = code != SQLITE_DONE;
    // A failed step keeps its message until the next call, and reset() would be one.
    if (!failed_) sqlite3_reset(handle_);
    return false;
}

Status Statement::run() {
    while (step()) {
    }
    if (failed_) return database_.error();
    return {};
}

std::string Statement::text(int column) const {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_, column));
    return bytes ? std::string(bytes, size) : std::string();
}

std::int64_t Statement::number(int column) const {
    return sqlite3_column_int64(handle_, column);
}

bool Statement::is_null(int column) const {
    return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}

Database::~Database() {
    sqlite3_close(handle_);
}

Status Database::open(const std::string& path, int busy_timeout_ms) {
    path_ = path;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
    if (sqlite3_open_v2(path.c_str(), &handle_, flags, nullptr) != SQLITE_OK) return error();
    sqlite3_extended_result_codes(handle_, 1);
    sqlite3_busy_timeout(handle_, busy_timeout_ms);
    return {};
}

Status Database::execute(const std::string& sql) {
    if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return error();
    return {};
}

Result<std::int64_t> Database::number(std::string_view sql) {
    Statement statement(*this, sql);
    if (statement.step()) return statement.number(0);
    if (statement.failed()) return error();
    return Error{Errc::io, path_, {}, "has no answer to: " + std::string(sql)};
}

Error Database::error() const {
    const int code = handle_ ? sqlite3_errcode(handle_) : SQLITE_NOMEM;
    const bool busy = (code & 0xff) == SQLITE_BUSY;
    return {busy ? Errc::unavailable : Errc::io,
            path_,
            {},
            handle_ ? sqlite3_errmsg(handle_) : "out of memory"};
}

Transaction::~Transaction() {
    // A failed roll-back means that SQLite has rolled back already.
    if (open_) (void)database_.execute("ROLLBACK");
}

Status Transaction::begin() {
    Status begun = database_.execute("BEGIN IMMEDIATE");
    open_ = begun.ok();
    return begun;
}

Status Transaction::begin_read() {
    Status begun = database_.execute("BEGIN");
    open_ = begun.ok();
    return begun;
}

Status Transaction::commit() {
    Status done = database_.execute("COMMIT");
    if (done) open_ = false;
    return done;
}

}  // namespace weir::cluster
