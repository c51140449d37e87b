#include "model/move.hpp"

#include <cstdio>

#include "base/limits.hpp"

namespace weir::model {
namespace {

constexpr std::size_t digest_bytes = 9;  // a dot and eight digits

std::uint32_t fnv1a(const std::string& text) {
    std::uint32_t value = 2166136261u;
    for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 16777619u;
    return value;
}

}  // namespace

std::string move_name(MoveSubject subject, const std::string& object) {
    std::string name = std::string(enum_name(subject)) + "." + object;
    if (name.size() <= limits::max_name_bytes) return name;
    char digest[digest_bytes + 1];
    std::snprintf(digest, sizeof digest, ".%08x", fnv1a(name));
    return name.substr(0, limits::max_name_bytes - digest_bytes) + digest;
}

}  // namespace weir::model
