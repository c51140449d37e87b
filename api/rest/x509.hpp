#pragma once
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>

#include "api/rest/identity.hpp"
#include "base/result.hpp"

// OpenSSL objects with owners, for the sources of this folder only.
namespace weir::rest {

template <auto Free>
struct FreeBy {
    template <class T>
    void operator()(T* object) const {
        Free(object);
    }
};
inline void free_names(GENERAL_NAMES* names) { GENERAL_NAMES_free(names); }

using X509Ptr = std::unique_ptr<X509, FreeBy<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeBy<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, FreeBy<BIO_free_all>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, FreeBy<free_names>>;

// The oldest message of OpenSSL's error queue, which is emptied.
std::string openssl_message();

X509Ptr parse_certificate(std::string_view pem);  // null if it is none

// The one `weir://` name of a certificate. Says nothing about who signed it.
Result<Identity> identity_of(const X509* certificate);

}  // namespace weir::rest
