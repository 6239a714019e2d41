#include "vault/access/unlock.h"

#include <algorithm>
#include <charconv>

#include "vault/access/decoy.h"
#include "vault/access/handover.h"
#include "vault/access/join.h"
#include "vault/custody/client.h"
#include "vault/custody/dealing.h"
#include "vault/custody/incomplete.h"
#include "vault/custody/shares.h"
#include "vault/custody/witness.h"
#include "vault/raid/tombstone.h"
#include "vault/session_parts.h"
#include "vault/storage/layout.h"

namespace casevault {
namespace {

constexpr int kLockTimeoutMs = 10'000;
constexpr std::size_t kMaxHeaderSize = 64u << 10;

struct CatalogAccess {
  CatalogKey key;
  std::uint32_t epoch = 0;
  std::optional<HandedOver> handed;  // where the key came from, if not from the slot
};

bool is_file_or_missing(const Path& path) {
  const auto status = std::filesystem::symlink_status(path);
  return !std::filesystem::exists(status) || std::filesystem::is_regular_file(status);
}

CatalogKey key_of_handover(const HandedOver& handed, const Header& header, const Environment& environment) {
  if (!handed.is_half) return handed.key.clone();
  return whole_key(handed, header.vault_id, release_handover_share(header, environment, handed.epoch));
}

/// The key that the catalogue as it lies there wants: the slot's, or one handed over since. nullopt: this user has
/// none. A handover whose catalogue never came into place (a crash) is left alone: the file decides.
std::optional<CatalogAccess> find_catalog_key(const Path& folder, const Header& header, const SlotContents& slot,
                                              const Identity& identity, const Environment& environment) {
  const auto& vault = header.vault_id;
  const auto path = folder / "catalog.db";
  if (slot.catalog_epoch > 0 && Catalog::is_keyed_by(path, slot.catalog_key, slot.catalog_epoch, vault)) {
    return CatalogAccess{slot.catalog_key.clone(), slot.catalog_epoch, std::nullopt};
  }
  const auto epochs = handover_epochs(folder);
  bool handed_any = false;
  for (const auto epoch : epochs) {
    if (!is_file_or_missing(handover_path(folder, epoch))) continue;
    const auto file = read_small_file(handover_path(folder, epoch), kHandoverFileSize);
    auto handed = file ? find_handover(vault, *file, identity) : std::nullopt;
    if (!handed || handed->epoch != epoch) continue;
    handed_any = true;
    auto key = key_of_handover(*handed, header, environment);
    if (!Catalog::is_keyed_by(path, key, epoch, vault)) continue;
    return CatalogAccess{std::move(key), epoch, std::move(handed)};
  }
  const bool rotated_without_me = slot.catalog_epoch > 0 && !epochs.empty() && epochs.front() > slot.catalog_epoch;
  if (!handed_any && (rotated_without_me || slot.catalog_epoch == 0)) return std::nullopt;
  throw Error(Errc::kDamaged, "catalog.db is missing, damaged, or not the one your key belongs to",
              "restore the whole vault from one copy, then casevault verify");
}

/// The slot that counts: the one whose hash stands in the catalogue. Others that open are older, or were never
/// finished.
const Slots::Found& check_me(const CatalogState& state, const Slots& slots, const std::vector<Slots::Found>& found,
                             const UserKeys& me) {
  const auto* user = state.find_user(me.id);
  if (user == nullptr || !user->active) {
    throw Error(Errc::kNotAllowed, user == nullptr ? "you were not let in yet" : "you were removed from this vault",
                "ask an owner of the vault");
  }
  if (user->keys != me)
    throw Error(Errc::kDamaged, "your slot and the catalogue disagree about your keys", "casevault verify");
  const auto counts =
      std::ranges::find_if(found, [&](const auto& f) { return slots.hash(f.index) == user->slot_hash; });
  if (counts == found.end()) {
    throw Error(Errc::kWrongPassphrase, "this passphrase was replaced, or an older file slots was put back",
                "use the newer passphrase, or restore the whole vault from one copy");
  }
  return *counts;
}

void check_handover(const CatalogState& state, const std::optional<HandedOver>& handed, const UserId& me) {
  if (!handed) return;
  const auto* by = state.find_user(handed->by);
  if (by == nullptr || by->role != Role::kOwner || !verify_handover(state.vault(), *handed, me, by->keys.sign)) {
    throw Error(Errc::kDamaged,
                "the catalogue key that was handed to you is not from an owner of this vault: do not go on",
                "compare the vault's fingerprint with an owner: casevault user fingerprint");
  }
}

/// A file outside the catalogue that the catalogue keeps a copy of. Returns true when it had to be put back.
bool put_back_if_changed(const Catalog& catalog, const Path& path, const Sha256Digest& expected, std::size_t max_size) {
  std::optional<Bytes> file;
  try {
    file = read_small_file(path, max_size);
  } catch (const Error&) {
    file.reset();  // longer than it may be: as good as missing
  }
  if (file && sha256(*file) == expected) return false;
  if (file && parse_tombstone(*file)) throw Error(Errc::kDestroyed, "this vault is being destroyed");
  make_directory(path.parent_path());
  const auto copy = catalog.blob(expected);
  if (!copy)
    throw Error(Errc::kDamaged, "catalog.db: the copy of " + path.filename().string() + " is missing",
                "casevault verify");
  replace_file(path, *copy);
  return true;
}

void put_back_files(SessionParts& parts) {
  const auto& state = parts.catalog.state();
  const auto put_back = [&](const Path& path, const char* name, const Sha256Digest& expected, std::size_t max_size) {
    const bool unfinished = parts.catalog.is_unfinished(name);
    if (!is_file_or_missing(path)) {
      parts.warnings.push_back(path.lexically_relative(parts.folder).string() +
                               " is something else than a file; move it away");
      return false;
    }
    const bool changed = put_back_if_changed(parts.catalog, path, expected, max_size);
    if (unfinished) parts.catalog.set_finished(name);
    if (changed && !unfinished) {
      parts.warnings.push_back(path.lexically_relative(parts.folder).string() +
                               " was missing, changed or an older one; it was put back from the catalogue's copy");
    }
    return changed;
  };
  if (put_back(parts.folder / "vault.json", "vault.json", state.header_hash(), kMaxHeaderSize)) {
    const auto file = read_small_file(parts.folder / "vault.json", kMaxHeaderSize);
    auto& header = parts.keys.header;
    header = parse_header(*file, parts.environment.cost_floor);
    parts.log = AuditLog::open(parts.folder / "audit", header.vault_id, header.audit_key, parts.environment);
  }
  put_back(handover_path(parts.folder, state.epoch()), "handover", state.handover_hash(), kHandoverFileSize);
  for (const auto epoch : handover_epochs(parts.folder)) {
    if (epoch < state.epoch() && is_file_or_missing(handover_path(parts.folder, epoch)))
      remove_file(handover_path(parts.folder, epoch));  // left by a crash
  }
}

bool log_holds(const AuditLog& log, const LogCite& cite) {
  return cite.size <= log.head().size && log.root_at(cite.size) == cite.root;
}

/// The log against what the catalogue saw of it, and the catalogue against what the log saw of it.
void check_freshness(SessionParts& parts) {
  const auto& state = parts.catalog.state();
  const auto last_seen = parts.catalog.log_head();
  parts.log.refresh();  // after the catalogue was read: others may have appended meanwhile
  if (!log_holds(parts.log, last_seen) || !log_holds(parts.log, state.last_cite())) {
    parts.log_matches = false;
    parts.warnings.push_back(
        "the audit log does not match what the catalogue last saw of it: it was cut short, replaced or changed; run "
        "casevault verify");
  }
  const auto seen = parts.log.newest_state(parts.keys.state_key);
  if (seen && chain_hash_at(parts.catalog.database(), seen->count) != seen->hash) {
    throw Error(Errc::kDamaged, "catalog.db is older than the audit log shows, or another one: it was rolled back",
                "restore the whole vault from one copy, not single files");
  }
}

/// `<32 hex>.<epoch>.db`, or its journal.
std::optional<std::uint32_t> epoch_in_name(std::string_view name) {
  std::uint32_t epoch = 0;
  const auto digits = name.substr(std::min<std::size_t>(33, name.size()));
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), epoch);
  if (error != std::errc() || !std::string_view(end, digits.data() + digits.size()).starts_with(".db"))
    return std::nullopt;
  return epoch;
}

