#include "crypto/cosignature.h"

#include <algorithm>

#include "crypto/error.h"

namespace casevault {
namespace {

constexpr std::size_t kTimeSize = 8;  // bytes

// The first line keeps cosignatures apart from all else that such a key may sign.
std::string signed_message(std::uint64_t time, std::string_view checkpoint) {
  std::string message = "cosignature/v1\ntime " + std::to_string(time) + "\n";
  return message += checkpoint;
}

[[noreturn]] void bad_cosignature(const CosignatureVerifier& witness) {
  throw Error(Errc::kDamaged, "the cosignature of " + witness.name() + " under the checkpoint is not valid");
}

// Its time. @throws Error{kDamaged}
std::uint64_t check(const NoteSignature& signature, std::string_view text, const CosignatureVerifier& witness) {
  const ByteView bytes = signature.bytes;
  if (bytes.size() != kTimeSize + sizeof(Signature)) bad_cosignature(witness);
  const std::uint64_t time = read_be64(bytes.first<kTimeSize>());
  if (time == 0 || time > kMaxCosignatureTime) bad_cosignature(witness);
  const auto message = signed_message(time, text);
  const auto ed25519 = to_array<sizeof(Signature)>(bytes.subspan(kTimeSize));
  if (!verify_raw(witness.key(), as_bytes(message), ed25519)) bad_cosignature(witness);
  return time;
}

}  // namespace

NoteSignature cosign(const Checkpoint& checkpoint, const std::string& name, const SigningKey& key,
                     std::uint64_t unix_seconds) {
  require(0 < unix_seconds && unix_seconds <= kMaxCosignatureTime, "cosignature: wrong time");
  const CosignatureVerifier verifier(name, key.verify_key());
  const auto message = signed_message(unix_seconds, checkpoint.encode());
  return {name, verifier.key_id(), concat({be64(unix_seconds), key.sign_raw(as_bytes(message))})};
}

std::optional<Cosignature> verify_cosignature(const SignedNote& note, const CosignatureVerifier& witness) {
  std::uint64_t latest = 0;
  for (const NoteSignature& signature : note.signatures()) {
    if (!witness.is_named_by(signature)) continue;
    latest = std::max(latest, check(signature, note.unverified_text(), witness));
  }
  if (latest == 0) return std::nullopt;
  return Cosignature{latest, Checkpoint::parse(note.unverified_text())};
}

SignedNote with_cosignature(SignedNote note, std::string_view answer, const CosignatureVerifier& witness) {
  bool found = false;
  for (NoteSignature& signature : parse_note_signatures(answer)) {
    if (!witness.is_named_by(signature)) continue;
    if (note.signatures().size() == kMaxNoteSignatures) {
      throw Error(Errc::kDamaged, "there is no room for one more signature under the checkpoint");
    }
    note.append(std::move(signature));
    found = true;
  }
  if (!found) throw Error(Errc::kDamaged, "the answer of " + witness.name() + " has no cosignature of its key");
  (void)verify_cosignature(note, witness);
  return note;
}

}  // namespace casevault
