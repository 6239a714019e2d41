#pragma once
#include <set>
#include <string>
#include <vector>

#include "crypto/secret.h"
#include "vault/custody/custodian_state.h"
#include "vault/storage/file.h"

namespace casevault::custodian {

/// One order that can never be undone, with all that is needed to carry it out once more.
struct Tombstone {
  std::int64_t at = 0;  // Unix milliseconds
  std::string statement;
  OrderTerms terms;
  std::vector<CardSignature> signatures;
  std::optional<VerifyKey> key;  // of the device, for a burn
  VaultKey vault{};
  std::vector<VerifyKey> owners;   // of the vault
  std::vector<VerifyKey> signers;  // those of them of whom there was a statement

  /// Also a vault of the same id that is enrolled anew: by one who signed, or by one of the owners who names one that
  /// signed. Anybody can name others as owners of a vault of this id, and destroy it: that is nothing of theirs.
  bool is_about(const VaultId& id, const VerifyKey& by, const std::vector<VerifyKey>& now_owners) const;
  bool is_about(const Vault& vault) const;
};

/// Seals tombstones: an order's reason is for nobody else, and nobody else makes them.
using TombstoneKey = Key<struct TombstonePurpose>;

/// The file `tombstones`: a line for each (base64 of AEAD of canonical JSON), appended and synced before anything is
/// deleted. What it says wins over the store: also over one that was restored from an older copy, and over one that a
/// crash tore.
class Tombstones {
 public:
  /// @throws Error{kDamaged} for a line that is malformed or sealed with another key. A last line without its end was
  /// never acted upon, and is removed.
  static Tombstones open(const Path& data, TombstoneKey key);
  void append(Tombstone tombstone);

  const std::vector<Tombstone>& all() const { return all_; }
  bool is_destroyed(const VaultId& vault) const { return destroyed_.contains(vault); }

 private:
  Tombstones(File file, TombstoneKey key) : file_(std::move(file)), key_(std::move(key)) {}
  void take(Tombstone tombstone);
  File file_;
  TombstoneKey key_;
  std::uint64_t size_ = 0;  // bytes
  std::vector<Tombstone> all_;
  std::set<VaultId> destroyed_;
};

}  // namespace casevault::custodian
