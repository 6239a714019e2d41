#pragma once
#include <optional>

#include "crypto/bytes.h"
#include "crypto/secret.h"

namespace casevault {

/// The group ristretto255 (RFC 9496), of prime order L = 2^252 + 27742317777372353535851937790883648493, as libsodium
/// has it.

/// An integer below L, 32 bytes little-endian, fully reduced. Never zero where it comes from a function of this header.
using Scalar = Key<struct ScalarPurpose>;

/// A group element in its canonical encoding of 32 bytes (RFC 9496 section 4.3.2), never the identity: get one from
/// parse_element or from a calculation. A default one is the identity, and every calculation refuses it.
struct Element {
  ByteArray<32> bytes{};
  bool operator==(const Element&) const = default;
};

/// What somebody else sent (RFC 9496 section 4.3.1). nullopt for another size than 32 bytes, an encoding that is not
/// canonical or no element, and the identity. It authenticates nothing.
std::optional<Element> parse_element(ByteView bytes);

/// nullopt for another size than 32 bytes, for what is not below L, and for zero. In constant time but for the answer.
std::optional<Scalar> parse_scalar(ByteView bytes);
inline std::optional<Scalar> parse_scalar(const SecretBytes& bytes) { return parse_scalar(bytes.expose_secret()); }
template <typename Purpose, std::size_t Size>
std::optional<Scalar> parse_scalar(const Key<Purpose, Size>& key) {
  return parse_scalar(ByteView(key.expose_secret()));
}

/// Uniform among 1 … L - 1.
Scalar random_scalar();

/// All in constant time. @throws Error{kDamaged} when the element is none, or when the scalar is zero.
Element generator_times(const Scalar& scalar);
Element multiply(const Element& element, const Scalar& scalar);
/// The same for elements that must not be left behind in memory. `product` does not overlap the others.
void multiply_into(std::span<std::byte, 32> product, std::span<const std::byte, 32> element, const Scalar& scalar);

}  // namespace casevault
