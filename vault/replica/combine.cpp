#include "vault/replica/combine.h"

#include <nlohmann/json.hpp>

#include "crypto/random.h"
#include "vault/access/case_access.h"
#include "vault/access/decoy.h"
#include "vault/access/handover.h"
#include "vault/access/session_keys.h"
#include "vault/access/trustees.h"
#include "vault/audit/log.h"
#include "vault/records/export_folder.h"
#include "vault/replica/known.h"
#include "vault/replica/layout.h"
#include "vault/storage/catalog.h"
#include "vault/storage/layout.h"

namespace casevault {
namespace {

constexpr std::size_t kMaxHeaderSize = 64u << 10;  // bytes

std::string case_name(std::int64_t number) { return "C-" + std::to_string(number); }

/// Files only: whoever made the copy may have put anything else there.
void copy_files(const Path& from, const Path& to, const std::vector<std::string>& names) {
  for (const auto& name : names) {
    if (!std::filesystem::is_regular_file(std::filesystem::symlink_status(from / name))) continue;
    std::error_code failure;
    std::filesystem::copy_file(from / name, to / name, failure);
    if (!failure) continue;
    throw Error(error_code_of(failure.value()), "cannot copy " + (from / name).string() + ": " + failure.message(),
                "free some space, or choose another disk with --vault DIR");
  }
}

/// Copies from a stick or a disc may be read-only.
void make_writable(const Path& folder) {
  using std::filesystem::perms;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    std::filesystem::permissions(entry.path(),
                                 entry.is_directory() ? perms::owner_all : perms::owner_read | perms::owner_write);
  }
}

constexpr std::string_view kWorkshopSuffix = ".recovery.partial";

/// The vault that is being put together, in a locked folder beside its place; removed unless it is moved there.
class Workshop {
 public:
  explicit Workshop(const Path& target)
      : target_(std::filesystem::absolute(target).lexically_normal()),
        prefix_("." + target_.filename().string() + "."),
        folder_(target_.parent_path() / (prefix_ + to_hex(random_array<8>()) + std::string(kWorkshopSuffix))) {
    remove_leftovers();
    make_directory(folder_);
    lock_ = File::open_directory(folder_);
    lock_->try_lock(File::Lock::kExclusive);
  }
  ~Workshop() {
    std::error_code ignored;
    if (!finished_) std::filesystem::remove_all(folder_, ignored);
  }
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;
  const Path& folder() const { return folder_; }
  void finish() {
    sync_file_system(folder_);
    replace_by_rename(folder_, target_);
    finished_ = true;
  }

 private:
  /// Of runs that were cut off: nobody holds their locks.
  void remove_leftovers() const {
    for (const auto& name : list_directory(target_.parent_path())) {
      const auto path = target_.parent_path() / name;
      if (!name.starts_with(prefix_) || !name.ends_with(kWorkshopSuffix)) continue;
      if (!std::filesystem::is_directory(std::filesystem::symlink_status(path))) continue;
      std::error_code ignored;
      if (File::open_directory(path).try_lock(File::Lock::kExclusive)) std::filesystem::remove_all(path, ignored);
    }
  }

  Path target_;
  std::string prefix_;
  Path folder_;
  std::optional<File> lock_;
  bool finished_ = false;
};

void copy_keys_and_databases(const Path& source, const Path& folder) {
  copy_files(source, folder, {kVaultFiles.begin(), kVaultFiles.end()});
  for (const auto* name : {"cases", "bodies", "handover", "audit"}) {
    make_directory(folder / name);
    if (name != std::string_view("bodies")) copy_files(source / name, folder / name, list_directory(source / name));
  }
  make_writable(folder);
  sync_file_system(folder);
}

void copy_bodies(const Path& source, const Path& folder, const Environment& environment,
                 const RestoreProgress& progress) {
  ReplicaStore::Names names;
  std::uint64_t total = 0;
  std::uint64_t done = 0;
  for (const auto& body : BodyStore(source / "bodies").list().bodies) {
    names.push_back(body_object_name(body));
    if (const auto file = File::open_for_reading(source / names.back())) total += file->size();
  }
  make_folder_store(source, environment)->fetch(names, folder, [&](std::uint64_t bytes) {
    done += bytes;
    if (progress) progress(std::min(done, total), total);
  });
  sync_file_system(folder);
}

/// What is lost with one of these is a case, or nothing: slots and the spare vault are made anew.
bool can_do_without(const std::string& file) {
  return file == "slots" || file.starts_with("cases/") || file.starts_with("handover/join-") ||
         file.starts_with(std::string(kSpare) + "/");
}

class Combination {
 public:
  Combination(const CombineRequest& request, const RecoverySeed& seed, const Environment& environment,
              const RecoveryObserver& observer, const RestoreProgress& progress)
      : request_(request),
        seed_(seed),
        environment_(environment),
        observer_(observer),
        progress_(progress),
        workshop_(request.folder.has_filename() ? request.folder : request.folder.parent_path()) {}

