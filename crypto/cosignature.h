#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "crypto/checkpoint.h"
#include "crypto/signed_note.h"

namespace casevault {

/// C2SP cosignatures (https://c2sp.org/tlog-cosignature), type 0x04, Ed25519: a witness says, under a checkpoint, that
/// at its time this was the largest tree of that log it had seen, and that it continues all those before. Key id as of
/// any note, with type 0x04; the signature's 72 bytes are be64(time) ‖ Ed25519 signature over
/// `cosignature/v1\ntime N\n` ‖ the checkpoint's text.

/// The witness's key. Neither the name nor the type is signed, so such a key must cosign under one name, and sign
/// nothing else without a domain.
using CosignatureVerifier = NoteKey<NoteSignatureType::kCosignature>;

inline constexpr std::uint64_t kMaxCosignatureTime = (std::uint64_t{1} << 63) - 1;  // Unix seconds

/// What the witness said. That it speaks the truth takes trust in the witness; of a checkpoint's extension lines it
/// says nothing, though they are signed. Whether the log signed the checkpoint only verify_checkpoint tells.
struct Cosignature {
  std::uint64_t time = 0;  // Unix seconds UTC, by the witness's clock; may be in the future: the caller's to judge
  Checkpoint checkpoint;
};

/// The line to put under the checkpoint. The caller has checked the log's signature and the consistency.
/// @pre is_valid_note_key_name(name), and 0 < unix_seconds <= kMaxCosignatureTime
NoteSignature cosign(const Checkpoint& checkpoint, const std::string& name, const SigningKey& key,
                     std::uint64_t unix_seconds);

/// What `witness` said; of several cosignatures of it, the latest. nullopt when there is none of that name and key id.
/// @throws Error{kDamaged} when one of them is not valid (also: no time, or one beyond kMaxCosignatureTime), or when
/// what is signed is no checkpoint.
std::optional<Cosignature> verify_cosignature(const SignedNote& note, const CosignatureVerifier& witness);

/// The note with the cosignature of `witness` put behind the others, out of the answer to an add-checkpoint request
/// (https://c2sp.org/tlog-witness): lines of signature, of which those of other keys are left out.
/// @throws Error{kDamaged} when the answer is malformed or too long for the note, has no line of that key, or one that
/// verify_cosignature refuses.
SignedNote with_cosignature(SignedNote note, std::string_view answer, const CosignatureVerifier& witness);

}  // namespace casevault
