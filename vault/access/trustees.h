#pragma once
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "crypto/slip39.h"
#include "vault/access/identity.h"
#include "vault/access/role_keys.h"
#include "vault/sharing/organisation.h"
#include "vault/storage/catalog.h"
#include "vault/vault.h"

namespace casevault {

// What is sealed to the trustees' shares (docs/format.md section 16). All of it opens without a custodian, and all of
// it is named in signed statements: whoever holds enough shares and a copy of the vault needs nothing else.

/// Who the trustees of a vault are together: everything follows from the seed that their shares give, and from which
/// vault it is, so that no other can be made for the same trustees.
Identity recovery_identity(const RecoverySeed& seed, const VaultId& vault, const VerifyKey& root);

/// A new set, before it is in force.
struct NewRecoverySet {
  std::uint16_t identifier = 0;
  std::uint32_t threshold = 0;
  std::uint32_t count = 0;
  Identity identity;
  std::vector<Slip39Share> shares;
};
/// @throws Error{kUsage} when there cannot be so many, or one alone could open everything.
void check_trustee_numbers(std::uint32_t threshold, std::uint32_t count);
/// `before`: whose sets it must not be taken for; nullptr for a new vault.
NewRecoverySet make_recovery_set(std::uint32_t threshold, std::uint32_t count, const VaultId& vault,
                                 const VerifyKey& root, const CatalogState* before);

/// What one epoch of a case opens with.
struct CaseSecrets {
  CaseKey key;
  std::optional<CustodyShare> share;
};
/// @throws Error{kDamaged} when it is missing, or not of this case and epoch.
CaseSecrets open_case_secrets(const Identity& trustees, const std::optional<Bytes>& sealed, const CaseEntry& entry);

/// Appends a statement of `kind` with the common fields in it, as `new_statement` makes them, in the same update as
/// what it belongs to. Without a set in force they do nothing.
struct Author {
  const SigningKey& key;
  std::function<nlohmann::json(std::string_view kind)> statement;
};
Author author_of(Session& session);
/// Puts a new set in force. What was sealed to the set before is erased.
void append_recovery_set(Catalog::Update& update, const Author& author, const NewRecoverySet& set);
/// After the role keys or the organisation's changed.
void append_recovery_keys(Catalog::Update& update, const Author& author, const RoleKeys& roles,
                          const OrganisationKeyRing& organisation);
/// After a case got a new epoch; `id` of that case.
void append_recovery_case(Catalog::Update& update, const Author& author, const CaseId& id, const CaseKey& key,
                          const std::optional<CustodyShare>& share);

/// Seals the case's current epoch to the set in force, where that was not done yet. Asks custodians for its share.
/// @pre the session's user may add
void cover_case(Session& session, std::int64_t number);
/// The same for all that the session's user may add to, as far as it can be done now.
void cover_own_cases(Session& session);
/// What the session's user opens the current epoch with. @pre they have a grant
CaseSecrets case_secrets(Session& session, const CaseEntry& entry);

/// Cases whose current epoch is not sealed to the set in force: the next who unlocks and may add to them does that.
std::vector<std::int64_t> cases_without_recovery(const CatalogState& state);

}  // namespace casevault
