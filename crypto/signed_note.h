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
/// 0x01 (Ed25519 over the text); signatures of unknown keys and other types are kept and ignored. Those of type 0x04
/// are in crypto/cosignature.h.

inline constexpr std::size_t kMaxNoteSize = 1'000'000;        // bytes, as Go's reference implementation has it
inline constexpr std::size_t kMaxNoteSignatures = 100;        // likewise; the specification demands 16
inline constexpr std::size_t kMaxNoteSignatureSize = 16'384;  // bytes in base64; post-quantum ones have nearly 5,000

/// The types of signature that are known here. Both are of Ed25519 keys, over different messages.
enum class NoteSignatureType : std::uint8_t { kEd25519 = 0x01, kCosignature = 0x04 };

/// The first 4 bytes of SHA-256(name ‖ "\n" ‖ type ‖ public key): a hint which key to take, no fingerprint.
using NoteKeyId = ByteArray<4>;

/// Not empty, UTF-8, no control characters, no white space of Unicode, no "+". Best a URL without its scheme.
bool is_valid_note_key_name(std::string_view name);

/// One line of signature, of whatever type; its bytes say nothing until they were checked.
struct NoteSignature {
  std::string key_name;
  NoteKeyId key_id{};
  Bytes bytes;  // at least one
  bool operator==(const NoteSignature&) const = default;

  /// The line as it stands in a note, with its newline.
  std::string encode() const;
};

/// Lines of signature without the note that they belong under. Strict: what parses encodes back to the same bytes.
/// @throws Error{kDamaged}, also for no line or for more than kMaxNoteSignatures.
std::vector<NoteSignature> parse_note_signatures(std::string_view lines);

/// A key that signatures of one type are checked by: "verifier key", or "vkey".
template <NoteSignatureType Type>
class NoteKey {
 public:
  /// @pre is_valid_note_key_name(name)
  NoteKey(std::string name, const VerifyKey& key);
  /// `name+hex(key id)+base64(type ‖ public key)`. What parses encodes back to the same bytes.
  /// @throws Error{kDamaged}, also when the key id does not belong to the name and key, or for another type.
  static NoteKey parse(std::string_view text);
  std::string encode() const;

  const std::string& name() const { return name_; }
  const NoteKeyId& key_id() const { return key_id_; }
  const VerifyKey& key() const { return key_; }
  /// Whether the signature says that it is of this key: name and id are the same.
  bool is_named_by(const NoteSignature& signature) const {
    return signature.key_name == name_ && signature.key_id == key_id_;
  }
  bool operator==(const NoteKey&) const = default;

 private:
  std::string name_;
  VerifyKey key_;
  NoteKeyId key_id_;
};
using NoteVerifier = NoteKey<NoteSignatureType::kEd25519>;

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
