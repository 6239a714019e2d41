#include "vault/verify.h"

#include <algorithm>
#include <set>

#include "vault/access/case_access.h"
#include "vault/access/case_keys.h"
#include "vault/access/handover.h"
#include "vault/access/join.h"
#include "vault/access/role_keys.h"
#include "vault/access/session_keys.h"
#include "vault/access/trustees.h"
#include "vault/audit/log.h"
#include "vault/records/statement.h"
#include "vault/sharing/custody_hops.h"
#include "vault/storage/case_check.h"
#include "vault/storage/catalog.h"
#include "vault/storage/json.h"
#include "vault/storage/layout.h"

namespace casevault {
namespace {

using Progress = std::function<void(std::uint64_t done, std::uint64_t total)>;
constexpr auto kBad = Finding::Weight::kBad;
constexpr auto kNote = Finding::Weight::kNote;
constexpr std::size_t kBlockSize = 1u << 20;  // bytes
constexpr std::string_view kRestore = "restore the whole vault from one copy";

/// One run over a vault; each check adds what it finds and goes on.
class Verification {
 public:
  Verification(Session& session, bool quick, const Progress& progress)
      : session_(session), quick_(quick), progress_(progress), state_(session.state()) {}

  VerifyResult run() {
    for (const auto& warning : session_.warnings()) bad("vault", warning);
    guarded("vault.json", [&] { check_folder(); });
    guarded("slots", [&] { check_slots(); });
    guarded("handover", [&] { check_joins(); });
    guarded("catalog.db", [&] { check_catalog(); });
    guarded("audit/log", [&] { check_audit(); });
    for (const auto& numbered : state_.cases()) {
      guarded("C-" + std::to_string(numbered.first), [&] { check_case(numbered.second); });
    }
    guarded("bodies", [&] { check_bodies_folder(); });
    if (result_.bodies_absent > 0)
      note("bodies", "large files not fetched when the vault was restored in part: " +
                         std::to_string(result_.bodies_absent) + "; " + kFetchAbsent);
    std::ranges::stable_sort(result_.findings, {}, [](const Finding& f) { return f.weight == kBad ? 0 : 1; });
    return std::move(result_);
  }

 private:
  void bad(std::string object, std::string meaning) {
    result_.findings.push_back({kBad, std::move(object), std::move(meaning)});
  }
  void note(std::string object, std::string meaning) {
    result_.findings.push_back({kNote, std::move(object), std::move(meaning)});
  }

  /// Damage ends one check, not the run; everything else (no space, Ctrl-C, a bug) ends it.
  template <typename Check>
  void guarded(const std::string& object, const Check& check) {
    try {
      stop_if_interrupted(session_.environment());
      check();
    } catch (const Error& error) {
      const auto code = error.code();
      // kUsage: something else than a file lies in its place.
      if (code != Errc::kDamaged && code != Errc::kNotFound && code != Errc::kUsage) throw;
      bad(object, std::string(error.what()) + "; " + std::string(kRestore));
    }
  }

  void check_folder() {
    for (const auto& name : list_directory(session_.folder())) {
      if (std::ranges::find(kVaultFiles, name) == kVaultFiles.end() &&
          std::ranges::find(kVaultFolders, name) == kVaultFolders.end())
        note(name, "not part of the vault; a partial file is left from an interrupted change and can be deleted");
    }
    for (const auto& name : list_directory(session_.folder() / "audit")) {
      if (name != "log" && name != "reserve") note("audit/" + name, "not part of the vault");
    }
    std::set<std::string> databases;
    for (const auto& [number, entry] : state_.cases()) {
      const auto name = case_path({}, entry.id, entry.epoch).filename().string();
      databases.insert({name, name + "-journal"});
    }
    for (const auto& name : list_directory(session_.folder() / "cases")) {
      if (!databases.contains(name)) note("cases/" + name, "not part of the vault as it is now; nothing depends on it");
    }
    note("audit/reserve", "space kept for a full disk; nothing depends on its content");
    const auto reserve = File::open_for_reading(session_.folder() / "audit" / "reserve");
    if (!reserve || reserve->size() < kAuditReserveSize) {
      note("audit/reserve", "missing or smaller than it was made: a full disk used it up");
    }
  }

