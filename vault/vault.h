#pragma once
#include <memory>
#include <string>
#include <vector>

#include "crypto/secret.h"
#include "vault/access/identity.h"
#include "vault/environment.h"
#include "vault/storage/file.h"
#include "vault/storage/header.h"

namespace casevault {

class AuditLog;
class BodyStore;
class Catalog;
class CatalogState;
struct SessionKeys;
struct SessionParts;

/// What opens one user's slot: all that a guard has to keep so that a session can be had again without a passphrase.
struct SlotAccess {
  std::string user;
  SlotKey key;
  std::uint32_t custody_epoch = 0;         // of the custodians who helped with it; 0: the passphrase alone
  std::optional<PassphraseKey> stretched;  // until the first session, which may have to re-seal the slot
  /// For one more session, without a passphrase.
  SlotAccess clone() const { return {user, key.clone(), custody_epoch, std::nullopt}; }
};

/// Who may bring a vault back together: `threshold` of `count` shares, their sheets written to a new folder.
struct TrusteePlan {
  std::uint32_t threshold = 0;  // 2 … count
  std::uint32_t count = 0;      // up to 16
  Path sheets;
};

struct NewVault {
  std::string organisation;                            // kept in the catalogue, never in the clear
  std::string user;                                    // the first owner's name
  std::optional<TrusteePlan> trustees = std::nullopt;  // none: without a passphrase everything is lost
};

/// A vault unlocked by one user. Everything that shows or changes something goes through here and is logged first.
class Session {
 public:
  Session(Session&&) noexcept;
  ~Session();

  const std::string& user_name() const;
  UserId user_id() const;
  Role role() const;
  const Path& folder() const;  // where its files are
  const Path& place() const;   // what people call it
  const Environment& environment() const;
  const CatalogState& state() const;  // users, cases, grants: replayed and checked
  /// Things the user must hear of: a log that does not match, a file that was put back. Plain sentences.
  const std::vector<std::string>& warnings() const;
  void warn(std::string sentence);

  /// Appends one audit entry (several when `objects` is long), synced before it returns. `objects` names cases and
  /// records
  /// ("C-1/E-3"), never titles or file names. @throws Error{kAuditUnavailable}: then nothing may be shown.
  void record(std::string_view action, std::string_view objects, std::string_view outcome = "done");
  /// Logs the refusal, then throws Error{kNotAllowed, message}.
  [[noreturn]] void refuse(std::string_view action, std::string_view objects, const std::string& message);

  // For the modules of the vault.
  Catalog& catalog();
  AuditLog& log();
  const Identity& identity() const;
  const BodyStore& bodies() const;
  SessionKeys& keys();

 private:
  friend class Vault;
  explicit Session(std::unique_ptr<SessionParts> parts);
  std::unique_ptr<SessionParts> parts_;
};

class Vault {
 public:
  /// Makes a new vault in `folder`, which must be missing or empty. It appears whole or not at all.
  /// @throws Error{kUsage} when there is something in it.
  static void create(const Path& folder, const NewVault& choices, const SecretBytes& passphrase,
                     const Environment& environment);
  /// Reads the public header. @throws Error: kNoVault, kDamaged; kDestroyed, after going on with what was left of it.
  static Vault open(const Path& folder, const Environment& environment);

  const Header& header() const { return header_; }
  const Path& folder() const { return folder_; }
  const Environment& environment() const { return environment_; }

  /// One Argon2id run, then all 64 slots. A failure is logged too.
  /// @throws Error: kWrongPassphrase, kNotAllowed (not yet approved, or removed), kDamaged, kAuditUnavailable, kBusy.
  Session unlock(const std::string& user, const SecretBytes& passphrase);
  /// The expensive half of it: Argon2id, and whoever else must agree. It is not known yet whether a slot opens.
  SlotAccess slot_access(const std::string& user, const SecretBytes& passphrase) const;
  /// The other half. Where custody began, ended or moved since, the slot is re-sealed and `access` renewed.
  Session unlock(SlotAccess& access);

  /// Asks to be let in: makes the user's keys and leaves a request that owners can read. Returns the fingerprint of the
  /// keys, to be compared aloud before approval. @throws Error{kUsage} for an unusable name.
  std::string request_to_join(const std::string& user, const SecretBytes& passphrase);

 private:
  Vault(Path folder, Environment environment, Header header);
  Path folder_;
  Environment environment_;
  Header header_;
};

}  // namespace casevault
