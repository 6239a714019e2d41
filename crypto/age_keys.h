#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "crypto/age_header.h"
#include "crypto/age_scrypt.h"
#include "crypto/secret.h"

namespace casevault {

enum class AgeKeyKind {
  kX25519,
  kHybrid,      ///< post-quantum: ML-KEM-768 and X25519. Needs a casevault built with libsodium 1.0.22 or newer
  kPassphrase,  ///< scrypt
};

/// For whom an age file is written.
class AgeRecipient {
 public:
  /// "age1…" or "age1pq1…". @throws Error{kUsage} for anything else, a key that nothing can be sealed to, or a
  /// post-quantum one that this build cannot do.
  static AgeRecipient from_text(std::string_view text);
  /// Must be the only recipient. @throws Error{kUsage} when it is empty. @pre 1 <= work_factor <= 20; lower than the
  /// default is for tests.
  static AgeRecipient from_passphrase(const SecretBytes& passphrase, unsigned work_factor = kAgeScryptWorkFactor);

  AgeKeyKind kind() const { return kind_; }
  /// As from_text takes it. @pre not a passphrase
  std::string text() const;
  /// The file key, sealed for this recipient. @throws Error{kInternal} when there is no memory for scrypt.
  AgeStanza wrap(const FileKey& file_key) const;

 private:
  friend class AgeIdentity;
  AgeRecipient(AgeKeyKind kind, Bytes public_key) : kind_(kind), public_key_(std::move(public_key)) {}

  AgeKeyKind kind_;
  Bytes public_key_;  // of the size that the kind has; empty for a passphrase
  SecretBytes passphrase_;
  unsigned work_factor_ = 0;
};

/// An X25519 secret key, or the seed of a post-quantum one.
using AgeSecretKey = Key<struct AgeSecretPurpose>;

/// What opens an age file.
class AgeIdentity {
 public:
  /// A new X25519 or post-quantum one. @pre kind is not kPassphrase @throws Error{kUsage} for a post-quantum one that
  /// this build cannot do.
  static AgeIdentity random(AgeKeyKind kind = AgeKeyKind::kX25519);
  static AgeIdentity from_key(AgeKeyKind kind, const AgeSecretKey& key);
  /// "AGE-SECRET-KEY-1…" or "AGE-SECRET-KEY-PQ-1…". @throws Error{kUsage} for anything else, or a post-quantum one that
  /// this build cannot do.
  static AgeIdentity from_text(const SecretBytes& text);
  /// @throws Error{kUsage} when it is empty.
  static AgeIdentity from_passphrase(const SecretBytes& passphrase);

  AgeKeyKind kind() const { return kind_; }
  /// As from_text takes it. @pre not a passphrase
  SecretBytes text() const;
  /// @pre not a passphrase
  AgeRecipient recipient() const;
  /// nullopt when none of the stanzas is for this identity. What comes out is authentic only once the header's MAC was
  /// compared. @throws AgeError{kHeader} for a stanza of this identity's type that is malformed; Error{kInternal} when
  /// there is no memory for scrypt.
  std::optional<FileKey> unwrap(std::span<const AgeStanza> stanzas) const;

 private:
  AgeIdentity(AgeKeyKind kind, SecretBytes secret) : kind_(kind), secret_(std::move(secret)) {}
  std::span<const std::byte, AgeSecretKey::kSize> key() const;

  AgeKeyKind kind_;
  SecretBytes secret_;  // a passphrase, or AgeSecretKey::kSize bytes
};

}  // namespace casevault