  CombineResult run(const SecretBytes& passphrase) {
    observer_("reading what the shares are to open");
    take_keys_and_databases();
    header_ = Vault::open(folder(), environment_).header();
    trustees_ = recovery_identity(seed_, header_.vault_id, header_.root_key);
    check_shares();
    observer_("copying " + request_.source.source);
    take_bodies();
    auto slot_key = renew_keys(passphrase);
    observer_("giving the cases new keys");
    rekey_and_verify({request_.user, std::move(slot_key), 0, std::nullopt});
    workshop_.finish();
    return std::move(result_);
  }

 private:
  const Path& folder() const { return workshop_.folder(); }

  /// A vault's folder is taken as it is, whatever became of its slots; of a damaged replica what is whole.
  void take_keys_and_databases() {
    if (is_vault_folder(request_.source.source)) return copy_keys_and_databases(request_.source.source, folder());
    auto without_bodies = request_.source;
    without_bodies.leave_bodies = true;
    rebuilt_ = rebuild_vault(without_bodies, folder(), request_.rclone, environment_, {});
    result_.warnings = rebuilt_->warnings;
    for (const auto& file : rebuilt_->lost) {
      if (can_do_without(file)) continue;
      const auto& first = rebuilt_->findings.front();
      throw Error(Errc::kDamaged, first.object + " " + first.meaning);
    }
  }

  /// What is missing or was changed stays away; it is found when everything is read.
  void take_bodies() {
    if (!rebuilt_) return copy_bodies(request_.source.source, folder(), environment_, progress_);
    fetch_bodies(*rebuilt_, std::nullopt, request_.source, folder(), request_.rclone, environment_, progress_);
  }

  /// Before what takes long, and before anything is changed: whether the shares open it, and whether it is one copy.
  void check_shares() {
    const auto catalog = open_catalog();
    const auto log = AuditLog::open(folder() / "audit", header_.vault_id, header_.audit_key, environment_);
    const auto seen = log.newest_state(state_key_of(*catalog_key_, header_.vault_id));
    if (seen && chain_hash_at(catalog.database(), seen->count) != seen->hash) {
      accept_older("the catalogue of this copy is older than its audit log: it was rolled back");
      result_.was_rolled_back = true;
    }
    if (rebuilt_) return;
    const auto known = known_snapshot(environment_, header_.vault_id);
    if (known && known->log_size > log.head().size)
      accept_older("this copy is older than snapshot " + std::to_string(known->number) +
                   " of a replica that this machine knows of");
    result_.warnings.emplace_back("the source is a vault's folder: nothing shows whether it is the newest copy");
  }

  void accept_older(const std::string& what) {
    if (!request_.source.older)
      throw Error(Errc::kDamaged, what, "take a newer copy, or this one all the same: --older");
    result_.warnings.push_back(what);
  }

  /// Who put the snapshot together, before anything of it is used.
  void check_snapshot(const CatalogKey& key, const CatalogState& state) const {
    if (!rebuilt_ || signer_of(rebuilt_->snapshot->manifest, key, state)) return;
    throw Error(Errc::kDamaged,
                rebuilt_->snapshot->name + " is not signed by anybody in this vault: somebody else put it together",
                "take another snapshot: --snapshot N --older");
  }

  [[noreturn]] static void refuse_shares() {
    throw Error(
        Errc::kWrongPassphrase,
        "these shares do not open this copy: other sheets had taken their place when it was made, or it was made "
        "before they were, or it is of another vault",
        "take the sheets that were made last before the copy, or an older copy: sheets bear their date");
  }

