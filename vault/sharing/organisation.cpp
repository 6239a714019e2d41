#include "vault/sharing/organisation.h"

#include <nlohmann/json.hpp>

#include "crypto/error.h"
#include "crypto/secret_layout.h"
#include "vault/access/session_keys.h"
#include "vault/vault.h"

namespace casevault {
namespace {

// magic ‖ number of pairs ‖ for each: age secret key ‖ signing seed
constexpr std::string_view kMagic = "CVO1";
constexpr std::size_t kPairSize = AgeSecretKey::kSize + SigningSeed::kSize;
constexpr std::size_t kMaxPairs = 255;

OrganisationKeyRing read_ring(const SecretBytes& plain) {
  SecretReader reader(plain);
  if (as_text(reader.take<4>()) != kMagic) throw Error(Errc::kDamaged, "a sealed secret is of another kind");
  const auto count = std::to_integer<std::size_t>(reader.take<1>()[0]);
  OrganisationKeyRing ring;
  for (std::size_t i = 0; i < count; ++i) {
    auto age = reader.take_key<AgeSecretKey>();
    ring.push_back({std::move(age), SigningKey::from_seed(reader.take_key<SigningSeed>())});
  }
  if (reader.left() != 0) throw Error(Errc::kDamaged, "a sealed secret is too long");
  return ring;
}

bool is_of(const OrganisationKeyRing& ring, const std::vector<OrganisationPublicKeys>& expected) {
  if (ring.size() != expected.size()) return false;
  for (std::size_t i = 0; i < ring.size(); ++i) {
    if (ring[i].public_keys() != expected[i]) return false;
  }
  return !ring.empty();
}

}  // namespace

Bytes seal_organisation_keys(const OrganisationKeyRing& ring, const BoxPublicKey& to) {
  require(ring.size() <= kMaxPairs, "too many keys of the organisation");
  SecretWriter writer(kMagic.size() + 1 + kPairSize * ring.size());
  writer.put(as_bytes(kMagic)).put(ByteArray<1>{static_cast<std::byte>(ring.size())});
  for (const auto& keys : ring) writer.put(keys.age).put(keys.sign.seed());
  return seal_to(to, writer.finish());
}

void require_organisation_keys(const Session& session) {
  if (!session.state().sharing().own_keys().empty()) return;
  throw Error(Errc::kUsage, "this vault was made by a casevault that could not share yet; it has no keys for it",
              "export its records, and add them to a new vault");
}

OrganisationKeyRing open_organisation_keys(Session& session, std::string_view action) {
  const auto& sharing = session.state().sharing();
  require_organisation_keys(session);
  const auto hash = sharing.sealed_keys_of(session.user_id());
  if (!hash) session.refuse(action, "", "the organisation's keys are for owners and members, not for auditors");
  return unseal_organisation_keys(session.catalog().blob(*hash), session.identity().box, sharing);
}

OrganisationKeyRing unseal_organisation_keys(const std::optional<Bytes>& sealed, const BoxKeyPair& to,
                                             const SharingState& sharing) {
  const auto plain = sealed ? open_sealed(to, *sealed) : std::nullopt;
  if (plain) {
    auto ring = read_ring(*plain);
    if (is_of(ring, sharing.own_keys())) return ring;
  }
  throw Error(Errc::kDamaged, "catalog.db: the organisation's keys are lost or damaged",
              "restore the vault from a copy");
}

void put_organisation_keys(Catalog::Update& update, nlohmann::json statement, const OrganisationKeyRing& ring,
                           const SigningKey& author) {
  const auto keys = ring.back().public_keys();
  statement["age"] = keys.age;
  statement["sign"] = to_hex(keys.sign.bytes);
  auto list = nlohmann::json::array();
  for (const auto* user : update.state().active_users()) {
    if (user->role == Role::kAuditor) continue;
    const auto hash = update.put_blob(seal_organisation_keys(ring, user->keys.box));
    list.push_back({{"user", to_hex(user->keys.id)}, {"key", to_hex(hash)}});
  }
  statement["keys"] = std::move(list);
  update.append(statement, author);
}

}  // namespace casevault
