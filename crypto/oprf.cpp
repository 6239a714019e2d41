#include "crypto/oprf.h"

#include "crypto/error.h"
#include "crypto/secret_layout.h"
#include "crypto/sodium_util.h"

namespace casevault {
namespace {

using namespace std::string_view_literals;

// RFC 9497 section 3.1: CreateContextString(0x00, "ristretto255-SHA512"), behind the name of each use (section 4.1).
constexpr std::string_view kHashToGroupTag = "HashToGroup-OPRFV1-\0-ristretto255-SHA512"sv;
constexpr std::string_view kDeriveKeyTag = "DeriveKeyPairOPRFV1-\0-ristretto255-SHA512"sv;
constexpr std::size_t kHashSize = crypto_hash_sha512_BYTES;
constexpr std::size_t kHashBlock = 128;  // bytes that SHA-512 takes at a time
static_assert(OprfOutput::kSize == kHashSize && kHashSize == crypto_core_ristretto255_HASHBYTES &&
              kHashSize == crypto_core_ristretto255_NONREDUCEDSCALARBYTES);

// Lengths and counters of the two RFCs: big-endian.
ByteArray<1> be8(std::size_t value) { return {static_cast<std::byte>(value)}; }
ByteArray<2> be16(std::size_t value) {
  require(value <= 0xFFFF, "oprf: too long");
  return {static_cast<std::byte>(value >> 8), static_cast<std::byte>(value)};
}

void sha512(std::initializer_list<ByteView> pieces, std::span<std::byte, kHashSize> out) {
  Wiped<crypto_hash_sha512_state> state;
  bool ok = crypto_hash_sha512_init(&state.value) == 0;
  for (const ByteView piece : pieces) {
    ok = ok && crypto_hash_sha512_update(&state.value, raw(piece), piece.size()) == 0;
  }
  ok = ok && crypto_hash_sha512_final(&state.value, raw(out)) == 0;
  require(ok, "SHA-512 failed");
}

// RFC 9380 section 5.3.1, expand_message_xmd with SHA-512, for the one length that is wanted here: one hash, so that
// b_1 is the whole output. `tag` is its DST.
void expand_message(ByteView message, std::string_view tag, std::span<std::byte, kHashSize> out) {
  constexpr ByteArray<kHashBlock> kPadding{};
  const ByteArray<1> zero = be8(0), one = be8(1), tag_size = be8(tag.size());
  Wiped<ByteArray<kHashSize>> first;
  sha512({kPadding, message, be16(kHashSize), zero, as_bytes(tag), tag_size}, first.value);
  sha512({first.value, one, as_bytes(tag), tag_size}, out);
}

// Elements before they are blinded and after: whoever finds one can try inputs.
using HiddenElement = Wiped<ByteArray<sizeof(Element::bytes)>>;

// RFC 9497 section 4.1, HashToGroup.
void hash_to_group(ByteView input, HiddenElement& out) {
  (void)be16(input.size());  // section 3.3.1 has no longer inputs
  Wiped<ByteArray<kHashSize>> uniform;
  expand_message(input, kHashToGroupTag, uniform.value);
  const int status = crypto_core_ristretto255_from_hash(raw(out.value), raw(uniform.value));
  require(status == 0, "oprf: hashing to the group failed");
}

// Section 4.1, HashToScalar, with the DST of section 3.2.1. Zero with a probability of 2^-252.
Scalar hash_to_scalar(ByteView input) {
  Wiped<ByteArray<kHashSize>> uniform;
  expand_message(input, kDeriveKeyTag, uniform.value);
  Scalar scalar = Scalar::zero();
  crypto_core_ristretto255_scalar_reduce(raw(scalar.expose_secret_for_writing()), raw(uniform.value));
  return scalar;
}

Scalar inverse(const Scalar& scalar) {
  Scalar inverse = Scalar::zero();
  const int status =
      crypto_core_ristretto255_scalar_invert(raw(inverse.expose_secret_for_writing()), raw(scalar.expose_secret()));
  require(status == 0, "oprf: the blind is zero");
  return inverse;
}

}  // namespace

OprfBlinded oprf_blind(ByteView input) { return oprf_blind(input, random_scalar()); }

OprfBlinded oprf_blind(ByteView input, Scalar blind) {
  HiddenElement hashed;
  hash_to_group(input, hashed);
  Element element;
  multiply_into(element.bytes, hashed.value, blind);
  return {std::move(blind), element};
}

Element oprf_evaluate(const Scalar& key, const Element& blinded) { return multiply(blinded, key); }

OprfOutput oprf_finalize(ByteView input, const Scalar& blind, const Element& evaluated) {
  HiddenElement unblinded;
  multiply_into(unblinded.value, evaluated.bytes, inverse(blind));
  OprfOutput output = OprfOutput::zero();
  sha512({be16(input.size()), input, be16(unblinded.value.size()), unblinded.value, as_bytes("Finalize")},
         output.expose_secret_for_writing());
  return output;
}

// The last byte is the RFC's counter of attempts: the second would follow where the first scalar is zero.
Scalar oprf_derive_key(ByteView seed, ByteView info) {
  SecretWriter input(seed.size() + 2 + info.size() + 1);
  input.put(seed).put(be16(info.size())).put(info).put(be8(0));
  auto key = parse_scalar(hash_to_scalar(input.finish().expose_secret()));
  require(key.has_value(), "oprf: no key for this seed");
  return std::move(*key);
}

}  // namespace casevault