/// Databases of epochs that are over: a crash left them. The shared lock is held, so nobody is rotating now. Where
/// catalogue and log do not agree, a file may be newer than they are: then all stay.
void remove_old_case_files(const SessionParts& parts) {
  if (!parts.log_matches) return;
  const auto folder = parts.folder / "cases";
  for (const auto& name : list_directory(folder)) {
    const auto id = array_from_hex<16>(std::string_view(name).substr(0, 32));
    const auto* entry = id ? parts.catalog.state().find_case(*id) : nullptr;
    const auto epoch = epoch_in_name(name);
    if (entry != nullptr && epoch && *epoch < entry->epoch) remove_file(folder / name);
  }
}

std::vector<Slots::Found> open_own_slots(const Path& folder, const Header& header, const Slots& slots,
                                         const SlotKey& key, const std::string& user) {
  auto found = slots.find(header, key);
  if (!found.empty() && found.front().contents.root == header.root_key) return found;
  if (!found.empty()) {
    throw Error(Errc::kDamaged, "vault.json is not the one this vault was made with: it was replaced",
                "restore vault.json from a copy of the vault");
  }
  if (waits_for_approval(folder, header, key)) {
    throw Error(Errc::kNotAllowed, "you were not let in yet", "ask an owner to run: casevault user approve " + user);
  }
  throw Error(Errc::kWrongPassphrase, "wrong passphrase or user",
              "check the name after --user and type the passphrase again");
}

