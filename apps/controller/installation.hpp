#pragma once
#include <string>
#include <vector>

#include "api/rest/pki.hpp"
#include "base/result.hpp"

// What a controller keeps in its directory: ca.pem, ca-key.pem, controller/ (its certificate),
// admin.token, store.sqlite.
namespace weir::controller {

struct Installation {
    rest::Credentials credentials;  // the controller's
    std::string token;              // the administrator's
    std::string store_path;
};

// Makes the authority, the controller's certificate and the token. `addresses` (IP or DNS) are
// added to the certificate for tools that check them. Errors: conflict if the directory holds an
// installation already.
Status create_installation(const std::string& dir, const std::string& name,
                           const std::vector<std::string>& addresses);

Result<Installation> load_installation(const std::string& dir);

// A certificate for a host or an administrator, written to `out` (default: below `dir`), with
// ca.pem beside it. Gives back where.
Result<std::string> issue_into(const std::string& dir, const rest::Identity& identity,
                               std::string out);

}  // namespace weir::controller
