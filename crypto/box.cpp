#include "crypto/box.h"

#include "crypto/error.h"
#include "crypto/sodium_util.h"

namespace casevault {

static_assert(kSealedBoxOverhead == crypto_box_SEALBYTES);
static_assert(BoxSecretKey::kSize == crypto_box_SECRETKEYBYTES);

BoxKeyPair BoxKeyPair::random() { return from_secret(BoxSecretKey::random()); }

BoxKeyPair BoxKeyPair::from_secret(BoxSecretKey secret) {
  BoxPublicKey public_key;
  const int status = crypto_scalarmult_base(raw(public_key.bytes), raw(secret.expose_secret()));
  require(status == 0, "box: no public key for this secret key");
  return {public_key, std::move(secret)};
}

Bytes seal_to(const BoxPublicKey& to, ByteView plaintext) {
  Bytes sealed(plaintext.size() + kSealedBoxOverhead);
  const int status = crypto_box_seal(raw(sealed), raw(plaintext), plaintext.size(), raw(to.bytes));
  // The one way it fails: the shared secret is zero whoever sends, so anybody could open the box.
  if (status != 0) throw Error(Errc::kDamaged, "the recipient's box key is not a usable X25519 key");
  return sealed;
}

std::optional<SecretBytes> open_sealed(const BoxKeyPair& keys, ByteView sealed) {
  if (sealed.size() < kSealedBoxOverhead) return std::nullopt;
  SecretBytes plaintext(sealed.size() - kSealedBoxOverhead);
  const int status = crypto_box_seal_open(raw(plaintext.expose_secret_for_writing()), raw(sealed), sealed.size(),
                                          raw(keys.public_key.bytes), raw(keys.secret_key.expose_secret()));
  if (status != 0) return std::nullopt;
  return plaintext;
}

}  // namespace casevault
