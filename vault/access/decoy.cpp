#include "vault/access/decoy.h"

#include "crypto/random.h"
#include "vault/access/session_keys.h"
#include "vault/access/unlock.h"
#include "vault/audit/log.h"
#include "vault/custody/client.h"
#include "vault/custody/shares.h"
#include "vault/records/export_folder.h"
#include "vault/storage/catalog.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

/// The key of the user's slot in the vault that they prepared, which must open.
SlotKey key_of_prepared(const Session& session, const Path& prepared, const SecretBytes& passphrase) {
  auto vault = Vault::open(prepared, session.environment());
  auto access = vault.slot_access(session.user_name(), passphrase);
  vault.unlock(access);
  return std::move(access.key);
}

void copy_vault(const Path& from, const Path& to) {
  make_directory(to);
  for (const auto& entry : std::filesystem::directory_iterator(from)) {
    if (entry.path().filename() == kSpare) continue;
    std::filesystem::copy(entry.path(), to / entry.path().filename(), std::filesystem::copy_options::recursive);
  }
  sync_file_system(to);
}

/// Puts a new vault into `spare`; a crash between the two renames leaves it without one, which means nothing.
SlotKey renew_spare(Session& session, const SecretBytes& passphrase, const std::optional<Path>& prepared) {
  const auto partial = session.folder() / ("." + to_hex(random_array<8>()) + ".partial");
  std::optional<SlotKey> key;
  if (prepared) {
    refuse_inside_vault(session.folder(), *prepared, "the decoy");
    key = key_of_prepared(session, *prepared, passphrase);
    copy_vault(*prepared, partial);
  } else {
    key = make_spare(partial, {session.state().organisation(), session.user_name()}, session.environment());
  }
  std::filesystem::remove_all(session.folder() / kSpare);
  replace_by_rename(partial, session.folder() / kSpare);
  return std::move(*key);
}

void write_decoy_slot(Session& session, const SlotKey& key, const DecoyContents& contents) {
  auto& keys = session.keys();
  const ExclusiveAccess exclusive(session);
  const auto index = session.state().free_slot(read_be64(random_array<8>()));
  if (!index) throw Error(Errc::kUsage, "all 64 slots are in use", "casevault user remove NAME");
  keys.slots.write(*index, seal_decoy_slot(keys.header, key, contents));
  if (!keys.slots.find_decoy(keys.header, key)) throw Error(Errc::kInternal, "the new slot does not open");
  const auto before = session.state().find_user(session.user_id())->spare_slot;
  Catalog::Update update(session.catalog());
  auto statement = new_statement(session, "slot-spare");
  statement["slot"] = *index;
  statement["slot_hash"] = to_hex(keys.slots.hash(*index));
  update.append(statement, session.identity().signing);
  update.commit();
  if (before) keys.slots.erase(*before);
}

}  // namespace

void set_duress_passphrase(Session& session, const SecretBytes& passphrase, const std::optional<Path>& prepared) {
  for (const auto* user : session.state().active_users()) {
    if (user->spare_slot && user->keys.id != session.user_id())
      throw Error(Errc::kUsage, "a colleague has a duress passphrase already, and a vault has one decoy");
  }
  session.record("user-passphrase", session.user_name(), "begun");
  const auto slot = new_slot_key(session, passphrase);
  if (equal_constant_time(slot.key, session.keys().slot_key))
    throw Error(Errc::kUsage, "this is your passphrase already: under duress it must be another");
  DecoyContents contents;
  const auto alarm = SigningKey::random();
  contents.alarm = alarm.seed().clone();
  contents.spare = renew_spare(session, passphrase, prepared);
  if (slot.custody_epoch > 0) {
    const auto& plan = *session.keys().header.custody_of(slot.custody_epoch);
    custodians_of(session, slot.custody_epoch)
        .set_duress({custody_id(plan.salt, ScopeKind::kUser, session.user_name()), plan.epoch}, alarm.verify_key(),
                    session.identity().signing);
  }
  write_decoy_slot(session, slot.key, contents);
  session.record("user-passphrase", session.user_name());
}

bool end_duress_passphrase(Session& session, Catalog::Update& update) {
  if (!update.state().find_user(session.user_id())->spare_slot) return false;
  update.append(new_statement(session, "slot-spare"), session.identity().signing);
  session.warn(
      "custody has changed, so your duress passphrase was taken away and opens nothing any more; set it "
      "again: casevault user passphrase --duress");
  return true;
}

void drop_duress_passphrase(Session& session) {
  if (!session.state().find_user(session.user_id())->spare_slot) return;
  const ExclusiveAccess exclusive(session);
  Catalog::Update update(session.catalog());
  if (!end_duress_passphrase(session, update)) return;
  update.commit();
  tidy_slots(session);
}

}  // namespace casevault
