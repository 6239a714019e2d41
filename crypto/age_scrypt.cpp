#include "crypto/age_scrypt.h"

#include <algorithm>

#include "crypto/age_wrap.h"
#include "crypto/random.h"
#include "crypto/sodium_util.h"

namespace casevault {
namespace {

constexpr std::string_view kLabel = "age-encryption.org/v1/scrypt";
constexpr std::uint32_t kBlocks = 8, kLanes = 1;  // r and p

using Salt = ByteArray<16>;

AgeWrapKey wrap_key(const SecretBytes& passphrase, const Salt& salt, unsigned work_factor) {
  AgeWrapKey key = AgeWrapKey::zero();
  const Bytes full_salt = concat({as_bytes(kLabel), salt});
  const int status = crypto_pwhash_scryptsalsa208sha256_ll(
      raw_not_null(passphrase.expose_secret()), passphrase.size(), raw(full_salt), full_salt.size(),
      std::uint64_t{1} << work_factor, kBlocks, kLanes, raw(key.expose_secret_for_writing()), AgeWrapKey::kSize);
  require(status == 0, "the passphrase cannot be stretched: not enough memory");
  return key;
}

// Decimal digits without a leading zero.
unsigned parse_work_factor(const std::string& text) {
  const bool digits = std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || text.starts_with('0')) fail_stanza(kAgeScryptType, "has a malformed work factor");
  const unsigned long factor = text.size() > 2 ? kAgeScryptMaxWorkFactor + 1 : std::stoul(text);
  if (factor > kAgeScryptMaxWorkFactor) fail_stanza(kAgeScryptType, "asks for too much work");
  return static_cast<unsigned>(factor);
}

}  // namespace

AgeStanza age_wrap_scrypt(const SecretBytes& passphrase, unsigned work_factor, const FileKey& file_key) {
  require(work_factor >= 1 && work_factor <= kAgeScryptMaxWorkFactor, "age: work factor out of range");
  const auto salt = random_array<Salt{}.size()>();
  const AgeWrappedKey wrapped = wrap_file_key(wrap_key(passphrase, salt, work_factor), file_key);
  return {{std::string(kAgeScryptType), to_base64_unpadded(salt), std::to_string(work_factor)},
          Bytes(wrapped.begin(), wrapped.end())};
}

std::optional<FileKey> age_unwrap_scrypt(const SecretBytes& passphrase, std::span<const AgeStanza> stanzas) {
  if (!check_age_scrypt_is_alone(stanzas)) return std::nullopt;
  const AgeStanza& stanza = stanzas.front();
  check_stanza(stanza, 3);
  const auto salt = stanza_argument<Salt{}.size()>(stanza, 1);
  const unsigned work_factor = parse_work_factor(stanza.arguments[2]);
  return unwrap_file_key(wrap_key(passphrase, salt, work_factor), to_array<AgeWrappedKey{}.size()>(stanza.body));
}

bool check_age_scrypt_is_alone(std::span<const AgeStanza> stanzas) {
  const bool present = std::ranges::any_of(stanzas, [](const AgeStanza& s) { return s.type() == kAgeScryptType; });
  if (present && stanzas.size() != 1) fail_stanza(kAgeScryptType, "is not the only one");
  return present;
}

}  // namespace casevault
