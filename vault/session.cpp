#include <algorithm>
#include <set>

#include "crypto/random.h"
#include "vault/access/decoy.h"
#include "vault/custody/shares.h"
#include "vault/session_parts.h"
#include "vault/storage/json.h"
#include "vault/vault.h"

namespace casevault {
namespace {

constexpr int kSharedTimeoutMs = 10'000;

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
  // Where others are at work, or the disk is full, this waits for another time.
  try {
    tidy_slots(*this);
  } catch (const Error& error) {
    const bool can_wait = error.code() == Errc::kBusy || error.code() == Errc::kNoSpace || error.code() == Errc::kUsage;
    if (!can_wait || !catalog().is_current()) throw;
  }
}

Session::Session(Session&&) noexcept = default;
Session::~Session() = default;

const std::string& Session::user_name() const { return parts_->user_name; }
UserId Session::user_id() const { return parts_->identity.id; }
Role Session::role() const { return state().find_user(user_id())->role; }
const Path& Session::folder() const { return parts_->folder; }
const Path& Session::place() const { return parts_->place; }
const Environment& Session::environment() const { return parts_->environment; }
const CatalogState& Session::state() const { return parts_->catalog.state(); }
const std::vector<std::string>& Session::warnings() const { return parts_->warnings; }
void Session::warn(std::string sentence) { parts_->warnings.push_back(std::move(sentence)); }
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
  auto& keys = session.keys();
  if (keys.exclusive_depth == 0) {
    try {
      keys.slots.file().lock(File::Lock::kExclusive, timeout_ms);
    } catch (const Error&) {
      // A conversion that fails has lost the shared lock, too.
      keys.slots.file().lock(File::Lock::kShared, kSharedTimeoutMs);
      throw;
    }
  }
  ++keys.exclusive_depth;
  // Between the shared and the exclusive lock somebody else may have had it.
  if (!session.catalog().is_current()) {
    release();
    throw Error(Errc::kBusy, "another process changed the vault's keys meanwhile", "repeat the command");
  }
  session.catalog().refresh();
}

ExclusiveAccess::~ExclusiveAccess() { release(); }

void ExclusiveAccess::release() noexcept {
  auto& keys = session_.keys();
  if (--keys.exclusive_depth > 0) return;
  try {
    keys.slots.file().lock(File::Lock::kShared, kSharedTimeoutMs);
  } catch (const Error&) {
    // Without the lock: Catalog::Update notices if somebody changes the keys.
  }
}

void require_log_grown(Session& session, std::uint64_t size) {
  if (session.log().head().size >= size) return;
  throw Error(Errc::kDamaged, "the audit log is shorter than the vault has seen it, so nothing can be written",
              "restore the whole vault from one copy, then casevault verify");
}

nlohmann::json new_statement(Session& session, std::string_view kind) {
  session.log().refresh();  // statements of other processes may cite a newer log than this one has seen
  const auto log = session.log().head();
  require_log_grown(session, session.state().last_cite().size);
  return {{"kind", kind},
          {"by", to_hex(session.user_id())},
          {"time", session.environment().now_ms()},
          {"log_size", log.size},
          {"log_root", to_hex(log.root)}};
}

namespace {

/// Slots that a crash kept from being overwritten: former ones of anybody, and second copies of present ones.
std::vector<std::size_t> stale_slots(Session& session) {
  const auto& state = session.state();
  std::set<Sha256Digest> sealed(state.former_slots().begin(), state.former_slots().end());
  std::set<std::size_t> taken;
  for (const auto* user : state.active_users()) {
    sealed.insert(user->slot_hash);
    taken.insert(user->slot);
    if (user->spare_slot) taken.insert(*user->spare_slot);
  }
  std::vector<std::size_t> stale;
  for (std::size_t slot = 0; slot < kSlotCount; ++slot) {
    if (!taken.contains(slot) && sealed.contains(session.keys().slots.hash(slot))) stale.push_back(slot);
  }
  return stale;
}

}  // namespace

void tidy_slots(Session& session) {
  const auto& keys = session.keys();
  // A slot of another custody than today's gets no new key: it is about to be re-sealed under today's.
  const bool behind = keys.slot_epoch != keys.catalog_epoch && keys.slot_custody == session.state().custody_epoch();
  if (!behind && stale_slots(session).empty()) return;
  const ExclusiveAccess exclusive(session, 0);
  for (const auto slot : stale_slots(session)) session.keys().slots.erase(slot);
  if (behind) reseal_slot(session, session.keys().slot_key.clone(), session.keys().slot_custody);
}

namespace {

/// A slot that no statement names must not stay behind when the change fails.
class EraseUnlessKept {
 public:
  EraseUnlessKept(Slots& slots, std::size_t index) : slots_(slots), index_(index) {}
  ~EraseUnlessKept() {
    try {
      if (!kept_) slots_.erase(index_);
    } catch (const Error&) {
      // It opens nothing: the catalogue names another.
    }
  }
  EraseUnlessKept(const EraseUnlessKept&) = delete;
  EraseUnlessKept& operator=(const EraseUnlessKept&) = delete;
  void keep() { kept_ = true; }

 private:
  Slots& slots_;
  std::size_t index_;
  bool kept_ = false;
};

}  // namespace

void reseal_slot(Session& session, SlotKey key, std::uint32_t custody_epoch) {
  auto& keys = session.keys();
  const auto index = session.state().free_slot(read_be64(random_array<8>()));
  if (!index) throw Error(Errc::kUsage, "all 64 slots are in use", "casevault user remove NAME");
  const auto contents = slot_contents(session);
  keys.slots.write(*index, seal_slot(keys.header, key, contents));
  EraseUnlessKept unfinished(keys.slots, *index);
  const auto opened = open_slot(keys.header, key, keys.slots.read(*index));
  if (!opened || opened->generation != contents.generation) {
    throw Error(Errc::kInternal, "the new slot does not open; the old one stays in force");
  }
  const auto before = *session.state().find_user(session.user_id());
  Catalog::Update update(session.catalog());
  auto statement = new_statement(session, "slot");
  statement["slot"] = *index;
  statement["generation"] = contents.generation;
  statement["slot_hash"] = to_hex(keys.slots.hash(*index));
  if (custody_epoch > 0) statement["custody"] = custody_epoch;
  update.append(statement, session.identity().signing);
  const bool moves = before.slot_custody != custody_epoch;
  if (moves && before.slot_custody > 0) announce_forgotten_user(update, before.slot_custody, before.keys.id);
  if (moves) end_duress_passphrase(session, update);
  update.commit();
  unfinished.keep();
  keys.slots.erase(before.slot);
  if (moves && before.spare_slot) keys.slots.erase(*before.spare_slot);
  keys.slot = *index;
  keys.generation = contents.generation;
  keys.slot_epoch = keys.catalog_epoch;
  keys.slot_key = std::move(key);
  keys.slot_custody = custody_epoch;
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
