#include "vault/access/trustees.h"

#include <nlohmann/json.hpp>

#include "crypto/kdf.h"
#include "crypto/random.h"
#include "crypto/secret_layout.h"
#include "vault/access/case_keys.h"
#include "vault/access/session_keys.h"
#include "vault/custody/shares.h"

namespace casevault {
namespace {

// magic ‖ case id ‖ epoch ‖ case key ‖ 1 if there is a share ‖ share or zeros
constexpr std::string_view kMagic = "CVRC";
constexpr std::size_t kCaseSize = 4 + 16 + 4 + 32 + 1 + 32;

Bytes seal_case(const CaseEntry& entry, const CaseKey& key, const std::optional<CustodyShare>& share,
                const BoxPublicKey& to) {
  SecretWriter writer(kCaseSize);
  writer.put(as_bytes(kMagic)).put(entry.id).put(be32(entry.epoch)).put(key);
  writer.put(ByteArray<1>{std::byte{share.has_value()}});
  if (share) writer.put(*share);
  return seal_to(to, writer.finish());
}

void erase_present_keys(Catalog::Update& update) {
  const auto& set = *update.state().recovery();
  if (!set.keys_current) return;
  update.erase_blob(set.role_keys);
  update.erase_blob(set.organisation);
}

std::uint16_t free_identifier(const CatalogState* before) {
  while (true) {
    const auto bytes = random_array<2>();
    const auto identifier = static_cast<std::uint16_t>(
        (std::to_integer<unsigned>(bytes[0]) << 8 | std::to_integer<unsigned>(bytes[1])) & 0x7FFFU);
    if (before == nullptr || !before->had_recovery_set(identifier)) return identifier;
  }
}

}  // namespace

Identity recovery_identity(const RecoverySeed& seed, const VaultId& vault, const VerifyKey& root) {
  const auto which = concat({vault, root.bytes});
  auto signing = SigningKey::from_seed(derive_key<SigningSeed>(seed, "casevault/v1/recovery-sign", which));
  auto box = BoxKeyPair::from_secret(derive_key<BoxSecretKey>(seed, "casevault/v1/recovery-box", which));
  UserId id{};
  derive_bytes(seed, "casevault/v1/recovery-id", which, id);
  return {id, std::move(signing), std::move(box)};
}

void check_trustee_numbers(std::uint32_t threshold, std::uint32_t count) {
  if (threshold >= 2 && threshold <= count && count <= kMaxSlip39Shares) return;
  throw Error(Errc::kUsage,
              threshold == 1 ? "one trustee alone could open everything: at least two must be needed"
                             : "of trustees there are 2 to 16, and no more can be needed than there are",
              "for example --trustees 3/5: any three of five");
}

NewRecoverySet make_recovery_set(std::uint32_t threshold, std::uint32_t count, const VaultId& vault,
                                 const VerifyKey& root, const CatalogState* before) {
  const auto seed = RecoverySeed::random();
  const auto identifier = free_identifier(before);
  return {identifier, threshold, count, recovery_identity(seed, vault, root),
          slip39_split(seed, identifier, threshold, count)};
}

CaseSecrets open_case_secrets(const Identity& trustees, const std::optional<Bytes>& sealed, const CaseEntry& entry) {
  const auto plain = sealed ? open_sealed(trustees.box, *sealed) : std::nullopt;
  const auto require_sound = [&](bool sound) {
    if (!sound) {
      throw Error(Errc::kDamaged, "C-" + std::to_string(entry.number) +
                                      ": what was sealed of its key to the trustees is lost or wrong");
    }
  };
  require_sound(plain && plain->size() == kCaseSize);
  SecretReader reader(*plain);
  require_sound(as_text(reader.take<4>()) == kMagic && reader.take<16>() == entry.id &&
                read_be32(reader.take<4>()) == entry.epoch);
  CaseSecrets secrets{reader.take_key<CaseKey>(), std::nullopt};
  const auto has_share = reader.take<1>()[0];
  require_sound(has_share <= std::byte{1});
  if (has_share == std::byte{1}) secrets.share = reader.take_key<CustodyShare>();
  return secrets;
}

Author author_of(Session& session) {
  return {session.identity().signing, [&session](std::string_view kind) { return new_statement(session, kind); }};
}

void append_recovery_set(Catalog::Update& update, const Author& author, const NewRecoverySet& set) {
  if (update.state().recovery()) erase_present_keys(update);
  for (const auto& [number, entry] : update.state().cases()) {
    if (entry.recovery_key) update.erase_blob(*entry.recovery_key);
  }
  auto statement = author.statement("recovery");
  statement["set"] = set.identifier;
  statement["threshold"] = set.threshold;
  statement["count"] = set.count;
  statement["id"] = to_hex(set.identity.id);
  statement["sign"] = to_hex(set.identity.signing.verify_key().bytes);
  statement["box"] = to_hex(set.identity.box.public_key.bytes);
  update.append(statement, author.key);
}

void append_recovery_keys(Catalog::Update& update, const Author& author, const RoleKeys& roles,
                          const OrganisationKeyRing& organisation) {
  if (!update.state().recovery()) return;
  const auto& to = update.state().recovery()->keys.box;
  erase_present_keys(update);
  auto statement = author.statement("recovery-keys");
  statement["roles"] = to_hex(update.put_blob(seal_role_keys(roles, to)));
  statement["organisation"] = to_hex(update.put_blob(seal_organisation_keys(organisation, to)));
  update.append(statement, author.key);
}

void append_recovery_case(Catalog::Update& update, const Author& author, const CaseId& id, const CaseKey& key,
                          const std::optional<CustodyShare>& share) {
  const auto& set = update.state().recovery();
  if (!set) return;
  const auto& entry = *update.state().find_case(id);
  auto statement = author.statement("recovery-case");
  statement["case"] = to_hex(id);
  statement["epoch"] = entry.epoch;
  statement["set"] = set->identifier;
  statement["key"] = to_hex(update.put_blob(seal_case(entry, key, share, set->keys.box)));
  update.append(statement, author.key);
}

CaseSecrets case_secrets(Session& session, const CaseEntry& entry) {
  const auto& grant = *session.state().grant_of(entry, session.user_id());
  return {open_case_key(session, grant, "C-" + std::to_string(entry.number)), release_case_share(session, entry)};
}

void cover_case(Session& session, std::int64_t number) {
  const auto entry = *session.state().find_case(number);
  if (!session.state().recovery() || entry.recovery_key) return;
  const auto secrets = case_secrets(session, entry);
  Catalog::Update update(session.catalog());
  const auto& present = *update.state().find_case(number);
  if (present.epoch != entry.epoch || present.recovery_key) return;  // a colleague was quicker
  append_recovery_case(update, author_of(session), entry.id, secrets.key, secrets.share);
  update.commit();
}

void cover_own_cases(Session& session) {
  for (const auto number : cases_without_recovery(session.state())) {
    const auto* grant = session.state().grant_of(*session.state().find_case(number), session.user_id());
    if (grant == nullptr || grant->right < Right::kAdd) continue;
    try {
      cover_case(session, number);
      session.record("recovery-cover", "C-" + std::to_string(number));
    } catch (const Error& error) {
      // It waits for another time, or for a colleague; `status` names it.
      if (error.code() == Errc::kInterrupted || !session.catalog().is_current()) throw;
    }
  }
}

std::vector<std::int64_t> cases_without_recovery(const CatalogState& state) {
  std::vector<std::int64_t> numbers;
  if (!state.recovery()) return numbers;
  for (const auto& [number, entry] : state.cases()) {
    if (!entry.recovery_key) numbers.push_back(number);
  }
  return numbers;
}

}  // namespace casevault
