#include "crypto/age_keys.h"

#include "crypto/age_hybrid.h"
#include "crypto/age_x25519.h"
#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/sodium_util.h"

namespace casevault {
namespace {

constexpr std::string_view kX25519Prefix = "age";
constexpr std::string_view kHybridPrefix = "age1pq";
constexpr std::string_view kX25519SecretPrefix = "AGE-SECRET-KEY-";
constexpr std::string_view kHybridSecretPrefix = "AGE-SECRET-KEY-PQ-";

AgeX25519PublicKey x25519_key(ByteView key) { return to_array<AgeX25519PublicKey{}.size()>(key); }

// Wipes what the encoding leaves behind: it makes ordinary strings and vectors, each in one piece.
template <typename Range>
class WipedAtEnd {
 public:
  explicit WipedAtEnd(Range& range) : range_(range) {}
  WipedAtEnd(const WipedAtEnd&) = delete;
  WipedAtEnd& operator=(const WipedAtEnd&) = delete;
  ~WipedAtEnd() { sodium_memzero(range_.data(), range_.size()); }

 private:
  Range& range_;
};

void require_passphrase(const SecretBytes& passphrase) {
  if (passphrase.empty()) throw Error(Errc::kUsage, "an empty passphrase");
}

}  // namespace

AgeRecipient AgeRecipient::from_text(std::string_view text) {
  auto decoded = from_bech32(text);
  if (decoded && decoded->prefix == kHybridPrefix) {
    require_age_hybrid();
    if (is_age_hybrid_public_key(decoded->data)) return {AgeKeyKind::kHybrid, std::move(decoded->data)};
  }
  if (decoded && decoded->prefix == kX25519Prefix) {
    const bool right_size = decoded->data.size() == AgeX25519PublicKey{}.size();
    if (right_size && is_age_x25519_public_key(x25519_key(decoded->data))) {
      return {AgeKeyKind::kX25519, std::move(decoded->data)};
    }
  }
  throw Error(Errc::kUsage, "not a recipient of age: it has to be a whole key that begins with age1");
}

AgeRecipient AgeRecipient::from_passphrase(const SecretBytes& passphrase, unsigned work_factor) {
  require_passphrase(passphrase);
  AgeRecipient recipient(AgeKeyKind::kPassphrase, {});
  recipient.passphrase_ = SecretBytes::copy_of(passphrase.expose_secret());
  recipient.work_factor_ = work_factor;
  return recipient;
}

std::string AgeRecipient::text() const {
  require(kind_ != AgeKeyKind::kPassphrase, "age: a passphrase has no text");
  return to_bech32(kind_ == AgeKeyKind::kHybrid ? kHybridPrefix : kX25519Prefix, public_key_);
}

AgeStanza AgeRecipient::wrap(const FileKey& file_key) const {
  switch (kind_) {
    case AgeKeyKind::kX25519:
      return age_wrap_x25519(x25519_key(public_key_), file_key);
    case AgeKeyKind::kHybrid:
      return age_wrap_hybrid(public_key_, file_key);
    case AgeKeyKind::kPassphrase:
      break;
  }
  return age_wrap_scrypt(passphrase_, work_factor_, file_key);
}

AgeIdentity AgeIdentity::random(AgeKeyKind kind) { return from_key(kind, AgeSecretKey::random()); }

AgeIdentity AgeIdentity::from_key(AgeKeyKind kind, const AgeSecretKey& key) {
  require(kind != AgeKeyKind::kPassphrase, "age: a key is no passphrase");
  if (kind == AgeKeyKind::kHybrid) require_age_hybrid();
  return {kind, SecretBytes::copy_of(key.expose_secret())};
}

AgeIdentity AgeIdentity::from_text(const SecretBytes& text) {
  auto decoded = from_bech32(as_text(text.expose_secret()));
  if (decoded) {
    const WipedAtEnd wiped(decoded->data);
    const bool hybrid = decoded->prefix == kHybridSecretPrefix;
    if ((hybrid || decoded->prefix == kX25519SecretPrefix) && decoded->data.size() == AgeSecretKey::kSize) {
      if (hybrid) require_age_hybrid();
      return {hybrid ? AgeKeyKind::kHybrid : AgeKeyKind::kX25519, SecretBytes::copy_of(decoded->data)};
    }
  }
  throw Error(Errc::kUsage, "not an identity of age: it has to be a whole key that begins with AGE-SECRET-KEY-");
}

AgeIdentity AgeIdentity::from_passphrase(const SecretBytes& passphrase) {
  require_passphrase(passphrase);
  return {AgeKeyKind::kPassphrase, SecretBytes::copy_of(passphrase.expose_secret())};
}

std::span<const std::byte, AgeSecretKey::kSize> AgeIdentity::key() const {
  require(kind_ != AgeKeyKind::kPassphrase, "age: a passphrase is no key");
  return secret_.expose_secret().first<AgeSecretKey::kSize>();
}

SecretBytes AgeIdentity::text() const {
  std::string text = to_bech32(kind_ == AgeKeyKind::kHybrid ? kHybridSecretPrefix : kX25519SecretPrefix, key());
  const WipedAtEnd wiped(text);
  return SecretBytes::copy_of(as_bytes(text));
}

AgeRecipient AgeIdentity::recipient() const {
  if (kind_ == AgeKeyKind::kHybrid) return {kind_, age_hybrid_public_key(key())};
  const auto public_key = age_x25519_public_key(key());
  return {kind_, Bytes(public_key.begin(), public_key.end())};
}

std::optional<FileKey> AgeIdentity::unwrap(std::span<const AgeStanza> stanzas) const {
  switch (kind_) {
    case AgeKeyKind::kX25519:
      return age_unwrap_x25519(key(), stanzas);
    case AgeKeyKind::kHybrid:
      return age_unwrap_hybrid(key(), stanzas);
    case AgeKeyKind::kPassphrase:
      break;
  }
  return age_unwrap_scrypt(secret_, stanzas);
}

}  // namespace casevault
