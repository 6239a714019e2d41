#include "vault/access/role_keys.h"

#include "crypto/secret_layout.h"

namespace casevault {
namespace {

// magic ‖ 1 if there is a root seed ‖ root seed or zeros ‖ number of audit keys ‖ audit secret keys
constexpr std::string_view kMagic = "CVR1";
constexpr std::size_t kFixedSize = 4 + 1 + 32 + 1;
constexpr std::size_t kMaxAuditKeys = 255;

}  // namespace

RoleKeys RoleKeys::clone(bool with_root) const {
  RoleKeys copy;
  if (with_root && root) copy.root = root->clone();
  for (const auto& pair : audit) copy.audit.push_back({pair.public_key, pair.secret_key.clone()});
  return copy;
}

Bytes seal_role_keys(const RoleKeys& keys, const BoxPublicKey& to) {
  if (keys.audit.size() > kMaxAuditKeys) throw Error(Errc::kInternal, "too many audit keys");
  SecretWriter writer(kFixedSize + 32 * keys.audit.size());
  writer.put(as_bytes(kMagic)).put(ByteArray<1>{std::byte{keys.root.has_value()}});
  writer.put(keys.root ? keys.root->clone() : SigningSeed::zero());
  writer.put(ByteArray<1>{static_cast<std::byte>(keys.audit.size())});
  for (const auto& pair : keys.audit) writer.put(pair.secret_key);
  return seal_to(to, writer.finish());
}

std::optional<RoleKeys> open_role_keys(const Catalog& catalog, const Identity& identity) {
  const auto* user = catalog.state().find_user(identity.id);
  if (user == nullptr || !user->active || !user->role_keys) return std::nullopt;
  return unseal_role_keys(catalog.blob(*user->role_keys), identity.box);
}

RoleKeys unseal_role_keys(const std::optional<Bytes>& sealed, const BoxKeyPair& to) {
  const auto plain = sealed ? open_sealed(to, *sealed) : std::nullopt;
  const auto require_sound = [](bool sound) {
    if (!sound) {
      throw Error(Errc::kDamaged, "catalog.db: your keys to the audit log are lost or damaged",
                  "restore the vault from a copy");
    }
  };
  require_sound(plain.has_value());
  SecretReader reader(*plain);
  require_sound(as_text(reader.take<4>()) == kMagic);
  RoleKeys keys;
  const bool has_root = reader.take<1>()[0] == std::byte{1};
  auto root = reader.take_key<SigningSeed>();
  if (has_root) keys.root = std::move(root);
  const auto count = std::to_integer<std::size_t>(reader.take<1>()[0]);
  require_sound(reader.left() == 32 * count);
  for (std::size_t i = 0; i < count; ++i) {
    keys.audit.push_back(BoxKeyPair::from_secret(reader.take_key<BoxSecretKey>()));
  }
  return keys;
}

}  // namespace casevault
