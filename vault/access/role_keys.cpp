#include "vault/access/role_keys.h"

#include <algorithm>

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
  SecretBytes plain(kFixedSize + 32 * keys.audit.size());
  const auto out = plain.expose_secret_for_writing();
  std::ranges::copy(as_bytes(kMagic), out.begin());
  out[4] = std::byte{keys.root.has_value()};
  if (keys.root) std::ranges::copy(keys.root->expose_secret(), out.begin() + 5);
  out[37] = static_cast<std::byte>(keys.audit.size());
  auto at = out.begin() + kFixedSize;
  for (const auto& pair : keys.audit) at = std::ranges::copy(pair.secret_key.expose_secret(), at).out;
  return seal_to(to, plain.expose_secret());
}

std::optional<RoleKeys> open_role_keys(const Catalog& catalog, const Identity& identity) {
  const auto* user = catalog.state().find_user(identity.id);
  if (user == nullptr || !user->active || !user->role_keys) return std::nullopt;
  const auto sealed = catalog.blob(*user->role_keys);
  const auto plain = sealed ? open_sealed(identity.box, *sealed) : std::nullopt;
  const auto damaged = Error(Errc::kDamaged, "catalog.db: your keys to the audit log are lost or damaged",
                             "restore the vault from a copy");
  if (!plain) throw damaged;
  const auto bytes = plain->expose_secret();
  if (bytes.size() < kFixedSize || as_text(bytes.first(4)) != kMagic) throw damaged;
  const auto count = std::to_integer<std::size_t>(bytes[37]);
  if (bytes.size() != kFixedSize + 32 * count) throw damaged;
  RoleKeys keys;
  if (bytes[4] == std::byte{1}) keys.root = SigningSeed::from_bytes(bytes.subspan<5, 32>());
  for (std::size_t i = 0; i < count; ++i) {
    const auto secret = bytes.subspan(kFixedSize + 32 * i).first<32>();
    keys.audit.push_back(BoxKeyPair::from_secret(BoxSecretKey::from_bytes(secret)));
  }
  return keys;
}

}  // namespace casevault
