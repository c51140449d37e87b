#include "api/rest/pki.hpp"

#include <arpa/inet.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <filesystem>

#include "api/rest/x509.hpp"
#include "base/limits.hpp"

namespace weir::rest {
namespace {

constexpr long authority_seconds = 10L * 365 * 24 * 3600;
constexpr long certificate_seconds = 5L * 365 * 24 * 3600;
constexpr long clock_slack_seconds = 3600;  // a peer's clock may be this far behind

Error openssl_error(const char* what) {
    return {Errc::internal, "certificate", {}, std::string(what) + ": " + openssl_message()};
}

template <class Write>
Result<std::string> to_pem(Write write) {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    if (!bio || write(bio.get()) != 1) return openssl_error("cannot encode");
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return std::string(data, static_cast<std::size_t>(size));
}

Result<std::string> certificate_pem(X509* certificate) {
    return to_pem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

Result<std::string> key_pem(EVP_PKEY* key) {
    return to_pem([&](BIO* bio) {
        return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
    });
}

KeyPtr parse_key(std::string_view pem) {
    const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    return KeyPtr(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr) : nullptr);
}

bool add_extension(X509* certificate, const X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, const_cast<X509*>(issuer), certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    if (extension == nullptr) return false;
    const bool ok = X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

bool set_serial(X509* certificate) {
    unsigned char bytes[16];
    if (RAND_bytes(bytes, sizeof bytes) != 1) return false;
    bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);  // positive, full length
    BIGNUM* number = BN_bin2bn(bytes, sizeof bytes, nullptr);
    const bool ok = number != nullptr &&
                    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
    BN_free(number);
    return ok;
}

bool set_common_name(X509* certificate, std::string_view name, std::string_view unit) {
    X509_NAME* subject = X509_get_subject_name(certificate);
    const auto add = [&](const char* part, std::string_view value) {
        return X509_NAME_add_entry_by_txt(
                   subject, part, MBSTRING_UTF8,
                   reinterpret_cast<const unsigned char*>(value.data()),
                   static_cast<int>(value.size()), -1, 0) == 1;
    };
    return add("O", "weir") && add("OU", unit) && add("CN", name);
}

// A certificate for `key` with everything but extensions and signature.
X509Ptr blank_certificate(EVP_PKEY* key, std::string_view name, std::string_view unit,
                          long valid_seconds) {
    X509Ptr certificate(X509_new());
    if (!certificate || X509_set_version(certificate.get(), 2) != 1) return nullptr;
    if (!set_serial(certificate.get())) return nullptr;
    if (!X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -clock_slack_seconds) ||
        !X509_gmtime_adj(X509_getm_notAfter(certificate.get()), valid_seconds)) {
        return nullptr;
    }
    if (!set_common_name(certificate.get(), name, unit)) return nullptr;
    if (X509_set_pubkey(certificate.get(), key) != 1) return nullptr;
    return certificate;
}

bool is_name(std::string_view name) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    };
    return !name.empty() && name.size() <= limits::max_name_bytes && name.front() != '.' &&
           name.front() != '-' && std::all_of(name.begin(), name.end(), allowed);
}

// Commas and colons would end one name and begin another in the extension's text form.
Result<std::string> alternative_names(const Identity& identity,
                                      const std::vector<std::string>& addresses) {
    std::string out = "URI:weir://" + identity.text() + ",DNS:" + identity.name;
    for (const std::string& address : addresses) {
        unsigned char binary[16];
        const bool is_ip = inet_pton(AF_INET, address.c_str(), binary) == 1 ||
                           inet_pton(AF_INET6, address.c_str(), binary) == 1;
        if (!is_ip && !is_name(address)) {
            return invalid("address", "\"" + address + "\" is neither an address nor a name");
        }
        out += (is_ip ? ",IP:" : ",DNS:") + address;
    }
    return out;
}

}  // namespace

