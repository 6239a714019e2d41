#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/merkle.h"
#include "crypto/signed_note.h"

namespace casevault {

/// The head of a log: a C2SP checkpoint (https://c2sp.org/tlog-checkpoint), which is the text of a signed note.
struct Checkpoint {
  std::string origin;      // names the log; one line, not empty
  std::uint64_t size = 0;  // leaves
  TreeHash root{};
  std::vector<std::string> extensions;  // lines that mean nothing here; none empty
  bool operator==(const Checkpoint&) const = default;

  /// The text of the note. @pre origin and extensions are lines that are not empty.
  std::string encode() const;
  /// Strict: decimal size without leading zeros, a root of 32 bytes. What parses encodes back to the same bytes. That
  /// the root belongs to the size only the log's owner knows. @throws Error{kDamaged}
  static Checkpoint parse(std::string_view text);
};

/// Signed by the log, under its origin as the key's name. @pre the origin is a valid name of a key
SignedNote sign_checkpoint(const Checkpoint& checkpoint, const SigningKey& key);

/// What the key of the log says; nullopt when `log` did not sign the note.
/// @throws Error{kDamaged} when its signature is not valid, when what it signed is no checkpoint, or when the origin is
/// not the key's name: a key speaks for its own log only.
std::optional<Checkpoint> verify_checkpoint(const SignedNote& note, const NoteVerifier& log);

}  // namespace casevault
