#pragma once
#include <algorithm>

#include "crypto/error.h"
#include "crypto/secret.h"

namespace casevault {

/// Lays out secret and public pieces one after the other in guarded memory.
class SecretWriter {
 public:
  /// @param size bytes in all; what is not written stays zero.
  explicit SecretWriter(std::size_t size) : bytes_(size) {}
  SecretWriter& put(ByteView piece) {
    require(at_ + piece.size() <= bytes_.size(), "a secret layout overflows");
    std::ranges::copy(piece, bytes_.expose_secret_for_writing().begin() + static_cast<std::ptrdiff_t>(at_));
    at_ += piece.size();
    return *this;
  }
  template <typename Purpose, std::size_t Size>
  SecretWriter& put(const Key<Purpose, Size>& key) {
    return put(ByteView(key.expose_secret()));
  }
  SecretWriter& put(const SecretBytes& secret) { return put(secret.expose_secret()); }
  SecretBytes finish() { return std::move(bytes_); }

 private:
  SecretBytes bytes_;
  std::size_t at_ = 0;
};

/// Takes such a layout apart. Taking more than there is throws Error{kDamaged}. Must not outlive the bytes.
class SecretReader {
 public:
  explicit SecretReader(const SecretBytes& bytes) : rest_(bytes.expose_secret()) {}
  /// For pieces that are not secret.
  template <std::size_t Size>
  ByteArray<Size> take() {
    return to_array<Size>(next(Size));
  }
  template <typename KeyType>
  KeyType take_key() {
    return KeyType::from_bytes(next(KeyType::kSize).template first<KeyType::kSize>());
  }
  std::size_t left() const { return rest_.size(); }
  bool rest_is_zero() const {
    return std::ranges::all_of(rest_, [](std::byte b) { return b == std::byte{0}; });
  }

 private:
  ByteView next(std::size_t size) {
    if (size > rest_.size()) throw Error(Errc::kDamaged, "a sealed secret is too short");
    const auto piece = rest_.first(size);
    rest_ = rest_.subspan(size);
    return piece;
  }
  ByteView rest_;
};

}  // namespace casevault
