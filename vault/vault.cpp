#include "vault/vault.h"

#include <algorithm>

#include "crypto/encoding.h"
#include "crypto/random.h"
#include "vault/access/decoy.h"
#include "vault/access/handover.h"
#include "vault/access/join.h"
#include "vault/access/role_keys.h"
#include "vault/access/trustees.h"
#include "vault/access/unlock.h"
#include "vault/raid/wipe.h"
#include "vault/records/export_folder.h"
#include "vault/replica/sheet.h"
#include "vault/session_parts.h"
#include "vault/sharing/organisation.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

constexpr std::size_t kMaxHeaderSize = 64u << 10;
constexpr int kLockTimeoutMs = 10'000;

void require_empty(const Path& folder) {
  if (!std::filesystem::exists(std::filesystem::symlink_status(folder))) return;
  if (std::filesystem::exists(folder / "vault.json")) {
    throw Error(Errc::kUsage, "there is a vault here already", "casevault status --vault " + folder.string());
  }
  if (!std::filesystem::is_directory(folder) || !std::filesystem::is_empty(folder)) {
    throw Error(Errc::kUsage, "the folder for the new vault is not empty", "choose another folder with --vault DIR");
  }
}

void require_parent(const Path& folder) {
  const auto parent = std::filesystem::absolute(folder / "..").lexically_normal();
  if (std::filesystem::is_directory(parent)) return;
  throw Error(Errc::kUsage, "the folder that the vault is to be made in does not exist: " + parent.string(),
              "make it first: mkdir -p " + parent.string());
}

void check_trustees(const Path& vault, const TrusteePlan& plan) {
  check_trustee_numbers(plan.threshold, plan.count);
  check_sheet_folder(plan.sheets);
  refuse_inside_vault(vault, plan.sheets, "the folder for the shares");
}

void require_valid_names(const NewVault& choices) {
  if (!is_valid_user_name(choices.user)) {
    throw Error(Errc::kUsage, "a user name is 1 to 64 bytes of text, without commas, control or path characters",
                "choose a name with --user NAME");
  }
  auto organisation = choices.organisation;
  std::ranges::replace(organisation, ',', '.');  // the one character that only user names must not have
  if (!is_valid_user_name(organisation)) {
    throw Error(Errc::kUsage, "the organisation's name is 1 to 64 bytes of text, without control or path characters",
                "casevault init --organisation NAME");
  }
}

/// Removes a half-made vault unless told that it was finished.
class Scaffold {
 public:
  explicit Scaffold(Path folder) : folder_(std::move(folder)) { make_directory(folder_); }
  ~Scaffold() {
    std::error_code ignored;
    if (!finished_) std::filesystem::remove_all(folder_, ignored);
  }
  Scaffold(const Scaffold&) = delete;
  Scaffold& operator=(const Scaffold&) = delete;
  const Path& folder() const { return folder_; }
  void move_to(const Path& target) {
    try {
      replace_by_rename(folder_, target);
    } catch (const Error&) {
      require_empty(target);  // another init may have been quicker: then that is what there is to say
      throw;
    }
    finished_ = true;
  }

 private:
  Path folder_;
  bool finished_ = false;
};

/// What every statement has, before there is a log.
nlohmann::json common_fields(std::string_view kind, const UserKeys& owner, std::int64_t now_ms) {
  return {{"kind", kind},
          {"by", to_hex(owner.id)},
          {"time", now_ms},
          {"log_size", 0},
          {"log_root", to_hex(merkle_empty_root())}};
}

/// The founding statement: the first owner, certified by the root key.
nlohmann::json foundation(const UserKeys& owner, const VaultId& vault, const SigningKey& root, std::int64_t now_ms) {
  const auto certificate = root.sign(kRootCertificateDomain, root_certificate_message(vault, owner));
  auto statement = common_fields("found", owner, now_ms);
  statement["user"] = user_to_json(owner);
  statement["certificate"] = to_base64(certificate);
  return statement;
}

struct MadeVault {
  SlotKey slot_key;
  std::optional<NewRecoverySet> trustees;
};

