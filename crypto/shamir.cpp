#include "crypto/shamir.h"

#include <algorithm>
#include <bitset>

#include "crypto/error.h"
#include "crypto/sodium_util.h"

namespace casevault {
namespace {

// Scalars that are no secret: indices, and what is calculated from them.
using PublicScalar = ByteArray<Scalar::kSize>;
using ScalarView = std::span<const std::byte, Scalar::kSize>;
using ScalarSpan = std::span<std::byte, Scalar::kSize>;

PublicScalar scalar_of(std::uint32_t index) {
  PublicScalar scalar{};
  for (std::size_t i = 0; i < sizeof index; ++i) scalar[i] = static_cast<std::byte>(index >> (8 * i));
  return scalar;
}

void multiply_by(ScalarSpan value, ScalarView factor) {
  crypto_core_ristretto255_scalar_mul(raw(value), raw(value), raw(factor));
}
void add_to(ScalarSpan value, ScalarView addend) {
  crypto_core_ristretto255_scalar_add(raw(value), raw(value), raw(addend));
}

// Uniform, zero too: 512 random bits leave a bias below 2^-259.
Scalar random_coefficient() {
  const auto wide = Key<struct WidePurpose, crypto_core_ristretto255_NONREDUCEDSCALARBYTES>::random();
  Scalar coefficient = Scalar::zero();
  crypto_core_ristretto255_scalar_reduce(raw(coefficient.expose_secret_for_writing()), raw(wide.expose_secret()));
  return coefficient;
}

// Horner's rule, from the top coefficient down.
Scalar value_at(std::span<const Scalar> coefficients, std::uint32_t index) {
  Scalar value = Scalar::zero();
  for (std::size_t i = coefficients.size(); i-- > 0;) {
    multiply_by(value.expose_secret_for_writing(), scalar_of(index));
    add_to(value.expose_secret_for_writing(), coefficients[i].expose_secret());
  }
  return value;
}

void check_indices(std::span<const std::uint32_t> indices) {
  std::bitset<kMaxShares + 1> seen;
  if (indices.empty()) throw Error(Errc::kDamaged, "there is no share");
  for (const std::uint32_t index : indices) {
    if (index == 0 || index > kMaxShares) throw Error(Errc::kDamaged, "a share has a wrong index");
    if (seen.test(index)) throw Error(Errc::kDamaged, "two shares have one index");
    seen.set(index);
  }
}

PublicScalar difference_of(std::uint32_t a, std::uint32_t b) {
  PublicScalar difference;
  crypto_core_ristretto255_scalar_sub(raw(difference), raw(scalar_of(a)), raw(scalar_of(b)));
  return difference;
}

// Lagrange's coefficient of share `index` at `place`: the product, over the other indices, of
// (other - place) / (other - index).
PublicScalar weight(std::span<const std::uint32_t> indices, std::uint32_t index, std::uint32_t place) {
  PublicScalar above = scalar_of(1), below = scalar_of(1);
  for (const std::uint32_t other : indices) {
    if (other == index) continue;
    multiply_by(above, difference_of(other, place));
    multiply_by(below, difference_of(other, index));
  }
  PublicScalar inverse;
  const int status = crypto_core_ristretto255_scalar_invert(raw(inverse), raw(below));
  require(status == 0, "shamir: two indices are the same");
  multiply_by(inverse, above);
  return inverse;
}

// One for each index, in their order. @throws Error{kDamaged}
std::vector<PublicScalar> weights_at(std::span<const std::uint32_t> indices, std::uint32_t place) {
  check_indices(indices);
  std::vector<PublicScalar> weights;
  for (const std::uint32_t index : indices) weights.push_back(weight(indices, index, place));
  return weights;
}

// What the share at `place` would be, or the secret at 0; zero is possible.
Scalar value_from(std::span<const ScalarShare> shares, std::uint32_t place) {
  std::vector<std::uint32_t> indices;
  for (const ScalarShare& share : shares) indices.push_back(share.index);
  const auto weights = weights_at(indices, place);
  Scalar sum = Scalar::zero();
  for (std::size_t i = 0; i < shares.size(); ++i) {
    Scalar term = shares[i].value.clone();
    multiply_by(term.expose_secret_for_writing(), weights[i]);
    add_to(sum.expose_secret_for_writing(), term.expose_secret());
  }
  return sum;
}

// The same; the identity is possible.
Element value_in_exponent(std::span<const ElementShare> shares, std::uint32_t place) {
  std::vector<std::uint32_t> indices;
  for (const auto& share : shares) indices.push_back(share.index);
  const auto weights = weights_at(indices, place);
  Element sum;  // the identity, where addition starts
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const Element term = multiply(shares[i].value, Scalar::from_bytes(weights[i]));
    const int status = crypto_core_ristretto255_add(raw(sum.bytes), raw(sum.bytes), raw(term.bytes));
    require(status == 0, "shamir: addition failed");
  }
  return sum;
}

}  // namespace

DealtScalar deal_scalar(const Scalar& secret, unsigned threshold, unsigned count) {
  require(1 <= threshold && threshold <= count && count <= kMaxShares, "shamir: wrong threshold");
  DealtScalar dealt{{}, generator_times(secret)};
  std::vector<Scalar> coefficients;
  coefficients.push_back(secret.clone());
  while (coefficients.size() < threshold) coefficients.push_back(random_coefficient());
  for (std::uint32_t index = 1; index <= count; ++index) dealt.shares.push_back(value_at(coefficients, index));
  return dealt;
}

Scalar interpolate(std::span<const ScalarShare> shares) { return value_from(shares, 0); }

Scalar share_at(std::span<const ScalarShare> shares, std::uint32_t index) {
  check_indices(std::span(&index, 1));
  return value_from(shares, index);
}

Element interpolate_in_exponent(std::span<const ElementShare> shares) {
  const auto sum = value_in_exponent(shares, 0);
  if (sum == Element{}) throw Error(Errc::kDamaged, "the shares of an answer cancel each other out");
  return sum;
}

bool agree(std::span<const ElementShare> shares, unsigned threshold) {
  if (shares.size() <= threshold) return true;
  const auto first = shares.first(threshold);
  return std::ranges::all_of(shares.subspan(threshold), [&](const ElementShare& other) {
    return value_in_exponent(first, other.index) == other.value;
  });
}

bool agree(std::span<const ScalarShare> shares, unsigned threshold) {
  std::vector<ElementShare> commitments;
  for (const auto& share : shares) commitments.push_back({share.index, generator_times(share.value)});
  return agree(commitments, threshold);
}

bool commits_to(const Element& commitment, const Scalar& secret) {
  Element product;
  return crypto_scalarmult_ristretto255_base(raw(product.bytes), raw(secret.expose_secret())) == 0 &&
         product == commitment;
}

}  // namespace casevault
