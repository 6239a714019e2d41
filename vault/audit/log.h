#pragma once
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "crypto/merkle.h"
#include "vault/access/identity.h"
#include "vault/environment.h"
#include "vault/storage/catalog_state.h"

namespace casevault {

inline constexpr std::size_t kAuditRecordSize = 512;  // bytes; fixed, so that damage to one record hides no other

/// What one entry says. `objects` names cases, records and users ("C-1/E-3"), never titles or file names.
struct AuditEvent {
  std::string action;
  std::string objects;  // cut into several entries by Session::record where it is long
  std::string outcome;
};

inline constexpr std::uint64_t kAuditReserveSize = 1u << 20;  // bytes of `audit/reserve`

/// At most this many bytes of `objects` fit one entry.
inline constexpr std::size_t kMaxAuditObjects = 56;

/// An entry read back by an auditor.
struct OpenedEntry {
  std::optional<UserId> by;  // none where nobody was unlocked
  std::int64_t time_ms = 0;
  std::string device;
  AuditEvent event;
  bool signature_checked = false;  // by `by`'s key; always false without `by`
  bool follows = false;            // it was written over exactly the records that lie before it
};

/// The file `audit/log`: sealed records of 512 bytes, appended and synced under a lock, leaves of an RFC 6962 tree.
/// Anybody can compute the tree; only the holder of the audit secret key reads entries (docs/format.md section 9).
class AuditLog {
 public:
  /// @pre the folder `audit` exists.
  static void create(const Path& folder);
  /// Reads and hashes the whole file. @throws Error{kDamaged} when it is missing.
  static AuditLog open(const Path& folder, const VaultId& vault, const BoxPublicKey& audit_key,
                       const Environment& environment);

  /// Takes in what other processes have appended.
  void refresh() { catch_up(); }
  /// The tree as far as this process has seen it.
  LogCite head() const { return {leaves_.size(), frontier_.root()}; }
  TreeHash root_at(std::uint64_t size) const;
  /// Roots at many sizes in one pass. Sizes beyond the log are left out.
  std::map<std::uint64_t, TreeHash> roots_at(const std::set<std::uint64_t>& sizes) const;

  /// Appends one entry and syncs it. `actor` signs; without one (a failed unlock) the entry is sealed all the same.
  /// `state` seals the catalogue's head into the record, for those who hold the catalogue key.
  /// @throws Error{kAuditUnavailable} when it cannot be written: then nothing may be shown.
  struct State {
    const StateKey& key;
    ChainHead head;
  };
  void append(const AuditEvent& event, const Identity* actor, const State* state);

  /// The newest catalogue head that a record was written under; nullopt when no record opens with this key.
  std::optional<ChainHead> newest_state(const StateKey& key) const;
  /// The head that record `index` was written under.
  std::optional<ChainHead> state_at(std::uint64_t index, const StateKey& key) const;

  /// Of the records, in order.
  std::span<const TreeHash> leaf_hashes() const { return leaves_; }
  /// A record and the key that opens the entry in it and no other. nullopt when none of `keys` opens it.
  /// @pre index < head().size
  struct Disclosure {
    ByteArray<kAuditRecordSize> record{};
    AuditEntryKey entry_key;
    std::optional<UserId> by;  // none where nobody was unlocked
  };
  std::optional<Disclosure> disclosure(std::uint64_t index, const std::vector<BoxKeyPair>& keys,
                                       const CatalogState& users) const;

  /// Every record in order; nullopt for one that was not sealed to any of `keys`, or is damaged.
  using Visitor = std::function<void(std::uint64_t index, const std::optional<OpenedEntry>& entry)>;
  void read_all(const std::vector<BoxKeyPair>& keys, const CatalogState& users, const Visitor& visit) const;

 private:
  AuditLog(File file, Path reserve, const VaultId& vault, const BoxPublicKey& audit_key,
           const Environment& environment);
  void catch_up();
  void write_record(ByteView record);
  bool free_some_reserve() noexcept;
  Bytes record_at(std::uint64_t index) const;
  Bytes compose(const AuditEvent& event, const Identity* actor, const State* state) const;

  File file_;
  Path reserve_;
  VaultId vault_;
  Environment environment_;
  AuditSessionKey session_key_;
  Bytes sealed_session_key_;
  std::vector<TreeHash> leaves_;
  MerkleFrontier frontier_;
};

}  // namespace casevault
