#pragma once
#include <optional>

#include "crypto/buffered_source.h"
#include "crypto/secret.h"

namespace casevault {

/// A key that lies somewhere as its bare bytes, read straight into guarded memory. nullopt when the source gives
/// another number of bytes.
template <typename KeyType>
std::optional<KeyType> read_key(const Source& source) {
  KeyType key = KeyType::zero();
  std::span<std::byte> rest = key.expose_secret_for_writing();
  while (!rest.empty()) {
    const std::size_t size = source(rest);
    if (size == 0) return std::nullopt;
    rest = rest.subspan(size);
  }
  ByteArray<1> more;
  if (source(more) != 0) return std::nullopt;
  return key;
}

/// Gives the bare bytes to a file of the caller's, whose permissions are then all that protects them.
template <typename KeyType>
void write_key(const KeyType& key, const Sink& sink) {
  sink(key.expose_secret());
}

}  // namespace casevault
