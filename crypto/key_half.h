#pragma once
#include "crypto/kdf.h"
#include "crypto/ristretto.h"

namespace casevault {

// A key that is handed over in two halves: one is a scalar that others keep, and follows from the key; the other is the
// key masked by what follows from that scalar. Each alone tells nothing of a key that was random. Whoever has the key
// can make both again.

/// `key` under a one-time pad that follows from `from`; done twice, the key again. One label and context for one key.
template <typename To, typename From>
To mask_key(const To& key, const From& from, std::string_view label, ByteView context = {}) {
  To masked = derive_key<To>(from, label, context);
  const auto in = key.expose_secret();
  const auto out = masked.expose_secret_for_writing();
  for (std::size_t i = 0; i < out.size(); ++i) out[i] ^= in[i];
  return masked;
}

using WideScalar = Key<struct WideScalarPurpose, 64>;
/// 64 bytes that follow from a secret, taken modulo L: as good as uniform. @throws Error{kInternal} for zero.
Scalar reduce_to_scalar(const WideScalar& wide);

}  // namespace casevault