  void check_slots() {
    const auto& slots = session_.keys().slots;
    const auto users = state_.active_users();
    for (const auto* user : users) {
      if (slots.hash(user->slot) == user->slot_hash) continue;
      bad("slots", "the slot of " + user->keys.name +
                       " was changed: they cannot unlock any more, unless an older copy of slots is put back");
    }
    note("slots", std::to_string(kSlotCount - users.size()) + " of 64 slots are unused noise; nothing depends on them");
  }

  void check_joins() {
    const auto role_keys = open_role_keys(session_.catalog(), session_.identity());
    if (role_keys) {
      for (const auto& name : read_join_requests(session_.folder(), state_.vault(), role_keys->audit).unreadable) {
        bad(name, "a request to join that cannot be read; delete the file and ask the person to join again");
      }
    }
    const auto current = std::to_string(state_.epoch());
    for (const auto& name : list_directory(session_.folder() / "handover")) {
      if (name != current && !name.starts_with("join-"))
        note("handover/" + name, "of another epoch; nothing depends on it");
    }
  }

  void check_catalog() {
    for (const auto& line : session_.catalog().database().check_integrity())
      bad("catalog.db", line + "; " + std::string(kRestore));
    CatalogState replayed(state_.vault(), state_.root());
    for (const auto& change : read_chain(session_.catalog().database())) replayed.apply(change);
    check_blobs();
    check_recovery();
  }

  /// As far as it can be told without the trustees: that somebody who could sealed what they need, and it is there.
  void check_recovery() {
    const auto& set = state_.recovery();
    if (!set) return;
    if (!set->keys_current)
      bad("catalog.db",
          "the vault's keys were changed and not sealed to the trustees again; an owner must run casevault recovery "
          "renew");
    const auto is_lost = [&](const Sha256Digest& hash) { return !session_.catalog().blob(hash); };
    if (set->keys_current && (is_lost(set->role_keys) || is_lost(set->organisation)))
      bad("catalog.db", "the vault's keys for the trustees are missing; an owner must run casevault recovery renew");
    for (const auto& [number, entry] : state_.cases()) {
      const auto name = "C-" + std::to_string(number);
      if (entry.recovery_key && is_lost(*entry.recovery_key))
        bad("catalog.db", name + ": its key for the trustees is missing; an owner must run casevault recovery renew");
      if (entry.recovery_key) continue;
      if (entry.epoch_change > set->change)
        bad(name,
            "it was made or re-keyed without sealing its key to the trustees: they could not recover it; "
            "the next add mends it");
      else
        note(name, "the trustees' shares do not open it yet; that is mended when somebody next adds to it");
    }
  }

  /// What statements name by hash must be there: one's own keys are needed, the others' are named too.
  void check_blobs() {
    const auto require = [&](const Sha256Digest& hash, const std::string& what) {
      if (!session_.catalog().blob(hash)) bad("catalog.db", what + " is missing; " + std::string(kRestore));
    };
    require(state_.header_hash(), "the copy of vault.json");
    require(state_.handover_hash(), "the copy of the handover");
    for (const auto* user : state_.active_users()) {
      if (user->role_keys) require(*user->role_keys, "the audit key of " + user->keys.name);
    }
    for (const auto& [number, entry] : state_.cases()) {
      const auto name = "C-" + std::to_string(number);
      if (entry.epoch > 0) require(entry.title, name + ": the title");
      for (const auto* user : state_.active_users()) {
        const auto* grant = state_.grant_of(entry, user->keys.id);
        if (grant != nullptr) require(grant->sealed_key, name + ": the key for " + user->keys.name);
      }
      if (state_.needs_rotation(entry)) {
        note(name, "a user who was removed knew its key; it is re-keyed when somebody next adds to it");
      }
    }
  }

