#include "crypto/minisign.h"

#include <algorithm>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/sodium_util.h"
#include "crypto/text_lines.h"

namespace casevault {
namespace {

constexpr std::string_view kUntrusted = "untrusted comment: ";
constexpr std::string_view kTrusted = "trusted comment: ";
constexpr std::string_view kKeyAlgorithm = "Ed";  // and of signatures that are not prehashed
constexpr std::string_view kPrehashed = "ED";
constexpr std::size_t kAlgorithmSize = 2;
constexpr std::size_t kPublicKeySize = kAlgorithmSize + sizeof(MinisignKeyId) + sizeof(VerifyKey::bytes);  // 42 bytes
constexpr std::size_t kSignatureSize = kAlgorithmSize + sizeof(MinisignKeyId) + sizeof(Signature);         // 74 bytes

[[noreturn]] void bad_key(const char* why) {
  throw Error(Errc::kDamaged, std::string("this is no minisign public key: ") + why);
}
[[noreturn]] void bad_signature(const char* why) {
  throw Error(Errc::kDamaged, std::string("the minisign signature is damaged: ") + why);
}

// C1 controls are U+0080 to U+009F: C2 80 to C2 9F.
bool has_control_character(std::string_view text) {
  const auto is_c0_or_del = [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; };
  const auto is_c1 = [](char lead, char next) { return lead == '\xC2' && static_cast<unsigned char>(next) < 0xA0; };
  return std::ranges::any_of(text, is_c0_or_del) || std::ranges::adjacent_find(text, is_c1) != text.end();
}

bool is_comment(std::string_view text, std::size_t max) {
  return text.size() <= max && is_well_formed_utf8(text) && !has_control_character(text);
}

// Binds the comment to this signature, and so to the message.
Bytes globally_signed(const Signature& signature, std::string_view trusted_comment) {
  return concat({signature, as_bytes(trusted_comment)});
}

std::string take_comment(LineReader& lines, std::string_view prefix, std::size_t max) {
  const auto comment = lines.next_after(prefix);
  if (!comment) bad_signature("a line of comment is missing");
  if (!is_comment(*comment, max)) bad_signature("a comment is too long, or has characters that it must not have");
  return std::string(*comment);
}

template <std::size_t N>
ByteArray<N> take_base64(LineReader& lines) {
  const auto line = lines.next();
  const auto bytes = line ? array_from_base64<N>(*line) : std::nullopt;
  if (!bytes) bad_signature("a signature is missing, or not written as it should be");
  return *bytes;
}

void require_prehashed(std::string_view algorithm) {
  if (algorithm == kPrehashed) return;
  if (algorithm != kKeyAlgorithm) bad_signature("its algorithm is unknown");
  throw Error(Errc::kDamaged,
              "this minisign signature is of the old form (\"Ed\", not prehashed), which casevault does not accept",
              "have it signed again with minisign 0.10 or newer, or with minisign -SH");
}

}  // namespace

std::string to_text(const MinisignKeyId& id) {
  MinisignKeyId reversed = id;
  std::ranges::reverse(reversed);
  std::string text = to_hex(reversed);
  std::ranges::transform(text, text.begin(), [](char c) { return c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c; });
  return text;
}

std::string MinisignPublicKey::encode() const { return to_base64(concat({as_bytes(kKeyAlgorithm), id, key.bytes})); }

MinisignPublicKey MinisignPublicKey::parse(std::string_view line) {
  const auto decoded = array_from_base64<kPublicKeySize>(line);
  if (!decoded) bad_key("not 42 bytes in base64");
  const ByteView bytes = *decoded;
  if (as_text(bytes.first(kAlgorithmSize)) != kKeyAlgorithm) bad_key("its algorithm is unknown");
  return {to_array<8>(bytes.subspan(kAlgorithmSize)), {to_array<32>(bytes.subspan(kAlgorithmSize + 8))}};
}

std::string MinisignPublicKey::encode_file() const {
  return std::string(kUntrusted) + "minisign public key " + to_text(id) + "\n" + encode() + "\n";
}

MinisignPublicKey MinisignPublicKey::parse_file(std::string_view text) {
  LineReader lines(text);
  const auto comment = lines.next_after(kUntrusted);
  if (comment && !is_comment(*comment, kMaxMinisignUntrustedComment)) bad_key("its comment is malformed");
  const auto rest = lines.rest();
  return parse(rest.ends_with('\n') ? rest.substr(0, rest.size() - 1) : rest);
}

struct MinisignHasher::State {
  State() { start(); }
  void start() {
    const int status = crypto_generichash_blake2b_init(&state.value, nullptr, 0, sizeof(MinisignDigest));
    require(status == 0, "BLAKE2b failed");
  }
  Wiped<crypto_generichash_blake2b_state> state;
};

MinisignHasher::MinisignHasher() : state_(std::make_unique<State>()) {}
MinisignHasher::~MinisignHasher() = default;
MinisignHasher::MinisignHasher(MinisignHasher&&) noexcept = default;
MinisignHasher& MinisignHasher::operator=(MinisignHasher&&) noexcept = default;

void MinisignHasher::update(ByteView data) {
  const int status = crypto_generichash_blake2b_update(&state_->state.value, raw_not_null(data), data.size());
  require(status == 0, "BLAKE2b failed");
}

MinisignDigest MinisignHasher::finish() {
  MinisignDigest digest;
  const int status = crypto_generichash_blake2b_final(&state_->state.value, raw(digest), digest.size());
  require(status == 0, "BLAKE2b failed");
  state_->start();
  return digest;
}

MinisignDigest minisign_digest(ByteView message) {
  MinisignHasher hasher;
  hasher.update(message);
  return hasher.finish();
}

MinisignSignature MinisignSignature::sign(const SigningKey& key, const MinisignKeyId& id, const MinisignDigest& message,
                                          std::string trusted_comment, std::string untrusted_comment) {
  require(is_comment(trusted_comment, kMaxMinisignTrustedComment), "minisign: wrong trusted comment");
  require(is_comment(untrusted_comment, kMaxMinisignUntrustedComment), "minisign: wrong untrusted comment");
  MinisignSignature made;
  made.untrusted_comment_ = std::move(untrusted_comment);
  made.trusted_comment_ = std::move(trusted_comment);
  made.key_id_ = id;
  made.signature_ = key.sign_raw(message);
  made.global_signature_ = key.sign_raw(globally_signed(made.signature_, made.trusted_comment_));
  return made;
}

MinisignSignature MinisignSignature::parse(std::string_view text) {
  if (text.size() > kMaxMinisignFile) bad_signature("it is too long");
  LineReader lines(text);
  MinisignSignature parsed;
  parsed.untrusted_comment_ = take_comment(lines, kUntrusted, kMaxMinisignUntrustedComment);
  const auto signature = take_base64<kSignatureSize>(lines);
  const ByteView bytes = signature;
  require_prehashed(as_text(bytes.first(kAlgorithmSize)));
  parsed.key_id_ = to_array<8>(bytes.subspan(kAlgorithmSize));
  parsed.signature_ = to_array<64>(bytes.subspan(kAlgorithmSize + 8));
  parsed.trusted_comment_ = take_comment(lines, kTrusted, kMaxMinisignTrustedComment);
  parsed.global_signature_ = take_base64<sizeof(Signature)>(lines);
  if (!lines.rest().empty()) bad_signature("something stands behind its four lines");
  return parsed;
}

std::string MinisignSignature::encode() const {
  std::string text(kUntrusted);
  text += untrusted_comment_ + "\n";
  text += to_base64(concat({as_bytes(kPrehashed), key_id_, signature_})) + "\n";
  text.append(kTrusted) += trusted_comment_ + "\n";
  return text + to_base64(global_signature_) + "\n";
}

std::optional<std::string> MinisignSignature::verify(const MinisignPublicKey& key,
                                                     const MinisignDigest& message) const {
  if (key.id != key_id_ || !verify_raw(key.key, message, signature_) ||
      !verify_raw(key.key, globally_signed(signature_, trusted_comment_), global_signature_)) {
    return std::nullopt;
  }
  return trusted_comment_;
}

}  // namespace casevault
