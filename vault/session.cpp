#include <algorithm>

#include "crypto/random.h"
#include "vault/session_parts.h"
#include "vault/storage/json.h"
#include "vault/vault.h"

namespace casevault {
namespace {

/// Cuts a list of objects at ", " so that each piece fits one entry.
std::vector<std::string> split_objects(std::string_view objects) {
  std::vector<std::string> pieces;
  while (objects.size() > kMaxAuditObjects) {
    auto cut = objects.substr(0, kMaxAuditObjects).rfind(", ");
    const bool at_comma = cut != std::string_view::npos && cut > 0;
    if (!at_comma) cut = kMaxAuditObjects;
    while (!at_comma && cut > 1 && (static_cast<unsigned char>(objects[cut]) & 0xC0) == 0x80) --cut;
    pieces.emplace_back(objects.substr(0, cut));
    objects.remove_prefix(at_comma ? cut + 2 : cut);
  }
  pieces.emplace_back(objects);
  return pieces;
}

}  // namespace

Session::Session(std::unique_ptr<SessionParts> parts) : parts_(std::move(parts)) {
  record("unlock", "");
  if (parts_->keys.slot_epoch == parts_->keys.catalog_epoch) return;
  // The catalogue key was handed over: from now on the slot holds it. Where others are at work this waits for another
  // time.
  try {
    const ExclusiveAccess exclusive(*this, 0);
    reseal_slot(*this, parts_->keys.slot_key);
  } catch (const Error& error) {
    if (error.code() != Errc::kBusy) throw;
  }
}

Session::Session(Session&&) noexcept = default;
Session::~Session() = default;

const std::string& Session::user_name() const { return parts_->user_name; }
UserId Session::user_id() const { return parts_->identity.id; }
Role Session::role() const { return state().find_user(user_id())->role; }
const Path& Session::folder() const { return parts_->folder; }
const Environment& Session::environment() const { return parts_->environment; }
const CatalogState& Session::state() const { return parts_->catalog.state(); }
const std::vector<std::string>& Session::warnings() const { return parts_->warnings; }
Catalog& Session::catalog() { return parts_->catalog; }
AuditLog& Session::log() { return parts_->log; }
const Identity& Session::identity() const { return parts_->identity; }
const BodyStore& Session::bodies() const { return parts_->bodies; }
SessionKeys& Session::keys() { return parts_->keys; }

void Session::record(std::string_view action, std::string_view objects, std::string_view outcome) {
  const AuditLog::State seen{parts_->keys.state_key, state().head()};
  for (const auto& piece : split_objects(objects)) {
    parts_->log.append({std::string(action), piece, std::string(outcome)}, &parts_->identity, &seen);
  }
  if (!parts_->log_matches) return;
  try {
    parts_->catalog.set_log_head(parts_->log.head());
  } catch (const Error& error) {
    // The entry is on the disk. That the catalogue remembers an older head weakens only what a later check can see.
    if (error.code() != Errc::kNoSpace && error.code() != Errc::kBusy) throw;
  }
}

void Session::refuse(std::string_view action, std::string_view objects, const std::string& message) {
  record(action, objects, "refused");
  throw Error(Errc::kNotAllowed, message);
}

StateKey state_key_of(const CatalogKey& key, const VaultId& vault) {
  return derive_key<StateKey>(key, "casevault/v1/audit-state", vault);
}

SlotContents slot_contents(Session& session) {
  const auto& keys = session.keys();
  const auto& identity = session.identity();
  const auto known = session.state().find_user(identity.id)->generation;
  return {identity.id,
          std::max(known, keys.generation) + 1,
          identity.signing.seed().clone(),
          identity.box.secret_key.clone(),
          keys.header.root_key,
          keys.catalog_epoch,
          keys.catalog_key.clone()};
}

ExclusiveAccess::ExclusiveAccess(Session& session, int timeout_ms) : session_(session) {
  auto& file = session.keys().slots.file();
  try {
    file.lock(File::Lock::kExclusive, timeout_ms);
  } catch (const Error&) {
    file.try_lock(File::Lock::kShared);
    throw;
  }
  // Between the shared and the exclusive lock somebody else may have had it.
  if (!session.catalog().is_current()) {
    throw Error(Errc::kBusy, "another process changed the vault's keys meanwhile", "repeat the command");
  }
  session.catalog().refresh();
}

ExclusiveAccess::~ExclusiveAccess() {
  try {
    session_.keys().slots.file().try_lock(File::Lock::kShared);
  } catch (const Error&) {
    // Still exclusive: stricter than needed until the session ends.
  }
}

nlohmann::json new_statement(Session& session, std::string_view kind) {
  session.log().refresh();  // statements of other processes may cite a newer log than this one has seen
  const auto log = session.log().head();
  return {{"kind", kind},
          {"by", to_hex(session.user_id())},
          {"time", session.environment().now_ms()},
          {"log_size", log.size},
          {"log_root", to_hex(log.root)}};
}

void reseal_slot(Session& session, const SlotKey& key) {
  auto& keys = session.keys();
  const auto index = session.state().free_slot(read_be64(random_array<8>()));
  if (!index) throw Error(Errc::kUsage, "all 64 slots are in use", "casevault user remove NAME");
  const auto contents = slot_contents(session);
  keys.slots.write(*index, seal_slot(keys.header, key, contents));
  const auto opened = open_slot(keys.header, key, keys.slots.read(*index));
  if (!opened || opened->generation != contents.generation) {
    throw Error(Errc::kInternal, "the new slot does not open; the old one stays in force");
  }
  const auto old = session.state().find_user(session.user_id())->slot;
  Catalog::Update update(session.catalog());
  auto statement = new_statement(session, "slot");
  statement["slot"] = *index;
  statement["generation"] = contents.generation;
  statement["slot_hash"] = to_hex(keys.slots.hash(*index));
  update.append(statement, session.identity().signing);
  update.commit();
  keys.slots.erase(old);
  keys.slot = *index;
  keys.generation = contents.generation;
  keys.slot_epoch = keys.catalog_epoch;
}

void reopen_log(Session& session) {
  const auto& header = session.keys().header;
  session.log() = AuditLog::open(session.folder() / "audit", header.vault_id, header.audit_key, session.environment());
}

void reopen_catalog(Session& session, CatalogKey key, std::uint32_t epoch) {
  auto& keys = session.keys();
  keys.catalog_key = std::move(key);
  keys.catalog_epoch = epoch;
  keys.state_key = state_key_of(keys.catalog_key, keys.header.vault_id);
  session.catalog() = Catalog::open(session.folder() / "catalog.db", keys.catalog_key, epoch, keys.header.vault_id,
                                    keys.header.root_key);
}

}  // namespace casevault
