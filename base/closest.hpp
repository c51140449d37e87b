#pragma once
#include <span>
#include <string>
#include <string_view>

// For messages about names that nothing carries: which one may have been meant.
namespace weir {

// The name that differs least from `word`, if that is by so few typing mistakes (a letter too many,
// too few, another one, two swapped) that it may have been meant; else empty. At most the first
// 4096 names are looked at.
std::string_view closest(std::string_view word, std::span<const std::string> names);
std::string_view closest(std::string_view word, std::span<const std::string_view> names);

// "; did you mean port?", or nothing: to put behind a message.
std::string did_you_mean(std::string_view word, std::span<const std::string> names);
std::string did_you_mean(std::string_view word, std::span<const std::string_view> names);

}  // namespace weir
