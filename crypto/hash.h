#pragma once
#include <memory>

#include "crypto/bytes.h"

namespace casevault {

/// SHA-256 (FIPS 180-4): what courts and stock tools know. 32 bytes.
using Sha256Digest = ByteArray<32>;

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(ByteView data);
  /// The digest of everything so far; the object then starts anew.
  Sha256Digest finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

Sha256Digest sha256(ByteView data);
/// The digest of the pieces one after the other, without copying them together.
Sha256Digest sha256(std::initializer_list<ByteView> pieces);

/// Unkeyed BLAKE2b (RFC 7693) with 16 or 32 bytes of output.
ByteArray<16> blake2b_128(std::initializer_list<ByteView> pieces);
ByteArray<32> blake2b_256(std::initializer_list<ByteView> pieces);

}  // namespace casevault
