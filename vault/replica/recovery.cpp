#include "vault/replica/recovery.h"

#include <algorithm>

#include "vault/access/case_access.h"
#include "vault/access/case_keys.h"
#include "vault/access/catalog_rotation.h"
#include "vault/access/session_keys.h"
#include "vault/access/trustees.h"
#include "vault/custody/shares.h"
#include "vault/records/export_folder.h"
#include "vault/replica/sheet.h"
#include "vault/storage/catalog.h"
#include "vault/storage/json.h"
#include "vault/storage/layout.h"

namespace casevault {
namespace {

std::string case_name(std::int64_t number) { return "C-" + std::to_string(number); }

bool may_add(const CatalogState& state, const CaseEntry& entry, const UserId& user) {
  const auto* grant = state.grant_of(entry, user);
  return grant != nullptr && grant->right >= Right::kAdd;
}

/// Everything that this owner can seal, before anything is changed: custodians take their time.
std::map<std::int64_t, CaseSecrets> open_own_cases(Session& session, const RecoveryObserver& observer) {
  std::map<std::int64_t, CaseSecrets> secrets;
  for (const auto& [number, entry] : session.state().cases()) {
    if (!may_add(session.state(), entry, session.user_id())) continue;
    if (entry.custody_epoch > 0) observer("asking the custodians for " + case_name(number));
    secrets.emplace(number, case_secrets(session, entry));
  }
  return secrets;
}

/// Cases that nobody re-keyed meanwhile.
void seal_cases(Session& session, Catalog::Update& update, const std::map<std::int64_t, CaseSecrets>& secrets,
                const std::map<std::int64_t, std::uint32_t>& epochs) {
  for (const auto& [number, secret] : secrets) {
    const auto& entry = *update.state().find_case(number);
    if (entry.epoch == epochs.at(number))
      append_recovery_case(update, author_of(session), entry.id, secret.key, secret.share);
  }
}

/// The sheets of a set that did not come in force are worth nothing, and must not be taken for others.
void put_in_force(Session& session, const NewRecoverySet& set, const std::map<std::int64_t, CaseSecrets>& secrets,
                  const std::map<std::int64_t, std::uint32_t>& epochs, const Path& sheets) {
  try {
    const ExclusiveAccess exclusive(session);
    rotate_catalog(session, std::nullopt, [&](Catalog::Update& update) {
      append_recovery_set(update, author_of(session), set);
      seal_cases(session, update, secrets, epochs);
    });
  } catch (const Error&) {
    if (session.catalog().is_current()) shred_sheets(sheets);
    throw;
  }
}

void rekey_cases(Session& session, const RecoveryObserver& observer) {
  std::vector<std::int64_t> numbers;
  for (const auto& [number, entry] : session.state().cases()) {
    if (entry.opens_for_former_set) numbers.push_back(number);
  }
  for (const auto number : numbers) {
    observer("giving " + case_name(number) + " a new key");
    rekey_case(session, number);
  }
}

}  // namespace

std::vector<UncoveredCase> cases_of_others(const Session& session, bool only_waiting) {
  const auto& state = session.state();
  std::vector<UncoveredCase> cases;
  for (const auto& [number, entry] : state.cases()) {
    if (only_waiting ? entry.recovery_key.has_value() : may_add(state, entry, session.user_id())) continue;
    UncoveredCase uncovered{number, {}};
    for (const auto* user : state.active_users()) {
      if (may_add(state, entry, user->keys.id)) uncovered.who_can.push_back(user->keys.name);
    }
    cases.push_back(std::move(uncovered));
  }
  return cases;
}

RenewResult renew_recovery(Session& session, const TrusteePlan& plan, const RecoveryObserver& observer) {
  if (session.role() != Role::kOwner) session.refuse("recovery-renew", "", "only an owner of the vault may do this");
  check_trustee_numbers(plan.threshold, plan.count);
  check_sheet_folder(plan.sheets);
  refuse_inside_vault(session.place(), plan.sheets, "the folder for the shares");
  session.record("recovery-renew", "", "begun");
  const auto& state = session.state();
  const auto& root = session.keys().header.root_key;
  const auto set = make_recovery_set(plan.threshold, plan.count, state.vault(), root, &state);
  std::map<std::int64_t, std::uint32_t> epochs;
  for (const auto& [number, entry] : state.cases()) epochs[number] = entry.epoch;
  const auto secrets = open_own_cases(session, observer);
  RenewResult result;
  result.set = slip39_set_name(set.identifier);
  result.replaced = state.recovery().has_value();
  observer("writing the sheets");
  result.sheets = write_sheets(
      plan.sheets, {state.organisation(), fingerprint(state.vault(), root), session.environment().now_ms()}, set);
  observer("putting them in force");
  put_in_force(session, set, secrets, epochs, plan.sheets);
  rekey_cases(session, observer);
  result.waiting = cases_of_others(session, true);
  for (const auto& [number, entry] : session.state().cases()) {
    if (entry.recovery_key) result.covered.push_back(number);
  }
  session.record("recovery-renew", "");
  return result;
}

ShareSet share_set(const std::vector<Slip39Share>& shares) {
  const auto missing = slip39_missing(shares);
  const auto& first = shares.front();
  const bool ours = first.group_count == 1 && first.extendable && first.iteration_exponent == 0 &&
                    first.value.size() == RecoverySeed::kSize;
  if (!ours) throw Error(Errc::kUsage, "these are shares of something else, not of a vault");
  ShareSet set{first.identifier, slip39_set_name(first.identifier), first.member_threshold, {}, 0};
  for (const auto& share : shares) set.numbers.push_back(share.member_index + 1U);
  std::ranges::sort(set.numbers);
  if (missing) set.missing = missing->shares;
  return set;
}

RecoverySeed combine_shares(const std::vector<Slip39Share>& shares) {
  const auto set = share_set(shares);
  if (set.missing > 0) {
    const auto count = std::to_string(set.missing);
    throw Error(Errc::kUsage,
                std::to_string(shares.size()) + " of the " + std::to_string(set.threshold) +
                    " shares that are needed are here: " + count + (set.missing == 1 ? " is" : " are") + " missing",
                "ask another trustee of the set " + set.name);
  }
  return slip39_seed(slip39_combine(shares, {}));
}

std::optional<HandedOver> handed_to_trustees(const Path& folder, const VaultId& vault, const Identity& trustees) {
  std::vector<Path> files;
  for (const auto epoch : handover_epochs(folder)) files.push_back(handover_path(folder, epoch));
  for (const auto& path : files) {
    const auto file = read_small_file(path, kHandoverFileSize);
    auto handed = file ? find_handover(vault, *file, trustees) : std::nullopt;
    if (handed && Catalog::is_keyed_by(folder / "catalog.db", handed->key, handed->epoch, vault)) return handed;
  }
  return std::nullopt;
}

bool opens_for_trustees(const Path& folder, const VaultId& vault, const Identity& trustees) {
  return handed_to_trustees(folder, vault, trustees).has_value();
}

void note_rehearsal(Session& session, const ShareSet& set, const Identity& trustees) {
  session.record("recovery-check", "", "begun");
  Catalog::Update update(session.catalog());
  const auto& in_force = update.state().recovery();
  if (!in_force || in_force->keys.id != trustees.id)
    throw Error(Errc::kUsage, "these shares are not the ones in force: the rehearsal is not noted", "casevault status");
  auto statement = new_statement(session, "rehearsal");
  statement["set"] = set.identifier;
  statement["shares"] = set.numbers.size();
  update.append(statement, session.identity().signing);
  update.commit();
  session.record("recovery-check", "");
}

}  // namespace casevault
