#pragma once
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "crypto/merkle.h"
#include "crypto/ristretto.h"
#include "vault/access/identity.h"
#include "vault/storage/chain.h"
#include "vault/storage/sharing_state.h"

namespace casevault {

struct User {
  UserKeys keys;
  Role role = Role::kMember;
  bool active = true;
  std::size_t slot = 0;
  std::uint32_t generation = 0;  // of the slot
  Sha256Digest slot_hash{};
  std::optional<std::size_t> spare_slot;  // a second one that the user keeps
  Sha256Digest spare_hash{};
  std::uint32_t slot_custody = 0;         // the custody epoch that the slot opens under; 0: by the passphrase alone
  std::optional<Sha256Digest> role_keys;  // sealed keys of owners and auditors, in the table `sealed`
  UserId approved_by{};
  std::int64_t since_ms = 0;
  std::int64_t removed_ms = 0;         // 0 while active
  std::uint64_t removed_log_size = 0;  // the removal cites this; what they signed must cite less
};

struct Grant {
  UserId user{};
  Right right = Right::kRead;
  std::uint32_t epoch = 0;
  UserId granter{};
  std::int64_t time_ms = 0;
  std::uint64_t log_size = 0;  // in force for statements that cite at least this
  Sha256Digest sealed_key{};   // hash of the case key sealed to the user's box key
};

/// The trustees' shares that are in force: who holds enough of them has this identity.
struct RecoverySet {
  std::uint16_t identifier = 0;  // of SLIP-0039; the words of every share begin with it
  std::uint32_t threshold = 0;
  std::uint32_t count = 0;
  UserKeys keys;             // of nobody in the vault
  std::uint64_t change = 0;  // number of the change that put it in force
  std::int64_t since_ms = 0;
  UserId by{};                // the owner who made it
  bool used = false;          // the shares were put together to recover: make new ones
  bool keys_current = false;  // the role keys and the organisation's are sealed to it as they are today
  Sha256Digest role_keys{};   // hashes of sealed blobs
  Sha256Digest organisation{};
  // The last rehearsal that somebody in the vault signed for; 0: none.
  std::int64_t rehearsed_ms = 0;
  UserId rehearsed_by{};
  std::uint32_t rehearsed_shares = 0;
};

struct CaseEntry {
  CaseId id{};
  std::int64_t number = 0;  // C-n
  UserId creator{};
  std::int64_t created_ms = 0;
  std::uint32_t epoch = 0;                   // current; 0 before the first
  Sha256Digest title{};                      // hash of the sealed title
  std::uint32_t custody_epoch = 0;           // of the custodians that the current epoch's database key takes; 0: none
  std::optional<Element> share;              // commits to what they hold of it; exactly with a custody epoch
  ChainHead head;                            // of the case's chain, as last published
  std::uint64_t epoch_change = 0;            // number of the change that began the current epoch
  std::optional<Sha256Digest> recovery_key;  // hash of what is sealed of this epoch to the recovery set in force
  bool opens_for_former_set = false;         // an earlier recovery set was given this epoch's key
  std::uint64_t head_log_size = 0;           // what that head's statement cites
  bool closed = false;
  std::uint64_t closed_log_size = 0;
  std::map<std::uint32_t, std::uint64_t> epoch_ends;  // epoch → what the statement that ended it cites
  std::vector<Grant> grants;                          // of all epochs, in order
};

/// What the catalogue's chain says, replayed in order: every statement is checked against the state before it
/// (signature, role, right), so the store is trusted for nothing. No I/O.
///
/// The statements (docs/format.md section 7), all with "by", "time", "log_size", "log_root":
///   found       organisation, user, certificate (by the root key), slot, header hash; the first one, by the first
///   owner user        user, role, slot, handover; by an owner remove      user; by an owner slot        slot,
///   generation, hash; by the user whose it is epoch       catalogue epoch, header, handover, role keys; by an owner
///   case        case, number; by an owner or member
///   case-epoch  case, epoch, title, grants; the first by the creator; later ones by somebody who may add, re-granting
///               nobody more than they had; leaving out an active user takes the manage right
///   grant       case, epoch, user, right, key; by somebody who may manage
///   case-head   case, epoch, count, hash; by somebody who may add
///   close       case; by somebody who may manage
///   recovery    set, threshold, count, its keys; by an owner
///   recovery-keys  role keys and organisation's keys, sealed to the set in force; by an owner
///   recovery-case  case, epoch, set, key; by somebody who may add, once for each epoch and set
///   rehearsal   set, shares; by a user
///   recover     user, slot, handover, keys, cases; by the recovery set in force: puts everybody out, lets one owner in
///   organisation, organisation-key, contact, contact-remove, share, receipt, receive: SharingState
class CatalogState {
 public:
  CatalogState(const VaultId& vault, const VerifyKey& root) : vault_(vault), root_(root) {}

