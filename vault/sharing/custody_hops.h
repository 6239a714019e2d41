#pragma once
#include <map>
#include <string>
#include <vector>

#include "vault/sharing/custody_report.h"
#include "vault/sharing/provenance.h"

namespace casevault {

/// Who vouched for a record, oldest first, for people. @throws Error{kDamaged} naming `what` when the hops do not hold.
std::vector<CustodyHop> custody_hops(const std::vector<Hop>& hops, const std::map<VaultId, ForeignVault>& vaults,
                                     const VersionDetails& details, const std::string& what);

/// The same of what is kept with a version that came in a bundle. @throws Error{kDamaged} naming `what`.
std::vector<CustodyHop> custody_hops(const Origin& origin, const VersionDetails& details, const std::string& what);

}  // namespace casevault
