#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "crypto/bytes.h"
#include "crypto/sign.h"

namespace casevault {

/// minisign signatures and public keys (https://jedisct1.github.io/minisign/, "Signature format", "Public key format"),
/// as `minisign -Vm` reads and `minisign -S` writes them. Only the prehashed form ("ED"), which minisign writes since
/// version 0.10: the older one ("Ed") wants the whole message in memory, and is refused with a message that says so.

/// Longest comments in bytes, without what stands before them: what minisign's own buffers hold.
inline constexpr std::size_t kMaxMinisignUntrustedComment = 1003;
inline constexpr std::size_t kMaxMinisignTrustedComment = 8173;
/// No signature file is longer. Bytes.
inline constexpr std::size_t kMaxMinisignFile = 10'000;

/// Names a key; random. minisign shows it as a little-endian number in hexadecimal.
using MinisignKeyId = ByteArray<8>;
std::string to_text(const MinisignKeyId& id);

struct MinisignPublicKey {
  MinisignKeyId id{};
  VerifyKey key;
  bool operator==(const MinisignPublicKey&) const = default;

  /// "RW" and 54 more characters: base64 of "Ed" ‖ id ‖ key. What `minisign -P` takes.
  std::string encode() const;
  /// Exactly such a line, without a newline. @throws Error{kDamaged}
  static MinisignPublicKey parse(std::string_view line);
  /// The contents of a file that `minisign -p` takes.
  std::string encode_file() const;
  /// The same; the line of comment and the last newline may be missing. The comment is dropped: it authenticates
  /// nothing. @throws Error{kDamaged}
  static MinisignPublicKey parse_file(std::string_view text);
};

/// BLAKE2b-512 (RFC 7693) of a message: what is signed.
using MinisignDigest = ByteArray<64>;

class MinisignHasher {
 public:
  MinisignHasher();
  ~MinisignHasher();
  MinisignHasher(MinisignHasher&&) noexcept;
  MinisignHasher& operator=(MinisignHasher&&) noexcept;
  void update(ByteView data);
  /// The digest of everything so far; the object then starts anew.
  MinisignDigest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};
MinisignDigest minisign_digest(ByteView message);

/// One signature file of four lines. Until `verify` has said yes, nothing in it is authenticated.
class MinisignSignature {
 public:
  /// The trusted comment is signed together with the signature.
  /// @pre comments are within their limits, UTF-8, and have no control characters (C0, DEL, C1) other than tab.
  static MinisignSignature sign(const SigningKey& key, const MinisignKeyId& id, const MinisignDigest& message,
                                std::string trusted_comment,
                                std::string untrusted_comment = "signature from casevault");
  /// Strict: four lines, each ended by one newline; comments as for `sign`. What parses encodes back to the same bytes.
  /// @throws Error{kDamaged}; its message tells the old form ("Ed") apart.
  static MinisignSignature parse(std::string_view text);
  std::string encode() const;

  /// Whose key it claims to need.
  const MinisignKeyId& key_id() const { return key_id_; }
  /// Never authenticated.
  const std::string& untrusted_comment() const { return untrusted_comment_; }
  /// The trusted comment, authenticated by `key` as the message is; nullopt for another key id, another message, or a
  /// comment that was changed. It may hold tabs and any printable text: escape it before showing it.
  std::optional<std::string> verify(const MinisignPublicKey& key, const MinisignDigest& message) const;

 private:
  MinisignSignature() = default;
  std::string untrusted_comment_, trusted_comment_;
  MinisignKeyId key_id_{};
  Signature signature_{}, global_signature_{};
};

}  // namespace casevault
