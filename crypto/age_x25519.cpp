#include "crypto/age_x25519.h"

#include "crypto/age_wrap.h"
#include "crypto/kdf.h"
#include "crypto/sodium_util.h"

namespace casevault {
namespace {

constexpr std::string_view kInfo = "age-encryption.org/v1/X25519";

using EphemeralKey = Key<struct AgeEphemeralPurpose>;
using SharedSecret = Key<struct AgeSharedSecretPurpose>;

// nullopt when the shared secret is zero, which libsodium checks in constant time.
std::optional<SharedSecret> agree(std::span<const std::byte, 32> secret, const AgeX25519PublicKey& point) {
  SharedSecret shared = SharedSecret::zero();
  const int status = crypto_scalarmult_curve25519(raw(shared.expose_secret_for_writing()), raw(secret), raw(point));
  if (status != 0) return std::nullopt;
  return shared;
}

AgeWrapKey wrap_key(const SharedSecret& shared, const AgeX25519PublicKey& share, const AgeX25519PublicKey& recipient) {
  AgeWrapKey key = AgeWrapKey::zero();
  hkdf_sha256(shared.expose_secret(), concat({share, recipient}), as_bytes(kInfo), key.expose_secret_for_writing());
  return key;
}

}  // namespace

AgeX25519PublicKey age_x25519_public_key(std::span<const std::byte, 32> secret) {
  AgeX25519PublicKey key;
  require(crypto_scalarmult_curve25519_base(raw(key), raw(secret)) == 0, "age: no public key for this secret key");
  return key;
}

bool is_age_x25519_public_key(const AgeX25519PublicKey& key) {
  const ByteArray<32> any_scalar{};  // clamped to a multiple of the cofactor, as every scalar is
  return agree(any_scalar, key).has_value();
}

AgeStanza age_wrap_x25519(const AgeX25519PublicKey& to, const FileKey& file_key) {
  const EphemeralKey ephemeral = EphemeralKey::random();
  const AgeX25519PublicKey share = age_x25519_public_key(ephemeral.expose_secret());
  const auto shared = agree(ephemeral.expose_secret(), to);
  require(shared.has_value(), "age: a recipient's key of small order");
  const AgeWrappedKey wrapped = wrap_file_key(wrap_key(*shared, share, to), file_key);
  return {{std::string(kAgeX25519Type), to_base64_unpadded(share)}, Bytes(wrapped.begin(), wrapped.end())};
}

std::optional<FileKey> age_unwrap_x25519(std::span<const std::byte, 32> secret, std::span<const AgeStanza> stanzas) {
  const auto own = stanzas_of_type<32>(kAgeX25519Type, stanzas);
  if (own.empty()) return std::nullopt;
  const AgeX25519PublicKey recipient = age_x25519_public_key(secret);
  for (const auto& stanza : own) {
    const auto shared = agree(secret, stanza.share);
    if (!shared) fail_stanza(kAgeX25519Type, "has a share of small order");
    if (auto file_key = unwrap_file_key(wrap_key(*shared, stanza.share, recipient), stanza.wrapped)) return file_key;
  }
  return std::nullopt;
}

}  // namespace casevault
