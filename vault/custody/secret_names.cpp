#include "vault/custody/secret_names.h"

#include "crypto/error.h"

namespace casevault {

const CustodyPlan& plan_of(const Header& header, std::uint32_t custody_epoch) {
  const auto* plan = header.custody_of(custody_epoch);
  if (plan == nullptr) throw Error(Errc::kDamaged, "vault.json does not name the custodians", "casevault verify");
  return *plan;
}

SecretName user_secret(const CustodyPlan& plan, const std::string& user) {
  return {custody_id(plan.salt, ScopeKind::kUser, user), plan.epoch};
}

SecretName case_secret(const CustodyPlan& plan, std::int64_t number, std::uint32_t key_epoch) {
  return {custody_id(plan.salt, ScopeKind::kCase, "C-" + std::to_string(number)), key_epoch};
}

SecretName handover_secret(const CustodyPlan& plan, std::uint32_t catalog_epoch) {
  return {custody_id(plan.salt, ScopeKind::kUser, ""), catalog_epoch};
}

}  // namespace casevault
