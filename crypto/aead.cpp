#include "crypto/aead.h"

#include "crypto/error.h"
#include "crypto/random.h"
#include "crypto/sodium_util.h"

namespace casevault {
namespace {

constexpr std::size_t kNonceSize = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
static_assert(kAeadOverhead == kNonceSize + crypto_aead_xchacha20poly1305_ietf_ABYTES);

void require_key(ByteView key) {
  require(key.size() == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "aead: a key must have 32 bytes");
}

}  // namespace

Bytes aead_seal(ByteView key32, ByteView plaintext, ByteView associated) {
  require_key(key32);
  Bytes sealed(plaintext.size() + kAeadOverhead);
  const auto nonce = std::span(sealed).first(kNonceSize);
  const auto ciphertext = std::span(sealed).subspan(kNonceSize);
  fill_random(nonce);
  const int status =
      crypto_aead_xchacha20poly1305_ietf_encrypt(raw(ciphertext), nullptr, raw(plaintext), plaintext.size(),
                                                 raw(associated), associated.size(), nullptr, raw(nonce), raw(key32));
  require(status == 0, "aead: sealing failed");
  return sealed;
}

std::optional<SecretBytes> aead_open(ByteView key32, ByteView sealed, ByteView associated) {
  require_key(key32);
  if (sealed.size() < kAeadOverhead) return std::nullopt;
  const ByteView nonce = sealed.first(kNonceSize);
  const ByteView ciphertext = sealed.subspan(kNonceSize);
  SecretBytes plaintext(sealed.size() - kAeadOverhead);
  const int status = crypto_aead_xchacha20poly1305_ietf_decrypt(
      raw(plaintext.expose_secret_for_writing()), nullptr, nullptr, raw(ciphertext), ciphertext.size(), raw(associated),
      associated.size(), raw(nonce), raw(key32));
  if (status != 0) return std::nullopt;
  return plaintext;
}

}  // namespace casevault