  /// The catalogue as the copy has it, believed once owners of this vault stand behind it.
  Catalog open_catalog() {
    const auto handed = handed_to_trustees(folder(), header_.vault_id, *trustees_);
    if (!handed) refuse_shares();
    auto catalog =
        Catalog::open(folder() / "catalog.db", handed->key, handed->epoch, header_.vault_id, header_.root_key);
    const auto& state = catalog.state();
    if (!state.recovery() || state.recovery()->keys.id != trustees_->id) refuse_shares();
    const auto* by = state.find_user(handed->by);
    if (by == nullptr || by->role != Role::kOwner ||
        !verify_handover(state.vault(), *handed, trustees_->id, by->keys.sign)) {
      throw Error(Errc::kDamaged,
                  "the catalogue key for the trustees is not from an owner of this vault: do not go on");
    }
    check_snapshot(handed->key, state);
    catalog_key_ = handed->key.clone();
    const auto file = read_small_file(folder() / "vault.json", kMaxHeaderSize);
    if (sha256(*file) != state.header_hash()) {
      const auto copy = catalog.blob(state.header_hash());
      if (!copy) throw Error(Errc::kDamaged, "vault.json is another one than the catalogue says, and its copy is lost");
      header_ = parse_header(*copy, environment_.cost_floor);
    }
    return catalog;
  }

  RoleKeys open_roles(const Catalog& catalog) const {
    auto roles = unseal_role_keys(catalog.blob(catalog.state().recovery()->role_keys), trustees_->box);
    const bool is_root =
        roles.root && SigningKey::from_seed(roles.root->clone()).verify_key() == catalog.state().root();
    if (!is_root) throw Error(Errc::kDamaged, "catalog.db: the root key for the trustees is another vault's");
    return roles;
  }

  void open_cases(const Catalog& catalog) {
    for (const auto& [number, entry] : catalog.state().cases()) {
      try {
        if (!entry.recovery_key) throw Error(Errc::kDamaged, "it was never sealed to the trustees");
        secrets_.emplace(number, open_case_secrets(*trustees_, catalog.blob(*entry.recovery_key), entry));
      } catch (const Error& error) {
        if (error.code() != Errc::kDamaged) throw;
        result_.lost.push_back(lost_case(catalog.state(), entry));
      }
    }
  }

  static LostCase lost_case(const CatalogState& state, const CaseEntry& entry) {
    LostCase lost{entry.number, {}};
    for (const auto* user : state.active_users()) {
      if (state.grant_of(entry, user->keys.id) != nullptr) lost.who_could.push_back(user->keys.name);
    }
    return lost;
  }

  void describe(const Catalog& catalog, const AuditLog& log) {
    const auto& state = catalog.state();
    result_.organisation = state.organisation();
    result_.threshold = state.recovery()->threshold;
    result_.count = state.recovery()->count;
    result_.fingerprint = fingerprint(state.vault(), state.root());
    for (const auto* user : state.active_users()) result_.put_out.push_back(user->keys.name);
    result_.was_under_custody = state.custody_epoch() > 0;
    result_.audit_entries = log.head().size;
    const auto changes = read_chain(catalog.database());
    result_.newest_ms = nlohmann::json::parse(changes.back().statement).value("time", std::int64_t{0});
  }

  /// From the copy to a vault that only the new owner opens. Returns the key of their slot.
  SlotKey renew_keys(const SecretBytes& passphrase) {
    auto catalog = open_catalog();
    auto roles = open_roles(catalog);
    const auto organisation = unseal_organisation_keys(catalog.blob(catalog.state().recovery()->organisation),
                                                       trustees_->box, catalog.state().sharing());
    auto log = AuditLog::open(folder() / "audit", header_.vault_id, header_.audit_key, environment_);
    describe(catalog, log);
    open_cases(catalog);
    // Signed by nobody who is in the vault; from here on the log is longer than anything that they could cite.
    log.append({"recovery-combine", "", "begun"}, nullptr, nullptr);

    roles.audit.push_back(BoxKeyPair::random());
    header_.audit_key = roles.audit.back().public_key;
    header_.salt = random_array<16>();
    header_.cost = environment_.new_vault_cost;
    header_.custody.clear();
    auto slot_key = plain_slot_key(header_, stretch_user_passphrase(header_, request_.user, passphrase));
    put_catalogue(catalog, log.head(), roles, organisation, slot_key);
    renew_spare();
    return slot_key;
  }

