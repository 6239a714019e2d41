#pragma once
#include "crypto/buffered_source.h"
#include "crypto/bytes.h"
#include "crypto/secret.h"
#include "crypto/stream.h"

namespace casevault {

// The payload of an age file (crypto/stream.h) as a stream, in both directions. Memory is a few chunks.

/// Plaintext in bulk, on the heap; wiped at the end. For keys there is SecretBytes.
class PlaintextBuffer {
 public:
  explicit PlaintextBuffer(std::size_t size) : bytes_(size) {}
  ~PlaintextBuffer();
  PlaintextBuffer(PlaintextBuffer&&) noexcept = default;
  PlaintextBuffer& operator=(PlaintextBuffer&& other) noexcept {
    bytes_.swap(other.bytes_);
    return *this;
  }
  std::span<std::byte> span() { return bytes_; }

 private:
  Bytes bytes_;
};

/// Writes the nonce at once, then every chunk as soon as it is known not to be the last. What the sink throws passes
/// through, and ends the writer.
class AgePayloadWriter {
 public:
  AgePayloadWriter(const FileKey& key, Sink sink);
  void write(ByteView plain);
  /// Writes the last chunk. Without it the payload is cut off, as every reader notices. @pre called once
  void finish();

 private:
  void emit(ByteView plain, bool last);

  Sink sink_;
  ChunkCipher cipher_;
  std::uint64_t number_ = 0;
  PlaintextBuffer pending_{kChunkSize};  // the start of a chunk, or a whole one that may be the last
  std::size_t pending_size_ = 0;
  Bytes sealed_;
  bool open_ = false;
};

/// Hands out nothing that is not authentic at its place. Only the end tells that the payload is whole.
class AgePayloadReader {
 public:
  /// `input` stands at the nonce, and must be able to hold a sealed chunk. @throws AgeError{kHeader} when the nonce is
  /// cut off.
  AgePayloadReader(const FileKey& key, BufferedSource input);
  /// As a Source: at most one chunk, straight to where `out` points when it fits. 0 only after the last chunk and at
  /// the end of the input. @throws AgeError{kPayload}; what the source throws. After that the reader is at its end.
  std::size_t read(std::span<std::byte> out);

 private:
  std::size_t open_next(std::span<std::byte> out);
  std::size_t open(ByteView sealed, std::span<std::byte> plain);

  BufferedSource input_;
  ChunkCipher cipher_;
  std::uint64_t number_ = 0;
  PlaintextBuffer held_{kChunkSize};  // a chunk that did not fit where it was wanted
  std::size_t held_begin_ = 0, held_end_ = 0;
  bool last_seen_ = false;
  bool broken_ = false;
};

}  // namespace casevault
