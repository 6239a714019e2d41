#pragma once
#include <optional>

#include "crypto/bytes.h"
#include "crypto/secret.h"

namespace casevault {

/// Bytes that aead_seal adds: a 24-byte random nonce before, a 16-byte tag behind.
inline constexpr std::size_t kAeadOverhead = 24 + 16;

/// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) for small things held in memory: `nonce ‖ ciphertext ‖ tag`, random
/// nonce. Authenticates `plaintext` and `associated`. Not key-committing: whoever chooses keys can make one ciphertext
/// that opens under two.
Bytes aead_seal(ByteView key32, ByteView plaintext, ByteView associated);

/// nullopt when it was not sealed with this key and associated data.
std::optional<SecretBytes> aead_open(ByteView key32, ByteView sealed, ByteView associated);

template <typename Purpose>
Bytes aead_seal(const Key<Purpose>& key, ByteView plaintext, ByteView associated) {
  return aead_seal(ByteView(key.expose_secret()), plaintext, associated);
}
template <typename Purpose>
Bytes aead_seal(const Key<Purpose>& key, const SecretBytes& plaintext, ByteView associated) {
  return aead_seal(ByteView(key.expose_secret()), plaintext.expose_secret(), associated);
}
template <typename Purpose>
std::optional<SecretBytes> aead_open(const Key<Purpose>& key, ByteView sealed, ByteView associated) {
  return aead_open(ByteView(key.expose_secret()), sealed, associated);
}
/// For content that is made to be shown to people, not for keys.
template <typename Purpose>
std::optional<Bytes> aead_open_content(const Key<Purpose>& key, ByteView sealed, ByteView associated) {
  const auto plain = aead_open(key, sealed, associated);
  if (!plain) return std::nullopt;
  return Bytes(plain->expose_secret().begin(), plain->expose_secret().end());
}

}  // namespace casevault
