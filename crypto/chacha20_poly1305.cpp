#include "crypto/chacha20_poly1305.h"

#include <openssl/evp.h>

#include <limits>

#include "crypto/error.h"
#include "crypto/sodium_util.h"

namespace casevault {
namespace {

enum Direction : int { kOpen = 0, kSeal = 1 };

// Fetched once and never freed, as in hash.cpp.
const EVP_CIPHER* algorithm() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
  require(cipher != nullptr, "libcrypto has no ChaCha20-Poly1305");
  return cipher;
}

// The key stays; a new nonce also clears what a failed call left behind.
bool start(EVP_CIPHER_CTX* context, const ChaCha20Poly1305::Nonce& nonce, Direction direction) {
  return EVP_CipherInit_ex2(context, nullptr, nullptr, raw(nonce), direction, nullptr) == 1;
}

bool run(EVP_CIPHER_CTX* context, ByteView in, std::span<std::byte> out) {
  int written = 0;
  return in.empty() || (EVP_CipherUpdate(context, raw(out), &written, raw(in), static_cast<int>(in.size())) == 1 &&
                        written == static_cast<int>(in.size()));
}

bool finish(EVP_CIPHER_CTX* context) {
  unsigned char nothing[ChaCha20Poly1305::kTagSize];
  int written = 0;
  return EVP_CipherFinal_ex(context, nothing, &written) == 1;
}

void require_sizes(std::size_t plain, std::size_t sealed) {
  require(sealed >= ChaCha20Poly1305::kTagSize && sealed - ChaCha20Poly1305::kTagSize == plain &&
              plain <= std::numeric_limits<int>::max(),
          "chacha20-poly1305: wrong buffer size");
}

EVP_CIPHER_CTX* cast(void* context) { return static_cast<EVP_CIPHER_CTX*>(context); }

}  // namespace

ChaCha20Poly1305::ChaCha20Poly1305(std::span<const std::byte, 32> key) : context_(EVP_CIPHER_CTX_new()) {
  require(context_ != nullptr, "no memory for a cipher");
  require(EVP_CipherInit_ex2(cast(context_.get()), algorithm(), raw(key), nullptr, kSeal, nullptr) == 1,
          "chacha20-poly1305: key setup failed");
}

void ChaCha20Poly1305::seal(const Nonce& nonce, ByteView plain, std::span<std::byte> sealed) {
  require_sizes(plain.size(), sealed.size());
  EVP_CIPHER_CTX* const context = cast(context_.get());
  const auto tag = sealed.last(kTagSize);
  const bool ok = start(context, nonce, kSeal) && run(context, plain, sealed) && finish(context) &&
                  EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagSize, tag.data()) == 1;
  require(ok, "chacha20-poly1305: sealing failed");
}

bool ChaCha20Poly1305::open(const Nonce& nonce, ByteView sealed, std::span<std::byte> plain) {
  require_sizes(plain.size(), sealed.size());
  EVP_CIPHER_CTX* const context = cast(context_.get());
  // Copied, because libcrypto wants it writable and `plain` may lie over `sealed`.
  ByteArray<kTagSize> tag = to_array<kTagSize>(sealed.last(kTagSize));
  const bool authentic = start(context, nonce, kOpen) &&
                         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagSize, tag.data()) == 1 &&
                         run(context, sealed.first(plain.size()), plain) && finish(context);
  if (!authentic) sodium_memzero(plain.data(), plain.size());
  return authentic;
}

void ChaCha20Poly1305::Free::operator()(void* context) const { EVP_CIPHER_CTX_free(cast(context)); }

}  // namespace casevault