  nlohmann::json statement_of(std::string_view kind, const UserId& by, const LogCite& cite) const {
    return {{"kind", kind},
            {"by", to_hex(by)},
            {"time", environment_.now_ms()},
            {"log_size", cite.size},
            {"log_root", to_hex(cite.root)}};
  }

  void put_catalogue(Catalog& catalog, const LogCite& cite, const RoleKeys& roles,
                     const OrganisationKeyRing& organisation, const SlotKey& slot_key) {
    const auto owner = Identity::random();
    const auto key = CatalogKey::random();
    const auto epoch = catalog.state().epoch() + 1;
    const auto header_file = encode_header(header_, SigningKey::from_seed(roles.root->clone()));
    const auto handover = encode_handover(header_.vault_id, key, epoch, owner, {public_half(owner, request_.user)},
                                          Handing::kWhole, catalog.state().trustees());
    const auto slot = write_slot(slot_key, owner, key, epoch);
    const auto partial = folder() / ("." + to_hex(random_array<8>()) + ".partial");
    {
      auto target = catalog.copy_to(partial, key, epoch);
      Catalog::Update update(target);
      auto statement = statement_of("recover", trustees_->id, cite);
      statement["user"] = user_to_json(public_half(owner, request_.user));
      statement["slot"] = slot;
      statement["generation"] = 1;
      statement["slot_hash"] = to_hex(Slots::open(folder() / "slots").hash(slot));
      statement["epoch"] = epoch;
      statement["removed"] = put_everybody_out(update);
      statement["cases"] = hand_over_cases(update, owner.box.public_key);
      update.erase_blob(update.state().header_hash());
      update.erase_blob(update.state().handover_hash());
      statement["header"] = to_hex(update.put_blob(header_file));
      statement["handover"] = to_hex(update.put_blob(handover));
      statement["role_keys"] = to_hex(update.put_blob(seal_role_keys(roles, owner.box.public_key)));
      update.append(statement, trustees_->signing);
      auto keys = statement_of("organisation-key", owner.id, cite);
      keys["user"] = to_hex(owner.id);
      keys["key"] = to_hex(update.put_blob(seal_organisation_keys(organisation, owner.box.public_key)));
      update.append(keys, owner.signing);
      const Author author{owner.signing, [&](std::string_view kind) { return statement_of(kind, owner.id, cite); }};
      append_recovery_keys(update, author, roles, organisation);
      update.commit();
      target.set_log_head(cite);
    }
    put_files(partial, header_file, handover, epoch);
  }

  std::size_t write_slot(const SlotKey& slot_key, const Identity& owner, const CatalogKey& key,
                         std::uint32_t epoch) const {
    const auto path = folder() / "slots";
    remove_file(path);
    Slots::create(path);
    const auto index = read_be64(random_array<8>()) % kSlotCount;
    Slots::open(path).write(index, seal_slot(header_, slot_key,
                                             {owner.id, 1, owner.signing.seed().clone(), owner.box.secret_key.clone(),
                                              header_.root_key, epoch, key.clone()}));
    return index;
  }

  static nlohmann::json put_everybody_out(Catalog::Update& update) {
    auto list = nlohmann::json::array();
    for (const auto* user : update.state().active_users()) {
      list.push_back(to_hex(user->keys.id));
      if (user->role_keys) update.erase_blob(*user->role_keys);
      if (const auto keys = update.state().sharing().sealed_keys_of(user->keys.id)) update.erase_blob(*keys);
    }
    return list;
  }

  nlohmann::json hand_over_cases(Catalog::Update& update, const BoxPublicKey& to) const {
    auto list = nlohmann::json::array();
    for (const auto& [number, secrets] : secrets_) {
      list.push_back({{"case", to_hex(update.state().find_case(number)->id)},
                      {"key", to_hex(update.put_blob(seal_to(to, secrets.key)))}});
    }
    return list;
  }

  /// Requests to join were sealed to a key that others may have; their people ask again.
  void put_files(const Path& catalog, const Bytes& header, const Bytes& handover, std::uint32_t epoch) const {
    remove_file(catalog.string() + "-journal");
    remove_file(folder() / "catalog.db-journal");
    replace_by_rename(catalog, folder() / "catalog.db");
    replace_file(folder() / "vault.json", header);
    for (const auto& name : list_directory(folder() / "handover")) remove_file(folder() / "handover" / name);
    replace_file(handover_path(folder(), epoch), handover);
  }

