#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/bytes.h"
#include "crypto/sign.h"

namespace casevault {

/// C2SP signed notes (https://c2sp.org/signed-note): a text, signed by one key or more. Here with signatures of type
/// 0x01 (Ed25519 over the text); signatures of unknown keys and other types are kept and ignored.

inline constexpr std::size_t kMaxNoteSize = 1'000'000;        // bytes, as Go's reference implementation has it
inline constexpr std::size_t kMaxNoteSignatures = 100;        // likewise; the specification demands 16
inline constexpr std::size_t kMaxNoteSignatureSize = 16'384;  // bytes in base64; post-quantum ones have nearly 5,000

/// The first 4 bytes of SHA-256(name ‖ "\n" ‖ 0x01 ‖ public key): a hint which key to take, no fingerprint.
using NoteKeyId = ByteArray<4>;

/// Not empty, UTF-8, no control characters, no white space of Unicode, no "+". Best a URL without its scheme.
bool is_valid_note_key_name(std::string_view name);

/// A key that signatures are checked by: "verifier key", or "vkey".
class NoteVerifier {
 public:
  /// @pre is_valid_note_key_name(name)
  NoteVerifier(std::string name, const VerifyKey& key);
  /// `name+hex(key id)+base64(0x01 ‖ public key)`. What parses encodes back to the same bytes.
  /// @throws Error{kDamaged}, also when the key id does not belong to the name and key, or for another type than 0x01.
  static NoteVerifier parse(std::string_view text);
  std::string encode() const;

  const std::string& name() const { return name_; }
  const NoteKeyId& key_id() const { return key_id_; }
  const VerifyKey& key() const { return key_; }
  bool operator==(const NoteVerifier&) const = default;

 private:
  std::string name_;
  VerifyKey key_;
  NoteKeyId key_id_;
};

/// One line of signature, of whatever type; its bytes say nothing until they were checked.
struct NoteSignature {
  std::string key_name;
  NoteKeyId key_id{};
  Bytes bytes;  // at least one
  bool operator==(const NoteSignature&) const = default;
};

struct VerifiedNote {
  std::string text;                   // ends in a newline
  std::vector<NoteVerifier> signers;  // those of the known keys that signed it, each once, in the note's order
};

class SignedNote {
 public:
  /// @pre `text` is valid: ends in a newline, UTF-8, no control characters below U+0020 but newlines; and the name is.
  static SignedNote sign(std::string text, const std::string& key_name, const SigningKey& key);
  /// Strict. What parses encodes back to the same bytes. @throws Error{kDamaged}
  static SignedNote parse(std::string_view text);
  std::string encode() const;

  /// Puts one more signature behind the others. @pre there is room (kMaxNoteSignatures), and it is well-formed.
  void append(NoteSignature signature);

  const std::vector<NoteSignature>& signatures() const { return signatures_; }
  /// Not authenticated: not to be shown to anybody, and not to be believed.
  const std::string& unverified_text() const { return text_; }

  /// Checks every signature that names one of the `known` keys by name and id. Of several of one key only the first is
  /// looked at. nullopt when no known key signed. The result authenticates the text, not which other keys signed it.
  /// @pre no two known keys have the same name and id.
  /// @throws Error{kDamaged} naming the key when one of them is not valid: somebody tampered with the note.
  std::optional<VerifiedNote> verify(std::span<const NoteVerifier> known) const;

 private:
  explicit SignedNote(std::string text) : text_(std::move(text)) {}
  std::string text_;
  std::vector<NoteSignature> signatures_;
};

}  // namespace casevault
