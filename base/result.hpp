#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace weir {

enum class Errc : std::uint8_t {
    invalid = 1,   // the input is wrong; `field` says where
    not_found,     // a name that nothing carries
    conflict,      // two things that cannot both be
    limit,         // a bound of limits.hpp was reached
    unavailable,   // the other side is not there (yet)
    denied,        // no right to do this
    io,            // the operating system said no
    internal,      // our own fault
};

// Why something on the cold path did not happen. Names what (`object`), where (`field`) and why.
struct Error {
    Errc code = Errc::internal;
    std::string object;   // "firewall-rule/web", a file name, …; may be empty
    std::string field;    // "ports[2]"; may be empty
    std::string message;  // what is wrong and what to do

    std::string text() const {
        std::string out = object;
        if (!field.empty()) out += (out.empty() ? "" : ": ") + field;
        return out.empty() ? message : out + ": " + message;
    }
};

// A value or the Error that stands in its place. Cold path only; the hot path has exits.
template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}

    bool ok() const { return content_.index() == 0; }
    explicit operator bool() const { return ok(); }
    T& value() & { return std::get<0>(content_); }
    const T& value() const& { return std::get<0>(content_); }
    T&& value() && { return std::get<0>(std::move(content_)); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }
    const Error& error() const { return std::get<1>(content_); }

private:
    std::variant<T, Error> content_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error) : error_(std::move(error)), ok_(false) {}
    bool ok() const { return ok_; }
    explicit operator bool() const { return ok_; }
    const Error& error() const { return error_; }

private:
    Error error_;
    bool ok_ = true;
};

using Status = Result<void>;

inline Error invalid(std::string field, std::string message) {
    return {Errc::invalid, {}, std::move(field), std::move(message)};
}

}  // namespace weir
