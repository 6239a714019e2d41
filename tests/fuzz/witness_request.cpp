// Requests to a witness, its answers, and its keys: what parses encodes back to the same bytes; anything else is
// Error{kDamaged}. What a witness has not signed is never verified.
#include "crypto/witness_request.h"

#include <cstdint>
#include <cstdlib>

#include "crypto/cosignature.h"
#include "crypto/error.h"

namespace {

template <typename Action>
void refuses_or(Action action) {
  try {
    action();
  } catch (const casevault::Error& error) {
    if (error.code() != casevault::Errc::kDamaged) std::abort();
  }
}

// Nobody here has the secret of this key of a public witness.
void verify(std::string_view text) {
  static const auto kWitness =
      casevault::CosignatureVerifier::parse("remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2");
  if (casevault::verify_cosignature(casevault::SignedNote::parse(text), kWitness)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  refuses_or([&] {
    const auto request = casevault::WitnessRequest::parse(text);
    if (request.encode() != text) std::abort();
    (void)request.is_consistent_with({});
  });
  refuses_or([&] {
    std::string lines;
    for (const auto& signature : casevault::parse_note_signatures(text)) lines += signature.encode();
    if (lines != text) std::abort();
  });
  refuses_or([&] {
    if (casevault::CosignatureVerifier::parse(text).encode() != text) std::abort();
  });
  refuses_or([&] { verify(text); });
  return 0;
}
