#pragma once
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "vault/records/record.h"
#include "vault/storage/catalog_state.h"
#include "vault/storage/chain.h"

namespace casevault {

class Catalog;

/// A change of somebody's chain, taken out of it: checkable with what it links to (docs/format.md section 7).
struct SignedStatement {
  Sha256Digest previous{};  // hash of the change before it
  std::uint64_t number = 0;
  Signature signature{};
  std::string statement;
  Change change() const;
};

nlohmann::json to_json(const SignedStatement& statement);
/// Strict. @throws Error{kDamaged} naming `what`.
SignedStatement signed_statement_from_json(const nlohmann::json& object, const std::string& what);

/// What strangers need to check the signatures of one vault's people: the statements that let them in and put them out.
struct VaultCertificates {
  VaultId vault{};
  VerifyKey root;
  std::vector<SignedStatement> statements;  // in the order of the chain: found, user…, remove…
};

/// The certificates of the given users of our own vault, of the owners who let them in, and every removal.
VaultCertificates own_certificates(const Catalog& catalog, const std::vector<UserId>& users);

nlohmann::json to_json(const VaultCertificates& certificates);
VaultCertificates vault_certificates_from_json(const nlohmann::json& object, const std::string& what);

/// The people of a vault that is not ours, as far as its certificates tell. What it does not authenticate: that the
/// root key is the organisation's (compare its fingerprint), that nobody else was removed.
class ForeignVault {
 public:
  /// Checks every statement against the root key and those before it. @throws Error{kDamaged} naming `what`.
  ForeignVault(const VaultCertificates& certificates, const std::string& what);

  struct Person {
    UserKeys keys;
    Role role = Role::kMember;
    std::optional<std::uint64_t> removed_log_size;  // what they sign must cite less
  };
  const std::string& organisation() const { return organisation_; }
  const VaultId& vault() const { return vault_; }
  const VerifyKey& root() const { return root_; }
  /// nullptr when the certificates do not speak of them.
  const Person* find(const UserId& id) const;
  const std::map<UserId, Person>& people() const { return people_; }
  /// Users put out of the vault, also ones without a certificate here, with the log size that the removal cites.
  const std::map<UserId, std::uint64_t>& removed() const { return removed_; }
  /// What was learned from another bundle of the same vault.
  void learn_removals(const std::map<UserId, std::uint64_t>& removed);

 private:
  void apply(const SignedStatement& statement, const std::string& what);
  void remove(const UserId& user, std::uint64_t log_size);
  void recover(const nlohmann::json& statement, std::uint64_t log_size, const std::string& what);
  VaultId vault_{};
  VerifyKey root_;
  std::string organisation_;
  std::map<UserId, Person> people_;
  std::optional<UserKeys> trustees_;  // whose shares were in force when the vault was recovered
  std::map<UserId, std::uint64_t> removed_;
};

/// One organisation's word on a version: either a signed statement of its vault, or, where it used stock tools, what
/// the receiver took from its signed bag.
struct Hop {
  std::optional<Sha256Digest> bundle;  // by which it left that organisation; none: the one it is in
  // A vault's:
  std::optional<SignedStatement> statement;
  VaultId vault{};
  std::int64_t case_number = 0;  // C-n there
  std::string details;           // canonical JSON, as signed
  // A bag's:
  std::string sign;  // minisign public key
  std::string path;  // in the bag
};
/// Canonical JSON array, oldest first: its SHA-256 is a version's `origin`.
std::string encode_hops(const std::vector<Hop>& hops);
nlohmann::json to_json(const Hop& hop);
std::vector<Hop> hops_from_json(const nlohmann::json& list, const std::string& what);

/// A hop of a vault, checked: who signed which version.
struct CheckedHop {
  RecordId record;
  std::int64_t version = 0;
  std::int64_t case_number = 0;
  UserKeys by;
  std::int64_t time_ms = 0;
  VersionDetails details;
};

/// Checks the hops of one record, oldest first: each signed by a person certified in its vault who had not been
/// removed, each naming all before it, all of the same content. @throws Error{kDamaged} naming `what`.
/// Returns what the hops of vaults say; of a bag's hop nullopt.
std::vector<std::optional<CheckedHop>> check_hops(const std::vector<Hop>& hops,
                                                  const std::map<VaultId, ForeignVault>& vaults,
                                                  const Sha256Digest& sha256, std::uint64_t size,
                                                  const std::string& what);

}  // namespace casevault
