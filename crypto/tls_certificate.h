#pragma once
#include <string>
#include <string_view>

#include "crypto/hash.h"
#include "crypto/secret.h"

namespace casevault {

/// A P-256 key and a self-signed certificate for it (X.509 v3, ECDSA with SHA-256), for a TLS server whose clients pin
/// its key and believe nothing else that the certificate says.
struct TlsCertificate {
  std::string certificate;  // PEM
  SecretBytes private_key;  // PEM, PKCS #8, not encrypted
  ByteArray<32> pin{};      // SHA-256 of the SubjectPublicKeyInfo (RFC 7469), curl's sha256//…
};

/// Valid from a day before `now`, Unix seconds (clocks differ), until 10 years after. `name` becomes the common name:
/// UTF-8, cut to the 64 characters that X.520 allows.
TlsCertificate make_tls_certificate(std::string_view name, std::int64_t now);

}  // namespace casevault
