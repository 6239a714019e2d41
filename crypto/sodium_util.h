#pragma once
#include <sodium.h>

#include <cstddef>
#include <ranges>
#include <type_traits>

#include "crypto/bytes.h"

namespace casevault {

/// A local temporary that holds secrets, wiped when it goes out of scope. Inside crypto/ only.
template <typename T>
struct Wiped {
  T value{};
  Wiped() = default;
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  ~Wiped() { sodium_memzero(&value, sizeof value); }
};

/// The start of a span, array or vector of bytes as libsodium and libcrypto want it: `unsigned char*`, const where the
/// bytes are.
template <std::ranges::contiguous_range Range>
auto raw(Range&& bytes) {
  using Byte = std::remove_reference_t<std::ranges::range_reference_t<Range>>;
  static_assert(std::is_same_v<std::remove_const_t<Byte>, std::byte>);
  using Raw = std::conditional_t<std::is_const_v<Byte>, const unsigned char, unsigned char>;
  return reinterpret_cast<Raw*>(std::ranges::data(bytes));
}

/// The same for the calls that are declared never to take a null pointer, not even for no bytes.
inline const unsigned char* raw_not_null(ByteView bytes) {
  static constexpr unsigned char kNothing = 0;
  return bytes.empty() ? &kNothing : raw(bytes);
}

}  // namespace casevault
