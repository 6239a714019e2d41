// minisign signatures and public keys: what parses encodes back to the same bytes; anything else is Error{kDamaged}.
#include "crypto/minisign.h"

#include <cstdint>
#include <cstdlib>

#include "crypto/error.h"

namespace {

template <typename Parsed>
void round_trip(std::string_view text) {
  try {
    if (Parsed::parse(text).encode() != text) std::abort();
  } catch (const casevault::Error& error) {
    if (error.code() != casevault::Errc::kDamaged) std::abort();
  }
}

// A file of a key has several spellings; the key in it has one.
void key_file(std::string_view text) {
  using casevault::MinisignPublicKey;
  try {
    const auto key = MinisignPublicKey::parse_file(text);
    if (MinisignPublicKey::parse_file(key.encode_file()) != key || MinisignPublicKey::parse(key.encode()) != key) {
      std::abort();
    }
  } catch (const casevault::Error& error) {
    if (error.code() != casevault::Errc::kDamaged) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  round_trip<casevault::MinisignSignature>(text);
  round_trip<casevault::MinisignPublicKey>(text);
  key_file(text);
  return 0;
}
