// C2SP signed notes, verifier keys and checkpoints: what parses encodes back to the same bytes; anything else is
// Error{kDamaged}. What a key has not signed is never verified.
#include "crypto/signed_note.h"

#include <cstdint>
#include <cstdlib>

#include "crypto/checkpoint.h"
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

// Nobody has the secret of this key, so nothing may pass; the ways to say no are all taken.
void verify(std::string_view text) {
  static const casevault::NoteVerifier kExample =
      casevault::NoteVerifier::parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k");
  constexpr std::string_view kItsOnlyNote = "This is an example message.\n";  // of c2sp.org/signed-note
  try {
    const auto note = casevault::SignedNote::parse(text);
    const auto verified = note.verify(std::span(&kExample, 1));
    if (verified && verified->text != kItsOnlyNote) std::abort();
  } catch (const casevault::Error& error) {
    if (error.code() != casevault::Errc::kDamaged) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  round_trip<casevault::SignedNote>(text);
  round_trip<casevault::NoteVerifier>(text);
  round_trip<casevault::Checkpoint>(text);
  verify(text);
  return 0;
}
