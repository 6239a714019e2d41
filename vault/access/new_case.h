#pragma once
#include "vault/storage/catalog.h"
#include "vault/vault.h"

namespace casevault {

/// A new case as part of a larger change: makes its database and appends the statements. Returns the number. Without
/// the commit the database is a leftover, which `verify` names.
/// @pre `title` is 1 to 200 bytes of UTF-8; the session's user may make cases
std::int64_t append_new_case(Session& session, Catalog::Update& update, const std::string& title);

}  // namespace casevault
