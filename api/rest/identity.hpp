#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace weir::rest {

enum class Role : std::uint8_t {
    none = 0,    // nothing was proven
    local,       // came over the Unix socket: who may open the file
    admin,       // holds the admin token or an admin certificate
    host,        // a host's certificate
    controller,  // a controller's certificate
};

std::string_view name_of(Role role);
Result<Role> parse_role(std::string_view text);

// Who is on the other side, as a certificate of our authority (or the way in) proves it.
struct Identity {
    Role role = Role::none;
    std::string name;  // of the host, controller or administrator; empty for none and local

    std::string text() const;  // "host/h1"
    friend bool operator==(const Identity&, const Identity&) = default;
};

}  // namespace weir::rest
