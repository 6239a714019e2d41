#pragma once
#include "crypto/bytes.h"
#include "crypto/secret.h"

namespace casevault {

/// Argon2id (RFC 9106), version 1.3, one lane: libsodium's crypto_pwhash.
struct Argon2Cost {
  std::uint32_t passes = 3;
  std::uint64_t memory_bytes = 256u << 20;
  bool operator==(const Argon2Cost&) const = default;
};

/// @pre the cost was checked against a floor and a ceiling by the caller, before it is run.
/// @throws Error{kInternal} when the memory cannot be had.
PassphraseKey stretch_passphrase(const SecretBytes& passphrase, const ByteArray<16>& salt, const Argon2Cost& cost);

/// Keyed BLAKE2b (RFC 7693 section 2.9) of `label ‖ 0x00 ‖ context` into `out` (16 to 64 bytes). One label, one role.
void derive_bytes(ByteView key, std::string_view label, ByteView context, std::span<std::byte> out);

template <typename Purpose, std::size_t Size>
void derive_bytes(const Key<Purpose, Size>& key, std::string_view label, ByteView context, std::span<std::byte> out) {
  derive_bytes(ByteView(key.expose_secret()), label, context, out);
}

/// A subkey for another purpose. `label` is a constant of ours ("casevault/v1/…"); `context` binds it to a place.
template <typename To, typename From>
To derive_key(const From& from, std::string_view label, ByteView context = {}) {
  To key = To::zero();
  derive_bytes(from.expose_secret(), label, context, key.expose_secret_for_writing());
  return key;
}

/// A key that takes both secrets: keyed by the first, over the second.
template <typename To, typename First, typename Second>
To mix_keys(const First& first, std::string_view label, const Second& second) {
  To key = To::zero();
  derive_bytes(first.expose_secret(), label, second.expose_secret(), key.expose_secret_for_writing());
  return key;
}

/// HKDF-SHA-256 (RFC 5869), extract then expand. @pre out.size() <= 255 * 32
void hkdf_sha256(ByteView input_key, ByteView salt, ByteView info, std::span<std::byte> out);

/// HMAC-SHA-256 (RFC 2104).
ByteArray<32> hmac_sha256(ByteView key, ByteView message);

}  // namespace casevault
