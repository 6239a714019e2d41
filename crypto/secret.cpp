#include "crypto/secret.h"

#include <sodium.h>

#include <algorithm>

#include "crypto/error.h"

namespace casevault {

SecretBytes::SecretBytes(std::size_t size) : size_(size) {
  if (size == 0) return;  // a guarded page for nothing would cost four pages
  data_.reset(static_cast<std::byte*>(sodium_malloc(size)));
  require(data_ != nullptr, "no memory for a secret");
  std::fill_n(data_.get(), size, std::byte{0});  // sodium_malloc fills with 0xdb
}

SecretBytes SecretBytes::copy_of(ByteView bytes) {
  SecretBytes copy(bytes.size());
  std::ranges::copy(bytes, copy.data_.get());
  return copy;
}

// sodium_free wipes the whole allocation, so also what truncate cut off.
void SecretBytes::Free::operator()(std::byte* p) const { sodium_free(p); }

void wipe(std::span<std::byte> bytes) { sodium_memzero(bytes.data(), bytes.size()); }

}  // namespace casevault
