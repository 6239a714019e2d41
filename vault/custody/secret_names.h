#pragma once
#include <string>

#include "vault/custody/client.h"
#include "vault/storage/header.h"

namespace casevault {

// How the secrets of people, cases and the catalogue are called at the custodians of a plan.

/// @throws Error{kDamaged} when vault.json knows no such custody epoch.
const CustodyPlan& plan_of(const Header& header, std::uint32_t custody_epoch);

SecretName user_secret(const CustodyPlan& plan, const std::string& user);
SecretName case_secret(const CustodyPlan& plan, std::int64_t number, std::uint32_t key_epoch);
/// The half of the catalogue key: under the name of nobody, for users' names are not empty.
SecretName handover_secret(const CustodyPlan& plan, std::uint32_t catalog_epoch);

}  // namespace casevault
