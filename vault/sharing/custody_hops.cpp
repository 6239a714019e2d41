#include "vault/sharing/custody_hops.h"

#include "vault/records/objects.h"
#include "vault/storage/json.h"

namespace casevault {

std::vector<CustodyHop> custody_hops(const std::vector<Hop>& hops, const std::map<VaultId, ForeignVault>& vaults,
                                     const VersionDetails& details, const std::string& what) {
  std::vector<CustodyHop> told;
  const auto checked = check_hops(hops, vaults, details.sha256, details.size, what);
  for (std::size_t i = 0; i < hops.size(); ++i) {
    if (!checked[i]) {
      told.push_back({.organisation = "minisign " + hops[i].sign});
      continue;
    }
    const auto& vault = vaults.at(hops[i].vault);
    told.push_back({vault.organisation(), checked[i]->by.name,
                    record_label(checked[i]->case_number, checked[i]->record), checked[i]->version, checked[i]->time_ms,
                    fingerprint(vault.vault(), vault.root())});
  }
  return told;
}

std::vector<CustodyHop> custody_hops(const Origin& origin, const VersionDetails& details, const std::string& what) {
  const auto list = parse_canonical_array(origin.vaults, what);
  std::map<VaultId, ForeignVault> vaults;
  for (const auto& item : list) {
    const auto certificates = vault_certificates_from_json(item, what);
    vaults.emplace(certificates.vault, ForeignVault(certificates, what));
  }
  auto hops = hops_from_json(parse_canonical_array(origin.hops, what), what);
  hops.back().bundle.reset();  // as it stood in the bundle
  return custody_hops(hops, vaults, details, what);
}

}  // namespace casevault
