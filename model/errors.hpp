#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace weir::model {

inline constexpr std::size_t max_errors = 20;  // collected of one document set

// Everything that is wrong with one set of resources, in the order found, up to a limit.
class Errors {
public:
    void add(Error error) {
        if (list_.size() < max_errors) list_.push_back(std::move(error));
        ++found_;
    }
    void add(const std::vector<Error>& errors) {
        for (const Error& error : errors) add(error);
    }
    bool empty() const { return found_ == 0; }
    bool full() const { return list_.size() == max_errors; }
    std::size_t found() const { return found_; }  // more than list().size() if some were left off
    const std::vector<Error>& list() const { return list_; }
    Status status() const { return empty() ? Status() : Status(list_.front()); }

private:
    std::vector<Error> list_;
    std::size_t found_ = 0;
};

// Where in a resource: "ports[2].first". Lives on the stack; becomes text only for a message.
struct Path {
    const Path* up = nullptr;
    std::string_view name{};
    std::size_t index = no_index;

    static constexpr std::size_t no_index = static_cast<std::size_t>(-1);
    Path field(std::string_view n) const { return {this, n, no_index}; }
    Path item(std::size_t i) const { return {this, {}, i}; }
    std::string text() const;
};

}  // namespace weir::model
