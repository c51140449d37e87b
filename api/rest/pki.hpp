#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "api/rest/identity.hpp"
#include "base/result.hpp"

// The authority of one installation and what it issues: EC P-256 certificates whose URI SAN
// `weir://<role>/<name>` is the identity. Nothing else in a certificate is trusted.
namespace weir::rest {

// What one side of a connection shows and trusts, as PEM text. A client that holds a token
// instead of a certificate leaves `cert` and `key` empty.
struct Credentials {
    std::string ca;
    std::string cert;
    std::string key;
};

// ca.pem, cert.pem and key.pem in `dir`, which is made if absent. Files are mode 0600.
Status save_credentials(const std::string& dir, const Credentials& credentials);
Result<Credentials> load_credentials(const std::string& dir);

class Authority {
public:
    // `name` appears as the common name of the authority's own certificate.
    static Result<Authority> create(std::string_view name);

    // ca.pem and ca-key.pem in `dir`.
    static Result<Authority> load(const std::string& dir);
    Status save(const std::string& dir) const;

    // Hosts and administrators may only be clients, controllers both. `addresses` (IP addresses or
    // DNS names) are added for tools that check the name they connected to; Weir does not.
    Result<Credentials> issue(const Identity& identity,
                              const std::vector<std::string>& addresses = {}) const;

    const std::string& certificate() const { return cert_; }  // PEM

private:
    Authority(std::string cert, std::string key) : cert_(std::move(cert)), key_(std::move(key)) {}
    std::string cert_;
    std::string key_;
};

// The identity `cert` (PEM) proves to one who trusts `ca` (PEM) now; else Errc::denied and why.
Result<Identity> verify(std::string_view cert, std::string_view ca);

// 256 random bits as 64 hexadecimal digits.
Result<std::string> make_token();

// Replaces `path` by `content`, mode 0600, or leaves what was there.
Status write_private_file(const std::string& path, std::string_view content);
Result<std::string> read_file(const std::string& path, std::size_t max_bytes = 1 << 20);

}  // namespace weir::rest
