#include "crypto/stream.h"

#include <algorithm>

#include "crypto/chacha20_poly1305.h"
#include "crypto/error.h"
#include "crypto/kdf.h"
#include "crypto/random.h"
#include "crypto/sodium_util.h"

namespace casevault {
namespace {

static_assert(kChunkTagSize == ChaCha20Poly1305::kTagSize);

ChaCha20Poly1305::Nonce chunk_nonce(std::uint64_t number, bool last) {
  ChaCha20Poly1305::Nonce nonce{};
  std::ranges::copy(be64(number), nonce.begin() + 3);  // 11 bytes, big-endian
  nonce.back() = static_cast<std::byte>(last);
  return nonce;
}

// An empty payload has one chunk too.
std::uint64_t chunk_count(std::uint64_t plaintext_size) {
  return plaintext_size == 0 ? 1 : (plaintext_size - 1) / kChunkSize + 1;
}

// Calls `each(number, last, plain, sealed)` with the place of every chunk in both buffers, until it returns false.
template <typename PlainSpan, typename SealedSpan, typename Each>
bool for_each_chunk(PlainSpan plain, SealedSpan sealed, Each each) {
  const std::uint64_t count = chunk_count(plain.size());
  for (std::uint64_t number = 0; number < count; ++number) {
    const std::size_t offset = number * kChunkSize;
    const std::size_t size = std::min(plain.size() - offset, kChunkSize);
    if (!each(number, number + 1 == count, plain.subspan(offset, size),
              sealed.subspan(number * kSealedChunkSize, size + kChunkTagSize))) {
      return false;
    }
  }
  return true;
}

}  // namespace

PayloadKey payload_key(const FileKey& file_key, const PayloadNonce& nonce) {
  PayloadKey key = PayloadKey::zero();
  hkdf_sha256(file_key.expose_secret(), nonce, as_bytes("payload"), key.expose_secret_for_writing());
  return key;
}

std::uint64_t sealed_payload_size(std::uint64_t plaintext_size) {
  return kPayloadNonceSize + plaintext_size + chunk_count(plaintext_size) * kChunkTagSize;
}

std::optional<std::uint64_t> plaintext_size_of(std::uint64_t sealed_payload_size) {
  if (sealed_payload_size < kPayloadNonceSize + kChunkTagSize) return std::nullopt;
  const std::uint64_t sealed = sealed_payload_size - kPayloadNonceSize;
  const std::uint64_t full = sealed / kSealedChunkSize * kChunkSize;
  const std::uint64_t rest = sealed % kSealedChunkSize;
  if (rest == 0) return full;
  if (rest < kChunkTagSize || (rest == kChunkTagSize && full != 0)) return std::nullopt;
  return full + rest - kChunkTagSize;
}

struct ChunkCipher::Context {
  ChaCha20Poly1305 cipher;
};

ChunkCipher::ChunkCipher(const PayloadKey& key)
    : context_(std::make_unique<Context>(Context{ChaCha20Poly1305(key.expose_secret())})) {}
ChunkCipher::~ChunkCipher() = default;
ChunkCipher::ChunkCipher(ChunkCipher&&) noexcept = default;
ChunkCipher& ChunkCipher::operator=(ChunkCipher&&) noexcept = default;

void ChunkCipher::seal(std::uint64_t number, bool last, ByteView plain, std::span<std::byte> sealed) {
  require(plain.size() <= kChunkSize, "stream: chunk too large");
  context_->cipher.seal(chunk_nonce(number, last), plain, sealed);
}

bool ChunkCipher::open(std::uint64_t number, bool last, ByteView sealed, std::span<std::byte> plain) {
  require(plain.size() <= kChunkSize, "stream: chunk too large");
  return context_->cipher.open(chunk_nonce(number, last), sealed, plain);
}

Bytes seal_payload(const FileKey& key, ByteView plaintext) {
  const auto nonce = random_array<kPayloadNonceSize>();
  ChunkCipher cipher(payload_key(key, nonce));
  Bytes sealed(sealed_payload_size(plaintext.size()));
  std::ranges::copy(nonce, sealed.begin());
  for_each_chunk(plaintext, std::span(sealed).subspan(kPayloadNonceSize),
                 [&](std::uint64_t number, bool last, ByteView from, std::span<std::byte> to) {
                   cipher.seal(number, last, from, to);
                   return true;
                 });
  return sealed;
}

std::optional<Bytes> open_payload(const FileKey& key, ByteView sealed) {
  const auto size = plaintext_size_of(sealed.size());
  if (!size) return std::nullopt;
  ChunkCipher cipher(payload_key(key, to_array<kPayloadNonceSize>(sealed)));
  Bytes plaintext(*size);
  const bool authentic = for_each_chunk(std::span(plaintext), sealed.subspan(kPayloadNonceSize),
                                        [&](std::uint64_t number, bool last, std::span<std::byte> to, ByteView from) {
                                          return cipher.open(number, last, from, to);
                                        });
  if (authentic) return plaintext;
  sodium_memzero(plaintext.data(), plaintext.size());  // the chunks before the bad one were authentic
  return std::nullopt;
}

}  // namespace casevault
