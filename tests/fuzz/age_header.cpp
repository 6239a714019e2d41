// The header of an age file: what parses encodes back to the same bytes, and what follows is left alone. Identities
// take any stanzas without harm.
#include "crypto/age_header.h"

#include <algorithm>

#include "crypto/age.h"
#include "crypto/random.h"
#include "tests/support/fuzz.h"

using namespace casevault;

namespace {

void try_identity(const AgeHeader& header) {
  static const AgeIdentity identity = AgeIdentity::from_key(AgeKeyKind::kX25519, AgeSecretKey::zero());
  try {
    test::check(!identity.unwrap(header.stanzas), "a stanza opens that nobody sealed");
  } catch (const AgeError& error) {
    test::check(error.fault() == AgeFault::kHeader, "a fault of another part");
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  init_crypto();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView file = std::as_bytes(std::span(data, size));
  BufferedSource input(test::in_steps(file, size % 7 + 1), 2 * kAgeMaxLineSize);
  AgeHeader header;
  try {
    header = read_age_header(input);
  } catch (const AgeError& error) {
    test::check(error.fault() == AgeFault::kHeader && error.code() == Errc::kDamaged, "a fault of another part");
    return 0;
  }
  Bytes again = concat({as_bytes(encode_age_header(header))});
  while (!input.at_end()) test::append(again, input.take(kAgeMaxLineSize));
  test::check(std::ranges::equal(again, file), "it encodes to other bytes");
  static const FileKey file_key = FileKey::random();
  test::check(age_header_mac(file_key, header) != header.mac, "a MAC that nobody made");
  try_identity(header);
  return 0;
}
