#include "api/rest/x509.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <optional>

namespace weir::rest {
namespace {

constexpr std::string_view scheme = "weir://";

Error denied(std::string message) {
    return {Errc::denied, "certificate", {}, std::move(message)};
}

Result<Identity> parse_identity(std::string_view uri) {
    uri.remove_prefix(scheme.size());
    const std::size_t slash = uri.find('/');
    if (slash == std::string_view::npos || slash + 1 == uri.size()) {
        return denied("its weir:// name has no role and name");
    }
    const auto role = parse_role(uri.substr(0, slash));
    if (!role) return denied("its weir:// name carries an unknown role");
    return Identity{*role, std::string(uri.substr(slash + 1))};
}

}  // namespace

std::string_view name_of(Role role) {
    switch (role) {
        case Role::none: return "none";
        case Role::local: return "local";
        case Role::admin: return "admin";
        case Role::host: return "host";
        case Role::controller: return "controller";
    }
    return "none";
}

Result<Role> parse_role(std::string_view text) {
    for (const Role role : {Role::admin, Role::host, Role::controller}) {
        if (text == name_of(role)) return role;
    }
    return invalid("role", "expected admin, host or controller");
}

std::string Identity::text() const {
    std::string out(name_of(role));
    return name.empty() ? out : out + "/" + name;
}

std::string openssl_message() {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    if (code == 0) return "unknown reason";
    char text[256];
    ERR_error_string_n(code, text, sizeof text);
    return text;
}

X509Ptr parse_certificate(std::string_view pem) {
    if (pem.size() > (1u << 20)) return nullptr;
    const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    X509Ptr certificate(bio ? PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr) : nullptr);
    if (!certificate) ERR_clear_error();
    return certificate;
}

Result<Identity> identity_of(const X509* certificate) {
    const NamesPtr names(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    std::optional<Identity> found;
    const int count = names ? sk_GENERAL_NAME_num(names.get()) : 0;
    for (int i = 0; i < count; ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type != GEN_URI) continue;
        const ASN1_IA5STRING* value = name->d.uniformResourceIdentifier;
        const std::string_view uri(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                                   static_cast<std::size_t>(ASN1_STRING_length(value)));
        if (!uri.starts_with(scheme)) continue;
        auto identity = parse_identity(uri);
        if (!identity) return identity.error();
        if (found) return denied("it carries more than one weir:// name");
        found = std::move(*identity);
    }
    if (!found) return denied("it carries no weir:// name");
    return std::move(*found);
}

}  // namespace weir::rest
