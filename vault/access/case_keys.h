#pragma once
#include <string>

#include "vault/storage/catalog_state.h"
#include "vault/vault.h"

namespace casevault {

/// `cases/<id>.<epoch>.db`: the epoch is in the name, so that the catalogue's commit alone decides which one counts.
Path case_path(const Path& folder, const CaseId& id, std::uint32_t epoch);
/// `share`: what the custodians hold of this epoch; none: the case key alone is enough.
DatabaseKey case_database_key(const CaseKey& key, const CaseId& id, std::uint32_t epoch,
                              const std::optional<CustodyShare>& share);

/// The case key that `grant` seals to this session's user. @throws Error{kDamaged} naming `what`.
CaseKey open_case_key(Session& session, const Grant& grant, const std::string& what);

Bytes seal_title(const std::string& title, const CaseId& id, const CaseKey& key);
/// @throws Error{kDamaged}
std::string open_title(Session& session, const CaseEntry& entry, const CaseKey& key);

}  // namespace casevault
