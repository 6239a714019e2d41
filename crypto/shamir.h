#pragma once
#include <span>
#include <vector>

#include "crypto/ristretto.h"

namespace casevault {

/// Shamir's secret sharing (1979) over the integers modulo L, the order of ristretto255: share i is the value at i of a
/// polynomial whose value at 0 is the secret and whose other coefficients are uniform. Any `threshold` shares give the
/// secret, fewer say nothing of it. A share authenticates nothing, nor does it say which deal it is of: shares that do
/// not belong together give another scalar, so check the result against the commitment before use.

inline constexpr unsigned kMaxShares = 255;

struct ScalarShare {
  std::uint32_t index = 0;  // 1 … kMaxShares
  Scalar value;
};

/// An element that was multiplied with a share (`oprf_evaluate` under it).
struct ElementShare {
  std::uint32_t index = 0;
  Element value;
};

struct DealtScalar {
  std::vector<Scalar> shares;  // index i + 1 at i
  /// The generator times the secret: who guesses the secret can check the guess, so only secrets that cannot be
  /// guessed.
  Element commitment;
};

/// @pre 1 <= threshold <= count <= kMaxShares, and the secret is not zero.
DealtScalar deal_scalar(const Scalar& secret, unsigned threshold, unsigned count);

/// The secret, when at least `threshold` shares of one deal are given; any other scalar, zero too, when they are fewer
/// or do not belong together. @throws Error{kDamaged} when there is none, or when indices are not distinct or not in
/// 1 … kMaxShares.
Scalar interpolate(std::span<const ScalarShare> shares);

/// The share of `index` in the deal that the others are of. As little checked, and thrown, as by `interpolate`.
Scalar share_at(std::span<const ScalarShare> shares, std::uint32_t index);

/// The same for elements that one element became under each share: what one multiplication with the secret would have
/// given. @throws Error{kDamaged} for the same, and when an element is none
/// or the result is the identity, which somebody must have made so.
Element interpolate_in_exponent(std::span<const ElementShare> shares);

/// Whether all are of one deal: always so for `threshold` of them or fewer. Where they are more, and up to that many
/// more are false, this is false. @throws Error{kDamaged} as `interpolate` does.
[[nodiscard]] bool agree(std::span<const ElementShare> shares, unsigned threshold);
[[nodiscard]] bool agree(std::span<const ScalarShare> shares, unsigned threshold);

/// Whether the scalar is the one whose commitment this is.
[[nodiscard]] bool commits_to(const Element& commitment, const Scalar& secret);

}  // namespace casevault
