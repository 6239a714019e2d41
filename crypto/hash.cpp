#include "crypto/hash.h"

#include <openssl/evp.h>

#include "crypto/error.h"
#include "crypto/sodium_util.h"

namespace casevault {
namespace {

// Fetched once: a fetch costs more than hashing 512 bytes. Never freed, so that it outlives every context.
const EVP_MD* sha256_algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  require(algorithm != nullptr, "libcrypto has no SHA-256");
  return algorithm;
}

template <std::size_t N>
ByteArray<N> blake2b(std::initializer_list<ByteView> pieces) {
  Wiped<crypto_generichash_blake2b_state> state;
  ByteArray<N> out;
  bool ok = crypto_generichash_blake2b_init(&state.value, nullptr, 0, N) == 0;
  for (const ByteView piece : pieces) {
    ok = ok && crypto_generichash_blake2b_update(&state.value, raw(piece), piece.size()) == 0;
  }
  ok = ok && crypto_generichash_blake2b_final(&state.value, raw(out), N) == 0;
  require(ok, "BLAKE2b failed");
  return out;
}

}  // namespace

struct Sha256::Context {
  Context() {
    require(context != nullptr, "no memory for SHA-256");
    start(sha256_algorithm());
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { EVP_MD_CTX_free(context); }

  /// Without an algorithm the one of the last start is kept, which is quicker.
  void start(const EVP_MD* algorithm) {
    require(EVP_DigestInit_ex2(context, algorithm, nullptr) == 1, "SHA-256 failed");
  }

  EVP_MD_CTX* context = EVP_MD_CTX_new();
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(ByteView data) {
  require(EVP_DigestUpdate(context_->context, data.data(), data.size()) == 1, "SHA-256 failed");
}

Sha256Digest Sha256::finish() {
  Sha256Digest digest;
  require(EVP_DigestFinal_ex(context_->context, raw(digest), nullptr) == 1, "SHA-256 failed");
  context_->start(nullptr);
  return digest;
}

Sha256Digest sha256(ByteView data) { return sha256({data}); }

Sha256Digest sha256(std::initializer_list<ByteView> pieces) {
  thread_local Sha256 hasher;  // a context for each call would double the time for small inputs
  for (const ByteView piece : pieces) hasher.update(piece);
  return hasher.finish();
}

ByteArray<16> blake2b_128(std::initializer_list<ByteView> pieces) { return blake2b<16>(pieces); }
ByteArray<32> blake2b_256(std::initializer_list<ByteView> pieces) { return blake2b<32>(pieces); }

}  // namespace casevault
