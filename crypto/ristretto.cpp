#include "crypto/ristretto.h"

#include "crypto/error.h"
#include "crypto/sodium_util.h"

namespace casevault {
namespace {

static_assert(Scalar::kSize == crypto_core_ristretto255_SCALARBYTES);
static_assert(sizeof(Element::bytes) == crypto_core_ristretto255_BYTES);

// libsodium 1.0.18 keeps its own test to itself: what is reduced stays as it is when it is reduced.
bool is_reduced(ByteView scalar) {
  Wiped<ByteArray<crypto_core_ristretto255_NONREDUCEDSCALARBYTES>> wide;
  Wiped<ByteArray<Scalar::kSize>> reduced;
  copy_bytes(scalar, wide.value);
  crypto_core_ristretto255_scalar_reduce(raw(reduced.value), raw(wide.value));
  return equal_constant_time(reduced.value, scalar);
}

// libsodium 1.0.18 overlooks the highest bit, which would give each element two encodings.
bool is_highest_bit_set(const Element& element) { return (element.bytes.back() & std::byte{0x80}) != std::byte{0}; }

// libsodium refuses what is no element, and results that are the identity.
void require_done(int status) {
  if (status != 0) throw Error(Errc::kDamaged, "a group element is not valid, or a scalar is zero");
}

}  // namespace

std::optional<Element> parse_element(ByteView bytes) {
  if (bytes.size() != sizeof(Element::bytes)) return std::nullopt;
  const Element element{to_array<sizeof(Element::bytes)>(bytes)};
  if (element == Element{}) return std::nullopt;  // the identity, which libsodium takes for valid
  if (is_highest_bit_set(element)) return std::nullopt;
  if (crypto_core_ristretto255_is_valid_point(raw(element.bytes)) != 1) return std::nullopt;
  return element;
}

std::optional<Scalar> parse_scalar(ByteView bytes) {
  if (bytes.size() != Scalar::kSize || !is_reduced(bytes)) return std::nullopt;
  if (sodium_is_zero(raw(bytes), bytes.size()) == 1) return std::nullopt;
  return Scalar::from_bytes(bytes.first<Scalar::kSize>());
}

Scalar random_scalar() {
  Scalar scalar = Scalar::zero();
  crypto_core_ristretto255_scalar_random(raw(scalar.expose_secret_for_writing()));
  return scalar;
}

Element generator_times(const Scalar& scalar) {
  Element product;
  require_done(crypto_scalarmult_ristretto255_base(raw(product.bytes), raw(scalar.expose_secret())));
  return product;
}

Element multiply(const Element& element, const Scalar& scalar) {
  Element product;
  multiply_into(product.bytes, element.bytes, scalar);
  return product;
}

void multiply_into(std::span<std::byte, 32> product, std::span<const std::byte, 32> element, const Scalar& scalar) {
  require_done(crypto_scalarmult_ristretto255(raw(product), raw(scalar.expose_secret()), raw(element)));
}

}  // namespace casevault
