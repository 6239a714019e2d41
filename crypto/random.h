#pragma once
#include "crypto/bytes.h"

namespace casevault {

/// Initialises libsodium and checks that libcrypto's random generator is seeded. Call once, first in `main`; safe to
/// repeat.
/// @throws Error{kInternal} when there is no randomness to be had: never continues weaker.
void init_crypto();

/// Fills `out` from the system's generator (libsodium `randombytes_buf`).
void fill_random(std::span<std::byte> out);

template <std::size_t N>
ByteArray<N> random_array() {
  ByteArray<N> out;
  fill_random(out);
  return out;
}

}  // namespace casevault
