// Shares of SLIP-0039: what parses writes back to words that parse to the same; anything else is Error{kDamaged}.
#include "crypto/slip39.h"

#include <cstdint>

#include "crypto/error.h"
#include "crypto/random.h"
#include "tests/support/fuzz.h"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  casevault::init_crypto();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace casevault;
  const auto text = SecretBytes::copy_of(std::as_bytes(std::span(data, size)));
  try {
    const auto words = Slip39Share::parse(text).words();
    const auto again = Slip39Share::parse(words).words();
    test::check(equal_constant_time(words.expose_secret(), again.expose_secret()), "words round trip");
  } catch (const Error& error) {
    test::check(error.code() == Errc::kDamaged, "another error than damaged");
  }
  return 0;
}