/// A whole vault in a folder that is there and empty. Without a passphrase it opens by the key that is returned.
MadeVault make_vault(const Path& place, const NewVault& choices, const SecretBytes* passphrase,
                     const Environment& environment) {
  for (const auto* name : {"cases", "bodies", "handover", "audit"}) make_directory(place / name);

  const auto root = SigningKey::random();
  const auto identity = Identity::random();
  const auto owner = public_half(identity, choices.user);
  RoleKeys role_keys;
  role_keys.root = root.seed().clone();
  role_keys.audit.push_back(BoxKeyPair::random());
  const Header header{random_array<16>(), random_array<16>(), environment.new_vault_cost,
                      role_keys.audit.front().public_key, root.verify_key()};
  const auto header_file = encode_header(header, root);
  replace_file(place / "vault.json", header_file);

  const auto catalog_key = CatalogKey::random();
  const auto slot_index = read_be64(random_array<8>()) % kSlotCount;
  Slots::create(place / "slots");
  auto slots = Slots::open(place / "slots");
  const auto slot_key = passphrase != nullptr
                            ? plain_slot_key(header, stretch_user_passphrase(header, choices.user, *passphrase))
                            : SlotKey::random();
  slots.write(slot_index, seal_slot(header, slot_key,
                                    {identity.id, 1, identity.signing.seed().clone(), identity.box.secret_key.clone(),
                                     root.verify_key(), 1, catalog_key.clone()}));
  std::optional<NewRecoverySet> trustees;
  std::optional<UserKeys> together;
  if (choices.trustees) {
    trustees = make_recovery_set(choices.trustees->threshold, choices.trustees->count, header.vault_id,
                                 root.verify_key(), nullptr);
    together = public_half(trustees->identity, "trustees");
  }
  const auto handover = encode_handover(header.vault_id, catalog_key, 1, identity, {owner}, Handing::kWhole, together);
  replace_file(handover_path(place, 1), handover);

  AuditLog::create(place / "audit");
  auto log = AuditLog::open(place / "audit", header.vault_id, header.audit_key, environment);
  auto catalog = Catalog::create(place / "catalog.db", catalog_key, 1, header.vault_id, root.verify_key());
  Catalog::Update update(catalog);
  auto statement = foundation(owner, header.vault_id, root, environment.now_ms());
  statement["organisation"] = choices.organisation;
  statement["slot"] = slot_index;
  statement["generation"] = 1;
  statement["slot_hash"] = to_hex(slots.hash(slot_index));
  statement["header"] = to_hex(update.put_blob(header_file));
  statement["handover"] = to_hex(update.put_blob(handover));
  statement["role_keys"] = to_hex(update.put_blob(seal_role_keys(role_keys, owner.box)));
  update.append(statement, identity.signing);
  OrganisationKeyRing organisation;
  organisation.push_back(OrganisationKeys::random());
  put_organisation_keys(update, common_fields("organisation", owner, environment.now_ms()), organisation,
                        identity.signing);
  if (trustees) {
    const Author author{identity.signing,
                        [&](std::string_view kind) { return common_fields(kind, owner, environment.now_ms()); }};
    append_recovery_set(update, author, *trustees);
    append_recovery_keys(update, author, role_keys, organisation);
  }
  update.commit();

  const auto state_key = state_key_of(catalog_key, header.vault_id);
  const AuditLog::State state{state_key, catalog.state().head()};
  log.append({"init", "", "done"}, &identity, &state);
  catalog.set_log_head(log.head());
  sync_directory(place);
  return {slot_key.clone(), std::move(trustees)};
}

}  // namespace