std::unique_ptr<SessionParts> open_session(const Path& folder, const Header& header, const Environment& environment,
                                           const SlotAccess& access, Slots slots) {
  const auto found = open_own_slots(folder, header, slots, access.key, access.user);
  const auto& slot = found.front().contents;
  Identity identity{slot.user, SigningKey::from_seed(slot.signing_seed.clone()),
                    BoxKeyPair::from_secret(slot.box_secret.clone())};
  auto catalog_access = find_catalog_key(folder, header, slot, identity, environment);
  if (!catalog_access) {
    throw Error(Errc::kNotAllowed,
                slot.catalog_epoch == 0 ? "you were not let in yet" : "you were removed from this vault",
                "ask an owner of the vault");
  }
  auto catalog = Catalog::open(folder / "catalog.db", catalog_access->key, catalog_access->epoch, header.vault_id,
                               header.root_key);
  const auto& counts = check_me(catalog.state(), slots, found, public_half(identity, access.user));
  check_handover(catalog.state(), catalog_access->handed, identity.id);

  auto state_key = state_key_of(catalog_access->key, header.vault_id);
  auto log = AuditLog::open(folder / "audit", header.vault_id, header.audit_key, environment);
  auto parts = std::unique_ptr<SessionParts>(
      new SessionParts{folder,
                       environment,
                       access.user,
                       SessionKeys{header, std::move(slots), access.key.clone(), access.custody_epoch, counts.index,
                                   counts.contents.generation, counts.contents.catalog_epoch,
                                   std::move(catalog_access->key), catalog_access->epoch, std::move(state_key)},
                       std::move(identity),
                       BodyStore(folder / "bodies"),
                       std::move(log),
                       std::move(catalog),
                       true,
                       {},
                       folder,
                       std::nullopt});
  check_freshness(*parts);
  put_back_files(*parts);
  remove_old_case_files(*parts);
  return parts;
}

/// The log of the vault that was not opened gets an entry too, so that both grow alike. To auditors of this vault it
/// says what happened.
void log_beside(const Path& folder, const Environment& environment, const std::string& user, const char* outcome) {
  try {
    const auto file = read_small_file(folder / "vault.json", kMaxHeaderSize);
    if (!file) return;
    const auto header = parse_header(*file, environment.cost_floor);
    AuditLog::open(folder / "audit", header.vault_id, header.audit_key, environment)
        .append({"unlock", user, outcome}, nullptr, nullptr);
  } catch (const Error&) {
    // Nothing must show, and nothing depends on it.
  }
}

/// What a duress passphrase opens. Without custodians to lock the rest, it destroys it first.
std::unique_ptr<SessionParts> open_decoy(const Path& folder, const Header& header, const Environment& environment,
                                         const SlotAccess& access, Slots& slots, Slots::FoundDecoy decoy) {
  if (header.custody.empty()) slots.erase_others(decoy.index);
  const auto spare = folder / kSpare;
  const auto inner = Vault::open(spare, environment).header();
  auto inner_slots = Slots::open(spare / "slots");
  inner_slots.file().lock(File::Lock::kShared, kLockTimeoutMs);
  auto parts = open_session(spare, inner, environment, {access.user, std::move(decoy.contents.spare), 0, std::nullopt},
                            std::move(inner_slots));
  parts->place = folder;
  parts->keys.around = Around{header, {}};
  parts->alarm = SigningKey::from_seed(std::move(decoy.contents.alarm));
  return parts;
}

}  // namespace