  void renew_spare() const {
    std::filesystem::remove_all(folder() / kSpare);
    make_spare(folder() / kSpare, {result_.organisation, request_.user}, environment_);
  }

  /// False where the case's database is damaged: the others are worth having.
  static bool rekey(Session& session, std::int64_t number, const CaseSecrets& secrets) {
    try {
      auto open = open_case_with(session, number, secrets.key, secrets.share);
      rotate_case(session, open, {});
    } catch (const Error& error) {
      if (error.code() != Errc::kDamaged) throw;
      return false;
    }
    session.record("case-rekey", case_name(number));
    return true;
  }

  void rekey_and_verify(SlotAccess access) {
    auto vault = Vault::open(folder(), environment_);
    auto session = vault.unlock(access);
    for (const auto& [number, secrets] : secrets_) {
      stop_if_interrupted(environment_);
      if (rekey(session, number, secrets)) {
        result_.cases.push_back(number);
      } else {
        result_.lost.push_back({number, {}});
      }
    }
    // What custodians of before were to delete: they are not the vault's any more.
    for (const auto& file : session.catalog().unfinished()) {
      if (file.find('/') != file.npos) session.catalog().set_finished(file);
    }
    session.record("recovery-combine", request_.user,
                   result_.was_rolled_back ? "done, from a rolled back copy" : "done");
    observer_("reading and checking everything");
    result_.verification = verify_vault(session, false, progress_);
  }

  const CombineRequest& request_;
  const RecoverySeed& seed_;
  const Environment& environment_;
  const RecoveryObserver& observer_;
  const RestoreProgress& progress_;
  Workshop workshop_;
  Header header_;
  std::optional<Identity> trustees_;       // of the vault that header_ names
  std::optional<CatalogKey> catalog_key_;  // of the copy
  std::optional<Rebuilt> rebuilt_;         // of a replica
  std::map<std::int64_t, CaseSecrets> secrets_;
  CombineResult result_;
};

}  // namespace

namespace {

void check_source(const CombineRequest& request, const Environment& environment) {
  const auto& source = request.source.source;
  if (!is_remote(source)) {
    if (!std::filesystem::is_directory(source))
      throw Error(Errc::kNoVault, "there is no copy of a vault: " + source, "name one with --from SOURCE");
    refuse_inside_vault(source, request.folder, "the folder for the recovered vault");
  }
  if (is_vault_folder(source)) {
    if (request.source.snapshot)
      throw Error(Errc::kUsage, "this is the folder of a vault, which has no snapshots: " + source,
                  "leave --snapshot out");
    return;
  }
  if (snapshot_names(open_replica_store(source, request.rclone, environment)->list()).empty())
    throw Error(Errc::kNoVault, "there is no replica or copy of a vault in " + source,
                "name the folder in which snapshots/ or vault.json lies: --from SOURCE");
}

}  // namespace

void check_combine(const CombineRequest& request, const Environment& environment) {
  check_source(request, environment);
  if (!is_valid_user_name(request.user))
    throw Error(Errc::kUsage, "a user name is 1 to 64 bytes of text, without commas, control or path characters",
                "choose a name with --user NAME");
  const bool is_taken = std::filesystem::exists(std::filesystem::symlink_status(request.folder)) &&
                        (!std::filesystem::is_directory(request.folder) || !std::filesystem::is_empty(request.folder));
  if (is_taken)
    throw Error(Errc::kUsage, "the folder for the recovered vault is not empty", "choose another with --vault DIR");
  const auto parent = std::filesystem::absolute(request.folder / "..").lexically_normal();
  if (!std::filesystem::is_directory(parent))
    throw Error(Errc::kUsage, "the folder that the vault is to be made in does not exist: " + parent.string(),
                "make it first: mkdir -p " + parent.string());
}

CombineResult combine_vault(const CombineRequest& request, const RecoverySeed& seed, const SecretBytes& passphrase,
                            const Environment& environment, const RecoveryObserver& observer,
                            const RestoreProgress& progress) {
  check_combine(request, environment);
  return Combination(request, seed, environment, observer, progress).run(passphrase);
}

}  // namespace casevault
