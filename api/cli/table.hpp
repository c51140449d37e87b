#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "model/value.hpp"

// What the command line prints for people: aligned columns, and values in one line.
namespace weir::cli {

class Table {
public:
    explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}
    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
    bool empty() const { return rows_.empty(); }
    // Columns two blanks apart; numbers (a column of nothing else) to the right.
    std::string text() const;

private:
    std::vector<std::string> header_;
    std::vector<std::vector<std::string>> rows_;
};

// Text as it is, lists with commas, maps as key=value, nothing for null.
std::string inline_text(const model::Value& value);

// "3 s", "2 min", "5 h": for ages.
std::string duration_text(double seconds);

}  // namespace weir::cli
