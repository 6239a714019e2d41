#include "crypto/age_hybrid.h"

#include "crypto/age_wrap.h"
#include "crypto/kdf.h"
#include "crypto/sodium_util.h"

namespace casevault {

#ifdef crypto_kem_xwing_PUBLICKEYBYTES  // libsodium 1.0.22 and newer
namespace {

static_assert(kAgeHybridPublicKeySize == crypto_kem_xwing_PUBLICKEYBYTES);
constexpr std::size_t kShareSize = crypto_kem_xwing_CIPHERTEXTBYTES;
constexpr std::string_view kInfo = "age-encryption.org/mlkem768x25519";

using SharedSecret = Key<struct AgeHybridSharedSecretPurpose, crypto_kem_xwing_SHAREDSECRETBYTES>;
using ScheduleSecret = Key<struct AgeHybridSchedulePurpose>;

// "HPKE-v1", then the suite (RFC 9180 section 5.1): "HPKE", KEM MLKEM768-X25519 (0x647a), KDF HKDF-SHA256 (1), AEAD
// ChaCha20Poly1305 (3).
constexpr std::string_view kSuiteLabel("HPKE-v1HPKE\x64\x7a\x00\x01\x00\x03", 17);

// LabeledExtract (RFC 9180 section 4). Inputs and outputs that are secret go through Keys.
void extract(ByteView salt, std::string_view label, ByteView input, std::span<std::byte, 32> out) {
  Wiped<ByteArray<32>> mac;
  mac.value = hmac_sha256(salt, concat({as_bytes(kSuiteLabel), as_bytes(label), input}));
  std::ranges::copy(mac.value, out.begin());
}

// LabeledExpand to at most 32 bytes: the first block of HKDF-Expand.
void expand(const ScheduleSecret& secret, std::string_view label, ByteView context, std::span<std::byte> out) {
  constexpr std::byte kFirstBlock{1};
  const ByteArray<2> size = {std::byte{0}, static_cast<std::byte>(out.size())};
  Wiped<ByteArray<32>> block;
  block.value = hmac_sha256(secret.expose_secret(),
                            concat({size, as_bytes(kSuiteLabel), as_bytes(label), context, ByteView(&kFirstBlock, 1)}));
  std::copy_n(block.value.begin(), out.size(), out.begin());
}

struct Seal {
  AgeWrapKey key = AgeWrapKey::zero();
  AgeWrapNonce nonce{};
};

// KeySchedule in base mode (RFC 9180 section 5.1); the nonce of message 0 is the base nonce.
Seal key_schedule(const SharedSecret& shared) {
  ByteArray<1 + 32 + 32> context{};  // mode 0, hash of the empty psk_id, hash of info
  extract({}, "psk_id_hash", {}, std::span(context).subspan<1, 32>());
  extract({}, "info_hash", as_bytes(kInfo), std::span(context).subspan<33, 32>());
  ScheduleSecret secret = ScheduleSecret::zero();
  extract(shared.expose_secret(), "secret", {}, secret.expose_secret_for_writing());
  Seal seal;
  expand(secret, "key", context, seal.key.expose_secret_for_writing());
  expand(secret, "base_nonce", context, seal.nonce);
  return seal;
}

// nullopt for a key that nothing can be sealed to.
std::optional<SharedSecret> encapsulate(ByteView to, ByteArray<kShareSize>& share) {
  SharedSecret shared = SharedSecret::zero();
  if (crypto_kem_xwing_enc(raw(share), raw(shared.expose_secret_for_writing()), raw(to)) != 0) return std::nullopt;
  return shared;
}

}  // namespace

bool age_hybrid_is_available() { return true; }
void require_age_hybrid() {}

Bytes age_hybrid_public_key(std::span<const std::byte, 32> seed) {
  Bytes key(kAgeHybridPublicKeySize);
  SharedSecret copy_of_seed = SharedSecret::zero();  // X-Wing's secret key is the seed
  const int status = crypto_kem_xwing_seed_keypair(raw(key), raw(copy_of_seed.expose_secret_for_writing()), raw(seed));
  require(status == 0, "age: no public key for this seed");
  return key;
}

bool is_age_hybrid_public_key(ByteView key) {
  ByteArray<kShareSize> share;
  return key.size() == kAgeHybridPublicKeySize && encapsulate(key, share).has_value();
}

AgeStanza age_wrap_hybrid(ByteView to, const FileKey& file_key) {
  ByteArray<kShareSize> share;
  const auto shared = encapsulate(to, share);
  require(shared.has_value(), "age: a recipient's key that nothing can be sealed to");
  const Seal seal = key_schedule(*shared);
  const AgeWrappedKey wrapped = wrap_file_key(seal.key, file_key, seal.nonce);
  return {{std::string(kAgeHybridType), to_base64_unpadded(share)}, Bytes(wrapped.begin(), wrapped.end())};
}

std::optional<FileKey> age_unwrap_hybrid(std::span<const std::byte, 32> seed, std::span<const AgeStanza> stanzas) {
  for (const auto& stanza : stanzas_of_type<kShareSize>(kAgeHybridType, stanzas)) {
    SharedSecret shared = SharedSecret::zero();
    // Fails for a share of small order only: ML-KEM answers a wrong share with a secret of its own (implicit
    // rejection).
    if (crypto_kem_xwing_dec(raw(shared.expose_secret_for_writing()), raw(stanza.share), raw(seed)) != 0) {
      fail_stanza(kAgeHybridType, "has a share of small order");
    }
    const Seal seal = key_schedule(shared);
    if (auto file_key = unwrap_file_key(seal.key, stanza.wrapped, seal.nonce)) return file_key;
  }
  return std::nullopt;
}

#else

namespace {
[[noreturn]] void fail_unavailable() {
  throw Error(Errc::kUsage,
              "post-quantum recipients of age (age1pq1…) need X-Wing of libsodium 1.0.22 or newer; casevault was built "
              "with libsodium " SODIUM_VERSION_STRING);
}
}  // namespace

bool age_hybrid_is_available() { return false; }
void require_age_hybrid() { fail_unavailable(); }
Bytes age_hybrid_public_key(std::span<const std::byte, 32>) { fail_unavailable(); }
bool is_age_hybrid_public_key(ByteView) { fail_unavailable(); }
AgeStanza age_wrap_hybrid(ByteView, const FileKey&) { fail_unavailable(); }
std::optional<FileKey> age_unwrap_hybrid(std::span<const std::byte, 32>, std::span<const AgeStanza>) {
  fail_unavailable();
}

#endif

}  // namespace casevault
