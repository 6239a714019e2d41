#include "crypto/kdf.h"

#include <algorithm>

#include "crypto/error.h"
#include "crypto/sodium_util.h"

namespace casevault {
namespace {

constexpr std::size_t kHmacSize = 32;  // bytes
static_assert(kHmacSize == crypto_auth_hmacsha256_BYTES);
static_assert(crypto_pwhash_SALTBYTES == 16);

void hmac_into(ByteView key, std::initializer_list<ByteView> pieces, std::span<std::byte, kHmacSize> out) {
  Wiped<crypto_auth_hmacsha256_state> state;
  bool ok = crypto_auth_hmacsha256_init(&state.value, raw_not_null(key), key.size()) == 0;
  for (const ByteView piece : pieces) {
    ok = ok && crypto_auth_hmacsha256_update(&state.value, raw(piece), piece.size()) == 0;
  }
  require(ok && crypto_auth_hmacsha256_final(&state.value, raw(out)) == 0, "HMAC-SHA-256 failed");
}

}  // namespace

PassphraseKey stretch_passphrase(const SecretBytes& passphrase, const ByteArray<16>& salt, const Argon2Cost& cost) {
  PassphraseKey key = PassphraseKey::zero();
  const auto* const text = reinterpret_cast<const char*>(raw_not_null(passphrase.expose_secret()));
  const int status = crypto_pwhash(raw(key.expose_secret_for_writing()), PassphraseKey::kSize, text, passphrase.size(),
                                   raw(salt), cost.passes, cost.memory_bytes, crypto_pwhash_ALG_ARGON2ID13);
  require(status == 0, "the passphrase cannot be stretched: not enough memory, or a cost out of range");
  return key;
}

void derive_bytes(ByteView key, std::string_view label, ByteView context, std::span<std::byte> out) {
  // libsodium takes a key of no bytes for "unkeyed"; a zero byte inside the label would blur where the context starts.
  require(key.size() >= 16 && key.size() <= 64 && out.size() >= 16 && out.size() <= 64, "derive_bytes: wrong size");
  require(label.find('\0') == std::string_view::npos, "derive_bytes: wrong label");
  constexpr std::byte kSeparator{0};
  Wiped<crypto_generichash_blake2b_state> state;
  bool ok = crypto_generichash_blake2b_init(&state.value, raw(key), key.size(), out.size()) == 0;
  for (const ByteView piece : {as_bytes(label), ByteView(&kSeparator, 1), context}) {
    ok = ok && crypto_generichash_blake2b_update(&state.value, raw(piece), piece.size()) == 0;
  }
  require(ok && crypto_generichash_blake2b_final(&state.value, raw(out), out.size()) == 0, "keyed BLAKE2b failed");
}

void hkdf_sha256(ByteView input_key, ByteView salt, ByteView info, std::span<std::byte> out) {
  require(out.size() <= 255 * kHmacSize, "hkdf_sha256: too much output");
  Wiped<ByteArray<kHmacSize>> extracted, block;
  hmac_into(salt, {input_key}, extracted.value);  // HMAC pads a key with zeros, so no salt is 32 zero bytes
  ByteView previous;                              // T(0) is empty
  std::byte counter{0};
  while (!out.empty()) {
    counter = static_cast<std::byte>(std::to_integer<unsigned>(counter) + 1);
    hmac_into(extracted.value, {previous, info, ByteView(&counter, 1)}, block.value);
    previous = block.value;
    const std::size_t size = std::min(out.size(), kHmacSize);
    std::copy_n(block.value.begin(), size, out.begin());
    out = out.subspan(size);
  }
}

ByteArray<32> hmac_sha256(ByteView key, ByteView message) {
  ByteArray<32> mac;
  hmac_into(key, {message}, mac);
  return mac;
}

}  // namespace casevault