  void check_audit() {
    const auto audit = verify_audit(session_);
    result_.audit_entries = audit.entries;
    result_.findings.insert(result_.findings.end(), audit.findings.begin(), audit.findings.end());
    if (!audit.contents_checked)
      note("audit/log", "the entries themselves were not read: only owners and auditors can");
    const auto extra = File::open_for_reading(session_.folder() / "audit" / "log")->size() % kAuditRecordSize;
    if (extra != 0) note("audit/log", "an unfinished entry at the end, left by a crash; the next access removes it");
  }

  void check_case(const CaseEntry& entry) {
    const auto name = "C-" + std::to_string(entry.number);
    const auto path = case_path(session_.folder(), entry.id, entry.epoch);
    if (entry.epoch > 0 && !File::open_for_reading(path)) {
      everything_reached_ = false;
      bad("cases/" + path.filename().string(), "the database of " + name + " is missing; " + std::string(kRestore));
      return;
    }
    if (state_.grant_of(entry, session_.user_id()) == nullptr) {
      ++result_.cases_closed_to_me;
      everything_reached_ = false;
      return;
    }
    try {
      check_open_case(entry, name, "cases/" + path.filename().string());
    } catch (const Error& error) {
      if (error.code() != Errc::kDestroyed && error.code() != Errc::kCustodiansRefused) throw;
      session_.warn(name + ": " + error.what() + "; what is in it could not be looked at");
      ++result_.cases_closed_to_me;
      everything_reached_ = false;
    }
  }

  void check_open_case(const CaseEntry& entry, const std::string& name, const std::string& file) {
    bool reached = false;
    guarded(file + " (" + name + ")", [&] {
      session_.catalog().refresh();
      const auto open = open_case(session_, entry.number, Right::kRead, "verify", name);
      session_.record("verify", name);
      for (const auto& line : open.store.database().check_integrity()) bad(file, line + "; " + std::string(kRestore));
      std::optional<Transaction> hold(open.store.database());  // nobody adds while rows, chain and log are compared
      session_.log().refresh();
      for (const auto& line : check_case_rows(open.store)) bad(file, line + "; somebody wrote to it without casevault");
      check_changes(open, name);
      hold.reset();
      check_records(open, name);
      reached = true;
    });
    everything_reached_ = everything_reached_ && reached;
    ++result_.cases_checked;
  }

  void check_changes(const OpenCase& open, const std::string& name) {
    std::uint64_t log_size = 0;
    std::uint32_t epoch = 0;
    std::map<std::uint64_t, TreeHash> cites;
    const auto changes = read_chain(open.store.database());
    check_heads(open, changes, name);
    for (const auto& change : changes) {
      const auto object = name + ": change " + std::to_string(change.number);
      guarded(object, [&] { check_case_change(state_, open.store, change, object); });
      const auto statement = parse_statement(change.statement, object);
      if (statement.log.size < log_size) bad(object, "it was made to look older than the change before it");
      if (statement.epoch < epoch) bad(object, "it claims an older key than the change before it");
      epoch = std::max(epoch, statement.epoch);
      log_size = std::max(log_size, statement.log.size);
      cites.emplace(statement.log.size, statement.log.root);
    }
    std::set<std::uint64_t> sizes;
    for (const auto& [size, root] : cites) sizes.insert(size);
    const auto roots = session_.log().roots_at(sizes);
    const bool all_hold = std::ranges::all_of(cites, [&](const auto& cite) {
      const auto found = roots.find(cite.first);
      return found != roots.end() && found->second == cite.second;
    });
    if (!all_hold)
      bad(name, "it was changed after a state of the audit log that is no more: the log was altered; " +
                    std::string(kRestore));
  }

