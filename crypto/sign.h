#pragma once
#include "crypto/bytes.h"
#include "crypto/secret.h"

namespace casevault {

using Signature = ByteArray<64>;

/// An Ed25519 public key (RFC 8032), 32 bytes.
struct VerifyKey {
  ByteArray<32> bytes{};
  bool operator==(const VerifyKey&) const = default;
};

/// Ed25519's 32-byte seed (RFC 8032 section 5.1.5).
using SigningSeed = Key<struct SigningSeedPurpose>;

class SigningKey {
 public:
  static SigningKey random();
  static SigningKey from_seed(SigningSeed seed);
  const VerifyKey& verify_key() const { return public_; }
  const SigningSeed& seed() const { return seed_; }
  /// Signs `domain ‖ 0x00 ‖ message`. `domain` is a constant of ours, one for each kind of statement.
  Signature sign(std::string_view domain, ByteView message) const;
  Signature sign(std::string_view domain, const SecretBytes& message) const {
    return sign(domain, message.expose_secret());
  }
  /// Signs the bare message, as the published formats want it.
  Signature sign_raw(ByteView message) const;

 private:
  explicit SigningKey(SigningSeed seed);
  SigningSeed seed_;
  Key<struct SigningExpandedPurpose, 64> expanded_;
  VerifyKey public_;
};

/// libsodium's rules: canonical S, no small-order keys.
[[nodiscard]] bool verify(const VerifyKey& key, std::string_view domain, ByteView message, const Signature& signature);
[[nodiscard]] inline bool verify(const VerifyKey& key, std::string_view domain, const SecretBytes& message,
                                 const Signature& signature) {
  return verify(key, domain, message.expose_secret(), signature);
}
[[nodiscard]] bool verify_raw(const VerifyKey& key, ByteView message, const Signature& signature);

}  // namespace casevault