  /// @throws Error{kDamaged} naming the change, when it is not what that person could do at that point.
  /// `check_signature` is false only for heads that a later one supersedes; `verify` checks all.
  void apply(const Change& change, bool check_signature = true);

  const VaultId& vault() const { return vault_; }
  const VerifyKey& root() const { return root_; }
  const ChainHead& head() const { return head_; }
  const std::string& organisation() const { return organisation_; }
  std::uint32_t epoch() const { return epoch_; }
  /// 0 without custody.
  std::uint32_t custody_epoch() const { return custody_epoch_; }
  std::uint32_t newest_custody_epoch() const { return newest_custody_epoch_; }
  const Sha256Digest& header_hash() const { return header_hash_; }
  const Sha256Digest& handover_hash() const { return handover_hash_; }
  /// Of the custodians who hold a half of the catalogue key, so far as it is handed over; 0: nobody does.
  std::uint32_t handover_custody() const { return handover_custody_; }
  const std::map<UserId, User>& users() const { return users_; }
  const std::map<std::int64_t, CaseEntry>& cases() const { return cases_; }
  const LogCite& last_cite() const { return last_cite_; }
  /// nullopt without trustees.
  const std::optional<RecoverySet>& recovery() const { return recovery_; }
  bool had_recovery_set(std::uint16_t identifier) const;
  /// Who they are together, for what is handed over.
  std::optional<UserKeys> trustees() const;
  /// The organisation's own keys, its contacts, bundles.
  const SharingState& sharing() const { return sharing_; }
  /// Hashes of slots that were given up; none of them should lie in the file any more.
  const std::vector<Sha256Digest>& former_slots() const { return former_slots_; }

  /// nullptr when there is none; also removed users.
  const User* find_user(const UserId& id) const;
  /// Only active users.
  const User* find_user(std::string_view name) const;
  const CaseEntry* find_case(std::int64_t number) const;
  const CaseEntry* find_case(const CaseId& id) const;
  std::vector<const User*> active_users() const;
  std::optional<std::size_t> free_slot(std::uint64_t random) const;

  /// The grant in force in the case's current epoch; nullptr when there is none or the user is not active.
  const Grant* grant_of(const CaseEntry& entry, const UserId& user) const;
  /// What a statement of `epoch` that cites `log_size` could rely on: the last grant of that epoch before it, provided
  /// that neither the epoch nor the user's time in the vault was over. nullopt: no right.
  std::optional<Right> right_at(const CaseEntry& entry, std::uint32_t epoch, const UserId& user,
                                std::uint64_t log_size) const;
  /// Somebody removed from the vault still holds the current case key, or the case is not under custody as the vault
  /// is.
  bool needs_rotation(const CaseEntry& entry) const;

 private:
  struct Context;
  void found(Context& context);
  void add_user(Context& context);
  void remove_user(Context& context);
  void move_slot(Context& context);
  void new_epoch(Context& context);
  void custody(Context& context);
  void keep_slot(Context& context);
  void new_case(Context& context);
  void new_case_epoch(Context& context);
  void grant(Context& context);
  void case_head(Context& context);
  void close(Context& context);
  void sharing(Context& context);
  void recovery(Context& context);
  void recovery_keys(Context& context);
  void recovery_case(Context& context);
  void rehearsal(Context& context);
  void recover(Context& context);
  void put_everybody_out(Context& context);
  void grant_covered_cases(Context& context, const UserId& to);
  CaseEntry& case_of(Context& context);
  void take_slot(Context& context, User& user);
  bool slot_is_taken(std::size_t slot) const;
  void check_role_keys(Context& context, bool header_changed);

  VaultId vault_;
  VerifyKey root_;
  ChainHead head_;
  LogCite last_cite_;
  std::string organisation_;
  std::uint32_t epoch_ = 0;
  std::uint32_t custody_epoch_ = 0;
  std::uint32_t newest_custody_epoch_ = 0;
  bool removal_open_ = false;  // a removal that the new catalogue epoch must follow
  Sha256Digest header_hash_{};
  Sha256Digest handover_hash_{};
  std::uint32_t handover_custody_ = 0;
  std::map<UserId, User> users_;
  std::vector<Sha256Digest> former_slots_;
  std::map<std::int64_t, CaseEntry> cases_;
  SharingState sharing_;
  std::optional<RecoverySet> recovery_;
  std::vector<std::uint16_t> recovery_sets_;  // all that were ever in force
};

nlohmann::json user_to_json(const UserKeys& keys);
/// Strict. @throws Error{kDamaged} naming `what`.
UserKeys user_from_json(const nlohmann::json& object, const std::string& what);
inline constexpr std::string_view kRootCertificateDomain = "casevault/v1/root-certificate";
/// What the root key signs for the first owner.
Bytes root_certificate_message(const VaultId& vault, const UserKeys& keys);

}  // namespace casevault
