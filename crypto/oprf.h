#pragma once
#include "crypto/bytes.h"
#include "crypto/ristretto.h"
#include "crypto/secret.h"

namespace casevault {

/// The oblivious pseudorandom function of RFC 9497, mode OPRF (0x00), ciphersuite ristretto255-SHA512: whoever holds
/// the key answers without learning the input or the output; whoever asks learns one output and nothing of the key. The
/// mode proves nothing: an answer under another key, or of a forger, gives another output. What the output opens must
/// be sealed with authentication. Inputs are of 65,535 bytes at most (else Error{kInternal}).

struct OprfBlinded {
  Scalar blind;     // stays here, until oprf_finalize
  Element element;  // goes to the holder of the key; uniform, whatever the input is
};

/// Section 3.3.1, Blind. Fresh randomness each time: asking twice for one input does not show.
OprfBlinded oprf_blind(ByteView input);
/// For published vectors only: a blind that is used twice links the questions, one that is known gives the input away
/// to guessing.
OprfBlinded oprf_blind(ByteView input, Scalar blind);

/// Section 3.3.1, BlindEvaluate. @throws Error{kDamaged} when `blinded` is no element or the key is zero.
Element oprf_evaluate(const Scalar& key, const Element& blinded);

using OprfOutput = Key<struct OprfOutputPurpose, 64>;

/// Section 3.3.1, Finalize, with the blind that belongs to the question.
/// @throws Error{kDamaged} when `evaluated` is no element.
OprfOutput oprf_finalize(ByteView input, const Scalar& blind, const Element& evaluated);

/// Section 3.2.1, DeriveKeyPair: the same key from the same seed and (public) info, for published vectors.
Scalar oprf_derive_key(ByteView seed, ByteView info);

inline OprfBlinded oprf_blind(const SecretBytes& input) { return oprf_blind(input.expose_secret()); }
template <typename Purpose, std::size_t Size>
OprfBlinded oprf_blind(const Key<Purpose, Size>& input) {
  return oprf_blind(ByteView(input.expose_secret()));
}
inline OprfOutput oprf_finalize(const SecretBytes& input, const Scalar& blind, const Element& evaluated) {
  return oprf_finalize(input.expose_secret(), blind, evaluated);
}
template <typename Purpose, std::size_t Size>
OprfOutput oprf_finalize(const Key<Purpose, Size>& input, const Scalar& blind, const Element& evaluated) {
  return oprf_finalize(ByteView(input.expose_secret()), blind, evaluated);
}

}  // namespace casevault