  /// Every head that was ever published must be in the chain, not only the last.
  void check_heads(const OpenCase& open, const std::vector<Change>& changes, const std::string& name) {
    const auto id = to_hex(open.store.id());
    for (const auto& change : read_chain(session_.catalog().database())) {
      const auto statement = parse_canonical(change.statement, "catalogue change " + std::to_string(change.number));
      if (statement.value("kind", "") != "case-head" || statement.value("case", "") != id) continue;
      Fields fields(statement, "catalogue change " + std::to_string(change.number));
      const auto count = fields.count("count");
      const auto hash = fields.hex<32>("hash");
      if (count > 0 && (count > changes.size() || changes[count - 1].hash != hash)) {
        bad(name, "its chain is not the one that was published as " + std::to_string(count) + " changes long");
      }
    }
  }

  void check_records(const OpenCase& open, const std::string& name) {
    for (const auto& body : open.store.body_names()) known_bodies_.insert(body);
    for (const auto& leftover : session_.bodies().names_of(open.store.body_name_key())) {
      if (open.store.is_body_referenced(leftover)) continue;
      known_bodies_.insert(leftover);
      note("bodies/" + leftover.substr(0, 2) + "/" + leftover,
           "left in " + name + " by an interrupted command; the next add removes it");
    }
    for (const auto& record : open.store.records()) {
      for (const auto& version : record.versions) {
        if (!version.details) continue;
        const auto object = name + "/" + to_string(record.id) + " version " + std::to_string(version.number);
        guarded(object, [&] { check_content(open, version, object); });
        ++result_.versions_checked;
      }
    }
  }

  void check_content(const OpenCase& open, const Version& version, const std::string& object) {
    if (const auto origin = open.store.origin(version)) custody_hops(*origin, *version.details, object);
    const auto content = open.store.content(version);
    if (const auto* bytes = std::get_if<Bytes>(&content)) {
      if (sha256(*bytes) != version.details->sha256)
        bad(object, "its content is not what was added; " + std::string(kRestore));
      return;
    }
    const auto& ref = std::get<BodyRef>(content);
    const auto path = "bodies/" + ref.name.substr(0, 2) + "/" + ref.name;
    if (is_absent_partly_ && !std::filesystem::exists(session_.folder() / path)) {
      ++result_.bodies_absent;
      return;
    }
    guarded(path + " (" + object + ")", [&] {
      auto body = session_.bodies().open(ref, version.details->size);
      ++result_.bodies_checked;
      if (quick_) return;
      if (hash_of(body) != version.details->sha256)
        bad(path + " (" + object + ")", "its content is not what was added; " + std::string(kRestore));
      body.check_padding();
    });
  }

  Sha256Digest hash_of(BodyStore::Reader& body) {
    Sha256 hash;
    Bytes block(kBlockSize);
    for (std::uint64_t at = 0; at < body.size();) {
      stop_if_interrupted(session_.environment());
      const auto got = body.read_at(at, block);
      hash.update(ByteView(block).first(got));
      at += got;
      bytes_done_ += got;
      if (progress_) progress_(bytes_done_, bytes_done_ + body.size() - at);
    }
    return hash.finish();
  }

  void check_bodies_folder() {
    const auto listing = session_.bodies().list();
    for (const auto& stranger : listing.strangers) note("bodies/" + stranger, "not part of the vault");
    if (!everything_reached_) {
      note("bodies",
           "cases that you may not read, or that are damaged, were not checked, so it is not known which bodies belong "
           "to no record");
      return;
    }
    for (const auto& body : listing.bodies) {
      if (!known_bodies_.contains(body)) note("bodies/" + body.substr(0, 2) + "/" + body, "belongs to no record");
    }
  }

  Session& session_;
  bool quick_;
  const Progress& progress_;
  const CatalogState& state_;
  VerifyResult result_;
  std::set<std::string> known_bodies_;
  bool everything_reached_ = true;
  std::uint64_t bytes_done_ = 0;
  bool is_absent_partly_ = std::filesystem::exists(session_.folder() / kAbsentMark);
};

}  // namespace

bool VerifyResult::clean() const {
  return std::ranges::none_of(findings, [](const Finding& f) { return f.weight == kBad; });
}

VerifyResult verify_vault(Session& session, bool quick, const Progress& progress) {
  session.record("verify", "");
  return Verification(session, quick, progress).run();
}

}  // namespace casevault
