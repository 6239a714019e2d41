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
inline Bytes seal_to(const BoxPublicKey& to, const SecretBytes& plaintext) {
  return seal_to(to, plaintext.expose_secret());
}
template <typename Purpose, std::size_t Size>
Bytes seal_to(const BoxPublicKey& to, const Key<Purpose, Size>& key) {
  return seal_to(to, ByteView(key.expose_secret()));
}
/// nullopt when it was not sealed to this key.
std::optional<SecretBytes> open_sealed(const BoxKeyPair& keys, ByteView sealed);

/// For content that is made to be shown to people, not for keys.
inline std::optional<Bytes> open_sealed_content(const BoxKeyPair& keys, ByteView sealed) {
  const auto plain = open_sealed(keys, sealed);
  if (!plain) return std::nullopt;
  return Bytes(plain->expose_secret().begin(), plain->expose_secret().end());
}
/// nullopt also when what was sealed is not of the key's size.
template <typename KeyType>
std::optional<KeyType> open_sealed_key(const BoxKeyPair& keys, ByteView sealed) {
  const auto plain = open_sealed(keys, sealed);
  if (!plain || plain->size() != KeyType::kSize) return std::nullopt;
  return KeyType::from_bytes(plain->expose_secret().template first<KeyType::kSize>());
}

}  // namespace casevault