std::unique_ptr<SessionParts> unlock_vault(const Path& folder, const Header& header, const Environment& environment,
                                           const SlotAccess& access) {
  auto slots = Slots::open(folder / "slots");
  slots.file().lock(File::Lock::kShared, kLockTimeoutMs);
  auto log = AuditLog::open(folder / "audit", header.vault_id, header.audit_key, environment);
  try {
    auto decoy = slots.find_decoy(header, access.key);
    log_beside(decoy ? folder : folder / kSpare, environment, access.user, decoy ? "duress" : "done");
    if (decoy) return open_decoy(folder, header, environment, access, slots, std::move(*decoy));
    return open_session(folder, header, environment, access, std::move(slots));
  } catch (const Error& error) {
    // There is no session: the entry is sealed to the audit key and signed by nobody.
    log.append({"unlock", access.user, error.code() == Errc::kWrongPassphrase ? "failed" : "refused"}, nullptr,
               nullptr);
    throw;
  }
}

namespace {

bool opens(const Path& folder, const Header& header, const SlotKey& key) {
  const auto slots = Slots::open(folder / "slots");
  const bool own = !slots.find(header, key).empty();
  return slots.find_decoy(header, key).has_value() || own;
}

/// That custodians refused is worth an entry as any failed unlocking.
void log_failure(const Path& folder, const Header& header, const Environment& environment, const std::string& user,
                 Errc why) {
  const bool is_wrong = why == Errc::kWrongPassphrase;
  if (!is_wrong && why != Errc::kCustodiansRefused) return;
  AuditLog::open(folder / "audit", header.vault_id, header.audit_key, environment)
      .append({"unlock", user, is_wrong ? "failed" : "refused"}, nullptr, nullptr);
}

CustodyId own_id(Session& session, std::uint32_t custody_epoch) {
  const auto* plan = session.keys().header.custody_of(custody_epoch);
  return custody_id(plan->salt, ScopeKind::kUser, session.user_name());
}

/// What can wait until custodians, colleagues or the disk let it be done.
bool can_wait(const Error& error) {
  static constexpr std::array kWaiting = {Errc::kTooFewCustodians, Errc::kCustodiansRefused, Errc::kNotAllowed,
                                          Errc::kWrongPassphrase,  Errc::kNotFound,          Errc::kBusy,
                                          Errc::kNoSpace};
  return std::ranges::find(kWaiting, error.code()) != kWaiting.end();
}

void warn_of_tries(Session& session, std::uint64_t count) {
  const bool may_see_log = session.role() != Role::kMember;
  session.warn("since your last unlocking somebody tried " + std::to_string(count) +
               (count == 1 ? " wrong passphrase" : " wrong passphrases") + " for your name; was it you? " +
               (may_see_log ? "see: casevault audit show" : "if not, tell an owner of the vault at once"));
}

/// `own`: how many evaluations this unlocking took itself. In a decoy nothing is logged.
void confirm_unlocking(Session& session, CustodyClient& custodians, const CustodyId& id, const SigningKey& key,
                       std::uint64_t own) {
  try {
    auto tries = custodians.confirm(id, key);
    auto& around = session.keys().around;
    if (!around && !session.environment().accepts_older) check_witnessed(session, tries.checkpoints);
    if (around) around->checkpoints = std::move(tries.checkpoints);
    if (tries.unconfirmed <= own) return;
    const auto count = tries.unconfirmed - own;
    if (!around) session.record("custody-tries", session.user_name(), std::to_string(count) + " failed");
    warn_of_tries(session, count);
  } catch (const Error& error) {
    if (!can_wait(error)) throw;
    session.warn("the custodians could not be told that this was you: " + std::string(error.what()));
  }
}

void confirm_unlocking(Session& session, std::uint32_t custody_epoch, std::uint64_t own) {
  confirm_unlocking(session, custodians_of(session, custody_epoch), own_id(session, custody_epoch),
                    session.identity().signing, own);
}

/// The same message, signed by another key.
void raise_alarm(Session& session, const SlotAccess& access, const SigningKey& alarm) {
  const auto* plan = session.keys().shown_header().custody_of(access.custody_epoch);
  if (plan == nullptr) return;
  try {
    confirm_unlocking(session, custodians_of(session, plan->epoch),
                      custody_id(plan->salt, ScopeKind::kUser, access.user), alarm, 1);
  } catch (const Error& error) {
    if (!can_wait(error)) throw;
  }
}

SlotAccess slot_key_under(Session& session, std::uint32_t custody_epoch, const PassphraseKey& stretched) {
  const auto& header = session.keys().header;
  if (custody_epoch == 0) return {session.user_name(), plain_slot_key(header, stretched), 0, std::nullopt};
  const auto& plan = *header.custody_of(custody_epoch);
  auto& custodians = custodians_of(session, custody_epoch);
  auto key = agreed_slot_key(header, plan, session.user_name(), stretched, custodians);
  // Before anything relies on it: another question, other blinds, the same answer.
  const auto again = agreed_slot_key(header, plan, session.user_name(), stretched, custodians);
  if (!equal_constant_time(key, again)) {
    throw Error(Errc::kTooFewCustodians, "the custodians do not answer twice alike; the old way stays in force",
                "casevault custody status");
  }
  return {session.user_name(), std::move(key), custody_epoch, std::nullopt};
}

}  // namespace

