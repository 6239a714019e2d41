#pragma once
#include <optional>

#include "crypto/bytes.h"
#include "crypto/secret.h"

namespace casevault {

/// An X25519 public key (RFC 7748), 32 bytes.
struct BoxPublicKey {
  ByteArray<32> bytes{};
  bool operator==(const BoxPublicKey&) const = default;
};
using BoxSecretKey = Key<struct BoxSecretPurpose>;

struct BoxKeyPair {
  BoxPublicKey public_key;
  BoxSecretKey secret_key;
  static BoxKeyPair random();
  static BoxKeyPair from_secret(BoxSecretKey secret);
};

inline constexpr std::size_t kSealedBoxOverhead = 48;  // bytes: ephemeral public key and tag

/// libsodium's crypto_box_seal (X25519, XSalsa20-Poly1305). Only the holder of the secret key opens it. It says nothing
/// of who made it: use it only inside a signed statement. @throws Error{kDamaged} for a public key of small order.
Bytes seal_to(const BoxPublicKey& to, ByteView plaintext);
/// nullopt when it was not sealed to this key.
std::optional<SecretBytes> open_sealed(const BoxKeyPair& keys, ByteView sealed);

}  // namespace casevault
