#pragma once
#include <optional>
#include <vector>

#include "vault/storage/catalog.h"
#include "vault/vault.h"

namespace casevault {

/// What owners and auditors hold beyond their own keys: the audit log's secret keys, oldest first, and for owners the
/// root key.
struct RoleKeys {
  std::optional<SigningSeed> root;
  std::vector<BoxKeyPair> audit;
  RoleKeys clone(bool with_root) const;
};

/// Sealed to a user's box key; named by its hash in a signed statement, which alone makes it trustworthy.
Bytes seal_role_keys(const RoleKeys& keys, const BoxPublicKey& to);
/// @throws Error{kDamaged} when it is something else, or nullopt (missing), or not sealed to `to`.
RoleKeys unseal_role_keys(const std::optional<Bytes>& sealed, const BoxKeyPair& to);
/// nullopt for members. @throws Error{kDamaged} when they are lost or not sealed to this user.
std::optional<RoleKeys> open_role_keys(const Catalog& catalog, const Identity& identity);

}  // namespace casevault