void Vault::create(const Path& folder, const NewVault& choices, const SecretBytes& passphrase,
                   const Environment& environment) {
  require_valid_names(choices);
  require_empty(folder);
  require_parent(folder);
  if (choices.trustees) check_trustees(folder, *choices.trustees);
  const auto target = std::filesystem::absolute(folder).lexically_normal();
  const auto parent = (target.has_filename() ? target : target.parent_path()).parent_path();
  Scaffold scaffold(parent / ("." + to_hex(random_array<8>()) + ".partial"));
  const auto trustees = make_vault(scaffold.folder(), choices, &passphrase, environment).trustees;
  make_spare(scaffold.folder() / kSpare, choices, environment);
  sync_directory(scaffold.folder());
  if (trustees) {
    const auto header = open(scaffold.folder(), environment).header();
    write_sheets(choices.trustees->sheets,
                 {choices.organisation, fingerprint(header.vault_id, header.root_key), environment.now_ms()},
                 *trustees);
  }
  try {
    scaffold.move_to(target.has_filename() ? target : target.parent_path());
  } catch (const Error&) {
    if (trustees) shred_sheets(choices.trustees->sheets);
    throw;
  }
}

SlotKey make_spare(const Path& place, const NewVault& choices, const Environment& environment) {
  make_directory(place);
  return make_vault(place, {choices.organisation, choices.user, std::nullopt}, nullptr, environment).slot_key;
}

Vault::Vault(Path folder, Environment environment, Header header)
    : folder_(std::move(folder)), environment_(std::move(environment)), header_(header) {}

Vault Vault::open(const Path& folder, const Environment& environment) {
  const auto status = std::filesystem::symlink_status(folder / "vault.json");
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw Error(Errc::kDamaged, "vault.json is something else than a file",
                "restore vault.json from a copy of the vault");
  }
  const auto file = read_small_file(folder / "vault.json", kMaxHeaderSize);
  if (!file) {
    if (std::filesystem::exists(folder / "slots") && std::filesystem::exists(folder / "audit")) {
      throw Error(Errc::kDamaged, "vault.json is missing", "restore vault.json from a copy of the vault");
    }
    throw Error(Errc::kNoVault, "no vault here: " + folder.string(),
                "name one with --vault DIR, or make one: casevault init");
  }
  if (const auto tombstone = parse_tombstone(*file)) refuse_destroyed(folder, *tombstone, environment);
  return Vault(folder, environment, parse_header(*file, environment.cost_floor));
}

Session Vault::unlock(const std::string& user, const SecretBytes& passphrase) {
  auto access = slot_access(user, passphrase);
  return unlock(access);
}

SlotAccess Vault::slot_access(const std::string& user, const SecretBytes& passphrase) const {
  return find_slot_access(folder_, header_, environment_, user, passphrase);
}

Session Vault::unlock(SlotAccess& access) {
  auto parts = unlock_vault(folder_, header_, environment_, access);
  const auto alarm = std::move(parts->alarm);
  Session session(std::move(parts));
  follow_custody(session, access, alarm ? &*alarm : nullptr);
  cover_own_cases(session);
  return session;
}

std::string Vault::request_to_join(const std::string& user, const SecretBytes& passphrase) {
  if (!is_valid_user_name(user)) {
    throw Error(Errc::kUsage, "a user name is 1 to 64 bytes of text, without commas, control or path characters",
                "casevault user join NAME");
  }
  const auto identity = Identity::random();
  const auto slot_key = plain_slot_key(header_, stretch_user_passphrase(header_, user, passphrase));
  auto slots = Slots::open(folder_ / "slots");
  slots.file().lock(File::Lock::kShared, kLockTimeoutMs);
  if (!slots.find(header_, slot_key).empty() || waits_for_approval(folder_, header_, slot_key)) {
    throw Error(Errc::kUsage, "this name and passphrase are in use here already", "casevault status --user " + user);
  }
  const auto slot = seal_slot(header_, slot_key,
                              {identity.id, 1, identity.signing.seed().clone(), identity.box.secret_key.clone(),
                               header_.root_key, 0, CatalogKey::zero()});
  auto log = AuditLog::open(folder_ / "audit", header_.vault_id, header_.audit_key, environment_);
  log.append({"user-join", user, "asked"}, nullptr, nullptr);
  write_join_request(folder_, header_, identity, user, slot, environment_.now_ms());
  return fingerprint(header_.vault_id, public_half(identity, user));
}

}  // namespace casevault