SlotAccess find_slot_access(const Path& folder, const Header& header, const Environment& environment,
                            const std::string& user, const SecretBytes& passphrase) {
  auto stretched = stretch_user_passphrase(header, user, passphrase);
  SlotAccess access{user, plain_slot_key(header, stretched), 0, std::move(stretched)};
  const auto opens_here = [&](const SlotKey& key) { return opens(folder, header, key); };
  if (header.custody.empty() || opens_here(access.key) || waits_for_approval(folder, header, access.key)) return access;
  for (auto plan = header.custody.rbegin(); plan != header.custody.rend(); ++plan) {
    try {
      auto custodians = connect(header, *plan, environment);
      access.key = custody_slot_key(header, *plan, user, *access.stretched, custodians, opens_here);
      access.custody_epoch = plan->epoch;
    } catch (const Error& error) {
      if (std::next(plan) != header.custody.rend()) continue;
      if (access.custody_epoch > 0 && error.code() == Errc::kWrongPassphrase) break;  // the newer ones knew the user
      log_failure(folder, header, environment, user, error.code());
      throw;
    }
    if (opens_here(access.key)) break;
  }
  return access;
}

SlotAccess new_slot_key(Session& session, const SecretBytes& passphrase) {
  const auto epoch = session.state().custody_epoch();
  const auto stretched = stretch_user_passphrase(session.keys().header, session.user_name(), passphrase);
  auto access = slot_key_under(session, epoch, stretched);
  if (epoch > 0) confirm_unlocking(session, epoch, 2);
  return access;
}

void follow_custody(Session& session, SlotAccess& access, const SigningKey* alarm) {
  if (!access.stretched) {
    // Through a proxy each command would wait too long for a custodian that is away.
    if (session.environment().proxy.empty()) complete_deposits(session);
    return;
  }
  const auto stretched = std::move(*access.stretched);
  access.stretched.reset();
  if (alarm != nullptr) return raise_alarm(session, access, *alarm);
  if (access.custody_epoch > 0) confirm_unlocking(session, access.custody_epoch, 1);
  const auto wanted = session.state().custody_epoch();
  if (wanted != access.custody_epoch) {
    try {
      const auto deals = own_deals(session, wanted);
      auto renewed = slot_key_under(session, wanted, stretched);
      const ExclusiveAccess exclusive(session);
      require_same_deals(session, wanted, deals);
      reseal_slot(session, renewed.key.clone(), wanted);
      access = std::move(renewed);
      session.record("custody-user", session.user_name());
      if (wanted > 0) confirm_unlocking(session, wanted, 2);
    } catch (const Error& error) {
      if (!can_wait(error)) throw;
      session.warn("your slot is not under the custody of today yet, which is tried again at your next unlocking: " +
                   std::string(error.what()));
    }
  }
  forget_announced_shares(session);
  complete_deposits(session);
}

}  // namespace casevault
