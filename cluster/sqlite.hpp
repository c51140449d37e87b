#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

// The little of SQLite that the store uses, with ends that clean up after themselves.
namespace weir::cluster {

class Database;

// One prepared statement. Bound texts are copied. Places count from 1, columns from 0.
class Statement {
public:
    Statement(Database& database, std::string_view sql);
    ~Statement();
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    Statement& bind(int place, std::string_view text);
    Statement& bind(int place, std::int64_t number);
    Statement& bind_null(int place);
    // True: a row is there. False: no more rows, or failed(); then ready to be bound again.
    bool step();
    bool failed() const { return failed_; }
    Status run();  // steps to the end

    std::string text(int column) const;
    std::int64_t number(int column) const;
    bool is_null(int column) const;

private:
    Database& database_;
    sqlite3_stmt* handle_ = nullptr;
    bool failed_ = false;
};

class Database {
public:
    Database() = default;
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    Status open(const std::string& path, int busy_timeout_ms);
    Status execute(const std::string& sql);
    Result<std::int64_t> number(std::string_view sql);  // first column of the only row
    Error error() const;                                // what SQLite said last
    sqlite3* handle() { return handle_; }

private:
    std::string path_;
    sqlite3* handle_ = nullptr;
};

// Rolls back unless committed.
class Transaction {
public:
    explicit Transaction(Database& database) : database_(database) {}
    ~Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    Status begin();       // to write: waits for other writers
    Status begin_read();  // one state for all reads
    Status commit();

private:
    Database& database_;
    bool open_ = false;
};

}  // namespace weir::cluster
