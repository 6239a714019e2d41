#pragma once
#include <functional>
#include <string>
#include <vector>

#include "crypto/slip39.h"
#include "vault/access/handover.h"
#include "vault/access/identity.h"
#include "vault/storage/file.h"
#include "vault/vault.h"

namespace casevault {

// Trustees: people who hold shares of a key that opens a copy of the vault when its machine, its custodians and
// everybody's passphrase are gone (docs/format.md section 16).

/// A case that the session's user may not add to, and so cannot seal to new trustees.
struct UncoveredCase {
  std::int64_t number = 0;
  std::vector<std::string> who_can;  // users who may add: it is sealed when one of them next unlocks
};
struct RenewResult {
  std::vector<Path> sheets;
  std::string set;                     // its name, two words
  std::vector<std::int64_t> covered;   // cases that the new shares open
  std::vector<UncoveredCase> waiting;  // cases that they do not open yet
  bool replaced = false;               // there were sheets before
};
using RecoveryObserver = std::function<void(const std::string& step)>;

/// `only_waiting`: of those that are not sealed to the set in force.
std::vector<UncoveredCase> cases_of_others(const Session& session, bool only_waiting);

/// Makes shares for trustees, in place of those before, if any. The sheets are all written and synced before one new
/// catalogue, with a key and an audit key that those before do not open, puts the set in force, with everything sealed
/// to it that this owner holds. Then every case that those before could open and this owner may add to gets a new key;
/// the others get one when somebody next adds to them. So shares of before, with any copy from before, open nothing
/// that is written to these afterwards; copies from before still open with them. For owners. Asks custodians for the
/// shares of cases under custody.
/// @throws Error: kUsage, kNotAllowed, kTooFewCustodians: then nothing has changed.
RenewResult renew_recovery(Session& session, const TrusteePlan& plan, const RecoveryObserver& observer);

/// What shares say of themselves, together.
struct ShareSet {
  std::uint16_t identifier = 0;
  std::string name;  // two words
  std::uint32_t threshold = 0;
  std::vector<std::uint32_t> numbers;  // of the shares given, from 1
  std::uint32_t missing = 0;           // further ones that are needed
};
/// @throws Error{kUsage} when they are of several sets, one is there twice, or they are no trustees' shares of a vault.
ShareSet share_set(const std::vector<Slip39Share>& shares);
/// What enough shares hold together. @throws Error: kUsage when there are too few, kDamaged when the digest shows that
/// they do not belong together; where there are more than are needed, it names those that do not.
RecoverySeed combine_shares(const std::vector<Slip39Share>& shares);

/// The key of the catalogue as it lies in the vault's folder, as it was handed to the trustees. Believe it only after
/// the catalogue shows that it came from an owner. nullopt: not handed to these.
std::optional<HandedOver> handed_to_trustees(const Path& folder, const VaultId& vault, const Identity& trustees);
/// Whether the vault in `folder` can be opened by the trustees, which needs no passphrase and reads no more than what
/// was handed to them: the catalogue's key, which is forgotten.
bool opens_for_trustees(const Path& folder, const VaultId& vault, const Identity& trustees);

/// A signed note in the catalogue that enough shares were put together for a rehearsal.
/// @throws Error{kUsage} when they are not of the set in force.
void note_rehearsal(Session& session, const ShareSet& set, const Identity& trustees);

inline constexpr std::int64_t kRehearsalDays = 180;  // after so long `status` asks for another one

}  // namespace casevault
