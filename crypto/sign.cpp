#include "crypto/sign.h"

#include "crypto/error.h"
#include "crypto/sodium_util.h"

namespace casevault {
namespace {

static_assert(SigningSeed::kSize == crypto_sign_SEEDBYTES);

Bytes in_domain(std::string_view domain, ByteView message) {
  require(domain.find('\0') == std::string_view::npos, "sign: wrong domain");  // the first zero ends the domain
  constexpr std::byte kSeparator{0};
  return concat({as_bytes(domain), ByteView(&kSeparator, 1), message});
}

}  // namespace

SigningKey::SigningKey(SigningSeed seed) : seed_(std::move(seed)), expanded_(decltype(expanded_)::zero()) {
  const int status = crypto_sign_seed_keypair(raw(public_.bytes), raw(expanded_.expose_secret_for_writing()),
                                              raw(seed_.expose_secret()));
  require(status == 0, "sign: no key pair for this seed");
}

SigningKey SigningKey::random() { return SigningKey(SigningSeed::random()); }
SigningKey SigningKey::from_seed(SigningSeed seed) { return SigningKey(std::move(seed)); }

Signature SigningKey::sign(std::string_view domain, ByteView message) const {
  return sign_raw(in_domain(domain, message));
}

Signature SigningKey::sign_raw(ByteView message) const {
  Signature signature;
  const int status =
      crypto_sign_detached(raw(signature), nullptr, raw(message), message.size(), raw(expanded_.expose_secret()));
  require(status == 0, "sign: signing failed");
  return signature;
}

bool verify(const VerifyKey& key, std::string_view domain, ByteView message, const Signature& signature) {
  return verify_raw(key, in_domain(domain, message), signature);
}

bool verify_raw(const VerifyKey& key, ByteView message, const Signature& signature) {
  return crypto_sign_verify_detached(raw(signature), raw(message), message.size(), raw(key.bytes)) == 0;
}

}  // namespace casevault
