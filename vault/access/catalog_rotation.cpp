#include "vault/access/catalog_rotation.h"

#include "crypto/random.h"
#include "vault/access/handover.h"
#include "vault/access/session_keys.h"
#include "vault/access/trustees.h"
#include "vault/audit/log.h"
#include "vault/custody/enrolment.h"
#include "vault/custody/incomplete.h"
#include "vault/custody/shares.h"
#include "vault/storage/catalog.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

/// Everything that a rotation of the catalogue key puts into the new catalogue.
struct NewEpoch {
  CatalogKey key = CatalogKey::random();
  std::uint32_t epoch = 0;
  std::uint32_t custody_epoch = 0;  // of the custodians who hold a half; 0: nobody does
  std::vector<MissedSeat> missed;   // those of them who do not
  Header header;
  std::optional<Bytes> header_file;  // when the audit key changes too
  Bytes handover;
};

/// @returns the statement's "role_keys": the new audit key for everyone who reads the log.
nlohmann::json hand_out_role_keys(Catalog::Update& update, const RoleKeys& role_keys) {
  auto list = nlohmann::json::array();
  for (const auto* user : update.state().active_users()) {
    if (user->role == Role::kMember) continue;
    update.erase_blob(*user->role_keys);
    const auto hash = update.put_blob(seal_role_keys(role_keys.clone(user->role == Role::kOwner), user->keys.box));
    list.push_back({{"user", to_hex(user->keys.id)}, {"key", to_hex(hash)}});
  }
  return list;
}

void append_removal(Session& session, Catalog::Update& update, const User& removed) {
  auto removal = new_statement(session, "remove");
  removal["user"] = to_hex(removed.keys.id);
  const auto organisation = update.state().sharing().sealed_keys_of(removed.keys.id);
  if (organisation) update.erase_blob(*organisation);
  update.append(removal, session.identity().signing);
  announce_removed_user(update, session.keys().header, removed.keys.id);
  if (removed.role != Role::kMember) update.erase_blob(*removed.role_keys);
}

void append_epoch(Session& session, Catalog::Update& update, bool renew_audit_key, RoleKeys& role_keys,
                  NewEpoch& next) {
  auto statement = new_statement(session, "epoch");
  statement["epoch"] = next.epoch;
  statement["header"] = to_hex(update.state().header_hash());
  statement["role_keys"] = nlohmann::json::array();
  if (next.custody_epoch > 0) statement["custody"] = next.custody_epoch;
  if (renew_audit_key) {
    role_keys.audit.push_back(BoxKeyPair::random());
    next.header.audit_key = role_keys.audit.back().public_key;
    next.header_file = encode_header(next.header, SigningKey::from_seed(role_keys.root->clone()));
    statement["header"] = to_hex(update.put_blob(*next.header_file));
    statement["role_keys"] = hand_out_role_keys(update, role_keys);
    update.announce_file("vault.json");
  }
  next.handover = encode_handover(session.keys().header.vault_id, next.key, next.epoch, session.identity(),
                                  keys_of_active_users(update.state()),
                                  next.custody_epoch > 0 ? Handing::kHalf : Handing::kWhole, update.state().trustees());
  update.erase_blob(update.state().handover_hash());
  statement["handover"] = to_hex(update.put_blob(next.handover));
  announce_forgotten_handover(update);
  announce_missed_handover(update, next.missed, next.epoch);
  update.append(statement, session.identity().signing);
  if (renew_audit_key && update.state().recovery())
    append_recovery_keys(update, author_of(session), role_keys, open_organisation_keys(session, "user-remove"));
}

}  // namespace

RoleKeys own_role_keys(Session& session) {
  auto keys = open_role_keys(session.catalog(), session.identity());
  if (!keys) throw Error(Errc::kInternal, "an owner without role keys");
  return std::move(*keys);
}

std::vector<UserKeys> keys_of_active_users(const CatalogState& state) {
  std::vector<UserKeys> keys;
  for (const auto* user : state.active_users()) keys.push_back(user->keys);
  return keys;
}

void rotate_catalog(Session& session, const std::optional<User>& removed,
                    const std::function<void(Catalog::Update& update)>& change) {
  auto& keys = session.keys();
  auto role_keys = own_role_keys(session);
  NewEpoch next;
  next.epoch = keys.catalog_epoch + 1;
  next.custody_epoch = session.state().custody_epoch();
  next.header = keys.header;
  if (next.custody_epoch > 0)
    next.missed = deal_handover_share(session, handover_scalar(next.key, keys.header.vault_id, next.epoch), next.epoch);
  const auto partial = session.folder() / ("." + to_hex(random_array<8>()) + ".partial");
  {
    auto target = session.catalog().copy_to(partial, next.key, next.epoch);
    Catalog::Update update(target);
    if (removed) append_removal(session, update, *removed);
    if (change) change(update);
    append_epoch(session, update, !removed || removed->role != Role::kMember, role_keys, next);
    update.commit();
  }
  remove_file(partial.string() + "-journal");
  replace_file(handover_path(session.folder(), next.epoch), next.handover);
  replace_by_rename(partial, session.folder() / "catalog.db");
  const auto old_state_key = keys.state_key.clone();
  reopen_catalog(session, std::move(next.key), next.epoch);
  // The last word under the old key: beside it a copy of the catalogue from before is seen to be older.
  const AuditLog::State last{old_state_key, session.state().head()};
  session.log().append({"catalog-rekey", "", "done"}, &session.identity(), &last);

  if (removed) keys.slots.erase(removed->slot);
  if (removed && removed->spare_slot) keys.slots.erase(*removed->spare_slot);
  if (next.header_file) {
    replace_file(session.folder() / "vault.json", *next.header_file);
    session.catalog().set_finished("vault.json");
    keys.header = next.header;
    reopen_log(session);
  }
  remove_file(handover_path(session.folder(), next.epoch - 1));
  tidy_slots(session);
}

}  // namespace casevault