Result<Authority> Authority::create(std::string_view name) {
    if (!is_name(name)) {
        return invalid("name", "use 1 to 63 of a-z 0-9 . _ - , the first a letter or digit");
    }
    const KeyPtr key(EVP_EC_gen("P-256"));
    if (!key) return openssl_error("cannot make a key");
    const X509Ptr cert = blank_certificate(key.get(), name, "authority", authority_seconds);
    if (!cert || X509_set_issuer_name(cert.get(), X509_get_subject_name(cert.get())) != 1 ||
        !add_extension(cert.get(), cert.get(), NID_basic_constraints,
                       "critical,CA:TRUE,pathlen:0") ||
        !add_extension(cert.get(), cert.get(), NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(cert.get(), cert.get(), NID_subject_key_identifier, "hash") ||
        X509_sign(cert.get(), key.get(), EVP_sha256()) == 0) {
        return openssl_error("cannot make the authority's certificate");
    }
    auto cert_text = certificate_pem(cert.get());
    auto key_text = key_pem(key.get());
    if (!cert_text) return cert_text.error();
    if (!key_text) return key_text.error();
    return Authority(std::move(*cert_text), std::move(*key_text));
}

Result<Authority> Authority::load(const std::string& dir) {
    auto cert = read_file(dir + "/ca.pem");
    if (!cert) return cert.error();
    auto key = read_file(dir + "/ca-key.pem");
    if (!key) return key.error();
    const X509Ptr parsed = parse_certificate(*cert);
    const KeyPtr parsed_key = parse_key(*key);
    if (!parsed || !parsed_key || X509_check_private_key(parsed.get(), parsed_key.get()) != 1) {
        ERR_clear_error();
        return Error{Errc::invalid, dir, "ca-key.pem",
                     "is not the key of ca.pem: restore both from one backup"};
    }
    return Authority(std::move(*cert), std::move(*key));
}

Status Authority::save(const std::string& dir) const {
    std::error_code failed;
    std::filesystem::create_directories(dir, failed);
    if (auto status = write_private_file(dir + "/ca-key.pem", key_); !status) return status;
    return write_private_file(dir + "/ca.pem", cert_);
}

Result<Credentials> Authority::issue(const Identity& identity,
                                     const std::vector<std::string>& addresses) const {
    if (!is_name(identity.name)) {
        return invalid("name", "use 1 to 63 of a-z 0-9 . _ - , the first a letter or digit");
    }
    if (identity.role == Role::none || identity.role == Role::local) {
        return invalid("role", "only an admin, a host or a controller has a certificate");
    }
    const auto names = alternative_names(identity, addresses);
    if (!names) return names.error();
    const X509Ptr issuer = parse_certificate(cert_);
    const KeyPtr issuer_key = parse_key(key_);
    const KeyPtr key(EVP_EC_gen("P-256"));
    if (!issuer || !issuer_key || !key) return openssl_error("cannot make a key");
    const X509Ptr cert = blank_certificate(key.get(), identity.name, name_of(identity.role),
                                           certificate_seconds);
    const char* usage = identity.role == Role::controller ? "serverAuth,clientAuth" : "clientAuth";
    if (!cert || X509_set_issuer_name(cert.get(), X509_get_subject_name(issuer.get())) != 1 ||
        !add_extension(cert.get(), issuer.get(), NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(cert.get(), issuer.get(), NID_key_usage, "critical,digitalSignature") ||
        !add_extension(cert.get(), issuer.get(), NID_ext_key_usage, usage) ||
        !add_extension(cert.get(), issuer.get(), NID_subject_alt_name, *names) ||
        !add_extension(cert.get(), issuer.get(), NID_authority_key_identifier, "keyid:always") ||
        X509_sign(cert.get(), issuer_key.get(), EVP_sha256()) == 0) {
        return openssl_error("cannot issue the certificate");
    }
    auto cert_text = certificate_pem(cert.get());
    auto key_text = key_pem(key.get());
    if (!cert_text) return cert_text.error();
    if (!key_text) return key_text.error();
    return Credentials{cert_, std::move(*cert_text), std::move(*key_text)};
}

Status save_credentials(const std::string& dir, const Credentials& credentials) {
    std::error_code failed;
    std::filesystem::create_directories(dir, failed);
    if (auto status = write_private_file(dir + "/key.pem", credentials.key); !status) return status;
    if (auto status = write_private_file(dir + "/cert.pem", credentials.cert); !status) {
        return status;
    }
    return write_private_file(dir + "/ca.pem", credentials.ca);
}

Result<Credentials> load_credentials(const std::string& dir) {
    Credentials out;
    const std::pair<const char*, std::string*> parts[] = {
        {"/ca.pem", &out.ca}, {"/cert.pem", &out.cert}, {"/key.pem", &out.key}};
    for (const auto& [file, into] : parts) {
        auto content = read_file(dir + file);
        if (!content) return content.error();
        *into = std::move(*content);
    }
    return out;
}

Result<Identity> verify(std::string_view cert, std::string_view ca) {
    const X509Ptr leaf = parse_certificate(cert);
    const X509Ptr root = parse_certificate(ca);
    if (!leaf || !root) return Error{Errc::denied, "certificate", {}, "is not a PEM certificate"};
    const std::unique_ptr<X509_STORE, FreeBy<X509_STORE_free>> store(X509_STORE_new());
    const std::unique_ptr<X509_STORE_CTX, FreeBy<X509_STORE_CTX_free>> context(
        X509_STORE_CTX_new());
    if (!store || !context || X509_STORE_add_cert(store.get(), root.get()) != 1 ||
        X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), nullptr) != 1) {
        return openssl_error("cannot verify");
    }
    if (X509_verify_cert(context.get()) != 1) {
        return Error{Errc::denied, "certificate", {},
                     X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()))};
    }
    return identity_of(leaf.get());
}

Result<std::string> make_token() {
    unsigned char bytes[32];
    if (RAND_bytes(bytes, sizeof bytes) != 1) return openssl_error("no random bytes");
    static constexpr char hex[] = "0123456789abcdef";
    std::string out;
    for (const unsigned char byte : bytes) {
        out += hex[byte >> 4];
        out += hex[byte & 15];
    }
    return out;
}

}  // namespace weir::rest
