#pragma once
#include <functional>
#include <optional>

#include "vault/access/role_keys.h"
#include "vault/storage/catalog.h"
#include "vault/storage/catalog_state.h"
#include "vault/vault.h"

namespace casevault {

/// The session's owner's. @throws Error{kInternal} for anybody else.
RoleKeys own_role_keys(Session& session);
std::vector<UserKeys> keys_of_active_users(const CatalogState& state);

/// A new catalogue key, handed over to everybody who is in the vault; under custody in halves, of which the custodians
/// hold one, so that keys of users out of an older image of the disk do not open it. With `removed`, that user is out
/// from then on. Without, or where that was an owner or auditor, the audit key is renewed too. `change`, when given,
/// appends to the new catalogue before that. For owners.
/// Order: the custodians have their half, the handover is durable, then the new catalogue comes into place, then what
/// follows from it. A crash after that is mended at the next unlock.
/// @pre ExclusiveAccess @throws Error: kTooFewCustodians, kCustodiansRefused: then nothing has changed.
void rotate_catalog(Session& session, const std::optional<User>& removed,
                    const std::function<void(Catalog::Update& update)>& change = {});

}  // namespace casevault
