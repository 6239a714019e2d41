#include "crypto/signed_note.h"

#include <algorithm>
#include <array>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/hash.h"
#include "crypto/text_lines.h"

namespace casevault {
namespace {

constexpr std::string_view kSignaturePrefix = "\u2014 ";
constexpr std::size_t kVkeySize = 1 + sizeof(VerifyKey::bytes);  // bytes behind the last "+"

// White_Space of Unicode 15 but for the control characters below U+0020, which are refused everywhere.
constexpr std::array<std::string_view, 20> kSpaces{" ",      "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002",
                                                   "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009",
                                                   "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};

[[noreturn]] void bad_note(const char* why) {
  throw Error(Errc::kDamaged, std::string("the signed note is damaged: ") + why);
}
[[noreturn]] void bad_vkey(const char* why) {
  throw Error(Errc::kDamaged, std::string("this is no verifier key of a signed note: ") + why);
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20; }

// What may stand in a note at all.
bool is_note_characters(std::string_view text) {
  return is_well_formed_utf8(text) && std::ranges::none_of(text, [](char c) { return is_control(c) && c != '\n'; });
}

bool is_note_text(std::string_view text) { return text.ends_with('\n') && is_note_characters(text); }

// What stands behind the last "+" of a verifier key.
Bytes key_material(NoteSignatureType type, const VerifyKey& key) {
  const auto type_byte = static_cast<std::byte>(type);
  return concat({ByteView(&type_byte, 1), key.bytes});
}

NoteKeyId key_id_of(std::string_view name, NoteSignatureType type, const VerifyKey& key) {
  return to_array<4>(sha256({as_bytes(name), as_bytes("\n"), key_material(type, key)}));
}

const char* wrong_type(NoteSignatureType type) {
  return type == NoteSignatureType::kEd25519 ? "it is not of type 1 (Ed25519)" : "it is not of type 4 (cosignatures)";
}

NoteSignature parse_signature(std::string_view line) {
  const auto space = line.find(' ');
  if (space == std::string_view::npos) bad_note("a line of signature is not whole");
  const auto name = line.substr(0, space), base64 = line.substr(space + 1);
  if (!is_valid_note_key_name(name)) bad_note("a name of a key is not allowed");
  if (base64.size() > kMaxNoteSignatureSize) bad_note("a signature is too long");
  const auto bytes = from_base64(base64);
  if (!bytes || bytes->size() <= sizeof(NoteKeyId)) bad_note("a signature is not base64, or too short");
  return {std::string(name), to_array<sizeof(NoteKeyId)>(*bytes), Bytes(bytes->begin() + 4, bytes->end())};
}

bool is_signed(const NoteVerifier& verifier, std::string_view text, const NoteSignature& signature) {
  return signature.bytes.size() == sizeof(Signature) &&
         verify_raw(verifier.key(), as_bytes(text), to_array<sizeof(Signature)>(signature.bytes));
}

}  // namespace

bool is_valid_note_key_name(std::string_view name) {
  const auto has = [&](std::string_view piece) { return name.find(piece) != std::string_view::npos; };
  return !name.empty() && is_well_formed_utf8(name) && std::ranges::none_of(name, is_control) && !has("+") &&
         std::ranges::none_of(kSpaces, has);
}

template <NoteSignatureType Type>
NoteKey<Type>::NoteKey(std::string name, const VerifyKey& key)
    : name_(std::move(name)), key_(key), key_id_(key_id_of(name_, Type, key_)) {
  require(is_valid_note_key_name(name_), "signed note: wrong key name");
}

// Base64 may hold "+", the name and the hexadecimal digits may not: the first two count.
template <NoteSignatureType Type>
NoteKey<Type> NoteKey<Type>::parse(std::string_view text) {
  const auto first = text.find('+');
  const auto second = first == std::string_view::npos ? first : text.find('+', first + 1);
  if (second == std::string_view::npos) bad_vkey("not name+id+key");
  const auto name = text.substr(0, first);
  if (!is_valid_note_key_name(name)) bad_vkey("its name is not allowed");
  const auto id = array_from_hex<sizeof(NoteKeyId)>(text.substr(first + 1, second - first - 1));
  const auto key = from_base64(text.substr(second + 1));
  if (!id || !key || key->empty()) bad_vkey("its id or its key is malformed");
  if (key->front() != static_cast<std::byte>(Type) || key->size() != kVkeySize) bad_vkey(wrong_type(Type));
  NoteKey verifier(std::string(name), {to_array<32>(ByteView(*key).subspan(1))});
  if (verifier.key_id_ != *id) bad_vkey("its id does not belong to its name and key");
  return verifier;
}

template <NoteSignatureType Type>
std::string NoteKey<Type>::encode() const {
  return name_ + "+" + to_hex(key_id_) + "+" + to_base64(key_material(Type, key_));
}

template class NoteKey<NoteSignatureType::kEd25519>;
template class NoteKey<NoteSignatureType::kCosignature>;

std::string NoteSignature::encode() const {
  return std::string(kSignaturePrefix) + key_name + " " + to_base64(concat({key_id, bytes})) + "\n";
}

std::vector<NoteSignature> parse_note_signatures(std::string_view text) {
  std::vector<NoteSignature> signatures;
  LineReader lines(text);
  while (const auto line = lines.next_after(kSignaturePrefix)) {
    if (signatures.size() == kMaxNoteSignatures) bad_note("it has too many signatures");
    signatures.push_back(parse_signature(*line));
  }
  if (!lines.rest().empty()) bad_note("a line among the signatures is no signature");
  if (signatures.empty()) bad_note("it has no signature");
  return signatures;
}

SignedNote SignedNote::sign(std::string text, const std::string& key_name, const SigningKey& key) {
  require(is_note_text(text), "signed note: wrong text");
  const NoteVerifier verifier(key_name, key.verify_key());
  const Signature signature = key.sign_raw(as_bytes(text));
  SignedNote note(std::move(text));
  note.append({key_name, verifier.key_id(), Bytes(signature.begin(), signature.end())});
  return note;
}

void SignedNote::append(NoteSignature signature) {
  require(signatures_.size() < kMaxNoteSignatures, "signed note: too many signatures");
  require(is_valid_note_key_name(signature.key_name) && !signature.bytes.empty(), "signed note: wrong signature");
  signatures_.push_back(std::move(signature));
}

// The last empty line divides text and signatures: the text may have empty lines too.
SignedNote SignedNote::parse(std::string_view text) {
  if (text.size() > kMaxNoteSize) bad_note("it is too long");
  if (!is_note_characters(text)) bad_note("it has characters that it must not have");
  const auto divide = text.rfind("\n\n");
  if (divide == std::string_view::npos) bad_note("it has no signature");
  SignedNote note(std::string(text.substr(0, divide + 1)));
  note.signatures_ = parse_note_signatures(text.substr(divide + 2));
  return note;
}

std::string SignedNote::encode() const {
  std::string text = text_ + "\n";
  for (const NoteSignature& signature : signatures_) text += signature.encode();
  return text;
}

std::optional<VerifiedNote> SignedNote::verify(std::span<const NoteVerifier> known) const {
  VerifiedNote verified{text_, {}};
  for (const NoteSignature& signature : signatures_) {
    const auto key =
        std::ranges::find_if(known, [&](const NoteVerifier& candidate) { return candidate.is_named_by(signature); });
    if (key == known.end() || std::ranges::count(verified.signers, *key) > 0) continue;
    if (!is_signed(*key, text_, signature)) {
      throw Error(Errc::kDamaged, "the signature of " + key->name() + " under the note is not valid");
    }
    verified.signers.push_back(*key);
  }
  if (verified.signers.empty()) return std::nullopt;
  return verified;
}

}  // namespace casevault
