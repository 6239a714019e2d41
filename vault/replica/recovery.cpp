#include "vault/replica/recovery.h"

#include <algorithm>

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

/// Everything that this owner can seal, before anything is changed: custodians take their time.
std::map<std::int64_t, CaseSecrets> open_own_cases(Session& session, const RecoveryObserver& observer) {
  std::map<std::int64_t, CaseSecrets> secrets;
  for (const auto& [number, entry] : session.state().cases()) {
    if (session.state().grant_of(entry, session.user_id()) == nullptr) continue;
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

void put_in_force(Session& session, const NewRecoverySet& set, const std::map<std::int64_t, CaseSecrets>& secrets,
                  const std::map<std::int64_t, std::uint32_t>& epochs) {
  const ExclusiveAccess exclusive(session);
  const auto& keys = session.keys();
  const auto roles = own_role_keys(session);
  const auto organisation = open_organisation_keys(session, "recovery-renew");
  Catalog::Update update(session.catalog());
  const auto handover = encode_handover(keys.header.vault_id, keys.catalog_key, keys.catalog_epoch, session.identity(),
                                        keys_of_active_users(update.state()),
                                        update.state().handover_custody() > 0 ? Handing::kHalf : Handing::kWhole,
                                        public_half(set.identity, "trustees"));
  update.erase_blob(update.state().handover_hash());
  append_recovery_set(update, author_of(session), set, update.put_blob(handover));
  append_recovery_keys(update, author_of(session), roles, organisation);
  seal_cases(session, update, secrets, epochs);
  update.announce_file("handover");
  const auto next = session.folder() / "handover" / kNextHandover;
  replace_file(next, handover);
  update.commit();
  replace_file(handover_path(session.folder(), keys.catalog_epoch), handover);
  remove_file(next);
  session.catalog().set_finished("handover");
}

}  // namespace

RenewResult renew_recovery(Session& session, const TrusteePlan& plan, const RecoveryObserver& observer) {
  if (session.role() != Role::kOwner) session.refuse("recovery-renew", "", "only an owner of the vault may do this");
  check_trustee_numbers(plan.threshold, plan.count);
  check_sheet_folder(plan.sheets);
  refuse_inside_vault(session.place(), plan.sheets, "the folder for the shares");
  session.record("recovery-renew", "", "begun");
  const auto& state = session.state();
  const auto set = make_recovery_set(plan.threshold, plan.count, &state);
  std::map<std::int64_t, std::uint32_t> epochs;
  for (const auto& [number, entry] : state.cases()) epochs[number] = entry.epoch;
  const auto secrets = open_own_cases(session, observer);
  RenewResult result;
  result.set = slip39_set_name(set.identifier);
  observer("writing the shares");
  result.sheets = write_sheets(
      plan.sheets, {state.organisation(), fingerprint(state.vault(), state.root()), session.environment().now_ms()},
      set);
  observer("putting them in force");
  put_in_force(session, set, secrets, epochs);
  for (const auto& [number, entry] : session.state().cases())
    (entry.recovery_key ? result.covered : result.waiting).push_back(number);
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

Identity combine_shares(const std::vector<Slip39Share>& shares) {
  const auto set = share_set(shares);
  if (set.missing > 0) {
    const auto count = std::to_string(set.missing);
    throw Error(Errc::kUsage,
                std::to_string(shares.size()) + " of the " + std::to_string(set.threshold) +
                    " shares that are needed are here: " + count + (set.missing == 1 ? " is" : " are") + " missing",
                "ask another trustee of the set " + set.name);
  }
  return recovery_identity(slip39_seed(slip39_combine(shares, {})));
}

std::optional<HandedOver> handed_to_trustees(const Path& folder, const VaultId& vault, const Identity& trustees) {
  std::vector<Path> files;
  for (const auto epoch : handover_epochs(folder)) files.push_back(handover_path(folder, epoch));
  files.push_back(folder / "handover" / kNextHandover);
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
