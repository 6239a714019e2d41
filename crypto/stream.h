#pragma once
#include <memory>

#include "crypto/bytes.h"
#include "crypto/secret.h"

namespace casevault {

// The payload of an age v1 file (C2SP age.md, "Payload"): a 16-byte random nonce, then the plaintext in chunks of 64
// KiB, each sealed by ChaCha20-Poly1305 (RFC 8439) under HKDF-SHA-256(file key, salt = nonce, info = "payload"). A
// chunk's nonce is its number (11 bytes, big-endian) and a byte that is 1 for the last chunk. The last chunk may be
// short; it is empty only when the plaintext is. So cutting off, reordering, or appending chunks is noticed.

inline constexpr std::size_t kChunkSize = 65536;  // plaintext bytes
inline constexpr std::size_t kChunkTagSize = 16;  // bytes
inline constexpr std::size_t kSealedChunkSize = kChunkSize + kChunkTagSize;
inline constexpr std::size_t kPayloadNonceSize = 16;  // bytes

using PayloadNonce = ByteArray<kPayloadNonceSize>;

PayloadKey payload_key(const FileKey& file_key, const PayloadNonce& nonce);

/// Bytes of the sealed payload, nonce included, for `plaintext_size` bytes.
std::uint64_t sealed_payload_size(std::uint64_t plaintext_size);
/// The inverse. nullopt for a size that no payload has.
std::optional<std::uint64_t> plaintext_size_of(std::uint64_t sealed_payload_size);

/// Seals and opens single chunks by number; the caller says which is the last. Not thread-safe; one per thread.
class ChunkCipher {
 public:
  explicit ChunkCipher(const PayloadKey& key);
  ~ChunkCipher();
  ChunkCipher(ChunkCipher&&) noexcept;
  ChunkCipher& operator=(ChunkCipher&&) noexcept;

  /// @pre plain.size() <= kChunkSize, sealed.size() == plain.size() + kChunkTagSize; they do not overlap, or have the
  /// same start.
  void seal(std::uint64_t number, bool last, ByteView plain, std::span<std::byte> sealed);
  /// False when the chunk is not authentic at this place; then `plain` is zeroed. @pre sealed.size() >= kChunkTagSize,
  /// plain.size() == sealed.size() - kChunkTagSize
  [[nodiscard]] bool open(std::uint64_t number, bool last, ByteView sealed, std::span<std::byte> plain);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

/// Whole payloads in memory, for small ones and for tests. nullopt when any of it is not authentic.
Bytes seal_payload(const FileKey& key, ByteView plaintext);
std::optional<Bytes> open_payload(const FileKey& key, ByteView sealed);

}  // namespace casevault
