#pragma once
#include <compare>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "crypto/hash.h"
#include "crypto/sign.h"
#include "vault/custody/custodian_allowance.h"
#include "vault/custody/wire.h"

/// The custodian's inside: what it knows, its rules, its store, one function for each endpoint. Terms and numbers:
/// docs/custody-protocol.md.
namespace casevault::custodian {

inline constexpr std::size_t kMaxSecrets = 10'000;  // of a vault, all versions
inline constexpr std::size_t kMaxScopes = 10'000;   // of a vault: users and cases, also those without secrets
inline constexpr std::size_t kForUsers = 9'000;     // of both: the rest is for owners
inline constexpr std::size_t kMaxDevices = 64;      // of a vault, not burned
inline constexpr std::size_t kMaxBurned = 1'024;    // of a vault
inline constexpr std::size_t kMaxOwners = 64;
inline constexpr std::uint32_t kMaxTries = 10;

/// What a vault is known by in here, made when it is enrolled: its id is no secret, and anybody with an invitation may
/// enrol the same.
using VaultKey = ByteArray<16>;
struct VaultName {
  VaultId id{};
  VaultKey key{};
};

enum class State { kActive, kLocked, kDestroyed };
enum class LockCause { kOrder, kSilence, kDuress };

/// The newest signed statement about something: an older one changes nothing any more.
struct Stamp {
  std::int64_t time = 0;  // as it says itself, Unix milliseconds
  Sha256Digest hash{};    // of the statement
  bool operator==(const Stamp&) const = default;
};

struct Policy {
  VaultId vault{};
  VerifyKey to;  // the custodian it is for
  std::vector<VerifyKey> cards;
  std::vector<VerifyKey> owners;
  std::uint32_t index = 0;  // x of this custodian's shares
  std::uint32_t quorum = 0;
  std::uint32_t threshold = 0;
  std::int64_t lease_ms = 0;  // 0: none
  std::string log;            // verifier key of the vault's checkpoints; empty: none
  Stamp stamp;
};

struct Device {
  CustodyId id{};
  VerifyKey key;
  std::uint64_t burned_by = 0;  // number of the order; 0: not burned
};

using Devices = std::map<CustodyId, Device>;

enum class SecretType { kOprf, kShare };
struct SecretName {
  SecretType type = SecretType::kShare;
  std::uint32_t version = 0;
  auto operator<=>(const SecretName&) const = default;
};
/// All of a secret but its scalar, which stays in the store.
struct Secret {
  VerifyKey by;      // deposited it
  VerifyKey user;    // signs confirmations; only with an oprf secret
  VerifyKey duress;  // likewise
};

/// The last confirmation of a user and what it was answered.
struct Confirmation {
  Stamp stamp;
  std::uint32_t unconfirmed = 0;
  std::int64_t since = 0;
  std::int64_t answered = 0;  // Unix milliseconds
};

/// A user or a case.
struct Scope {
  ScopeKind kind = ScopeKind::kCase;
  State state = State::kActive;
  std::uint32_t tries = 0;   // unconfirmed evaluations since the last unlock order
  std::uint32_t lifted = 0;  // those before it: no hindrance any more, but not to be forgotten
  std::int64_t since = 0;    // the first of them all, Unix milliseconds
  Stamp stamp;               // of the newest deposit
  Confirmation confirmed;
  std::map<SecretName, Secret> secrets;
};

enum class OrderType { kLock, kUnlock, kDestroy, kBurn };
struct OrderTerms {
  VaultId vault{};
  OrderType type = OrderType::kLock;
  std::optional<ScopeKind> kind;  // none: the vault
  CustodyId id{};
  std::int64_t issued = 0;
  std::int64_t expires = 0;
};
struct CardSignature {
  VerifyKey card;
  Signature signature{};
};
/// Device and stage.
using GuardStage = std::pair<ByteArray<32>, std::string>;
struct Order {
  std::string statement;
  OrderTerms terms;
  std::vector<CardSignature> signatures;  // of different cards; the first brought the order
  std::uint64_t number = 0;               // 0: still waiting for signatures
  std::int64_t done = 0;                  // Unix milliseconds
  std::string receipt;                    // of what was done
  std::map<GuardStage, std::string> guard_receipts;
  bool is_done() const { return number != 0; }
};

struct Vault {
  VaultId id{};
  VaultKey key{};
  WireStatement policy_text;
  Policy policy;
  Stamp devices_stamp;
  State state = State::kActive;
  LockCause cause = LockCause::kOrder;  // where it is locked
  CustodyId duress_user{};              // where duress is the cause
  std::int64_t seen = 0;                // the newest sign of life, Unix milliseconds
  std::int64_t stored_seen = 0;         // the one on the disk
  Devices devices;
  std::map<CustodyId, Scope> scopes;
  std::map<Sha256Digest, Order> orders;
  std::map<std::uint64_t, Sha256Digest> done;  // orders by their numbers
  std::map<ByteArray<32>, Spent> puts;         // by users, who are no owners
  std::map<ByteArray<32>, Spent> logged_by;    // bytes of the log that devices caused
  Spent logged;                                // and all together
  VaultName name() const { return {id, key}; }
  std::uint64_t newest() const { return done.empty() ? 0 : done.rbegin()->first; }
};

using Vaults = std::map<std::pair<VaultId, VaultKey>, Vault>;
/// Those of this id.
std::vector<Vault*> vaults_named(Vaults& vaults, const VaultId& id);

std::string_view to_string(State state);
std::string_view to_string(OrderType type);
std::string_view to_string(SecretType type);
std::optional<SecretType> parse_secret_type(std::string_view text);

/// The device of this key, burned ones too; nullptr when there is none.
const Device* find_device(const Devices& devices, const VerifyKey& key);
bool is_owner(const Vault& vault, const VerifyKey& key);
bool is_card(const Vault& vault, const VerifyKey& key);
/// The owners of whom it has a statement: anybody can be named by others.
std::vector<VerifyKey> owners_who_signed(const Vault& vault);
/// The user of whom this is a user key on file; nullptr when there is none.
const Scope* find_user(const Vault& vault, const VerifyKey& key);
std::size_t count_secrets(const Vault& vault);
/// Users or cases that have a secret here, or had one that an order destroyed.
std::size_t count_scopes(const Vault& vault, ScopeKind kind);

}  // namespace casevault::custodian
