#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "vault/custody/wire.h"

namespace casevault {

/// One custodian of a vault, and the x of the shares that it holds.
struct CustodianSeat {
  CustodianAddress custodian;
  std::uint32_t index = 0;  // 1…255
  bool operator==(const CustodianSeat&) const = default;
};

/// How a vault is under custody: part of vault.json, so known before unlocking (docs/format.md section 3).
struct CustodyPlan {
  std::uint32_t epoch = 0;  // grows with every enrolment; the version of the users' secrets
  CustodySalt salt{};       // what ids are made with
  std::uint32_t threshold = 0;
  std::uint32_t quorum = 0;  // cards that unlock, destroy and burn take
  std::uint32_t lease_hours = 0;
  std::vector<VerifyKey> cards;
  std::vector<CustodianSeat> custodians;
  bool operator==(const CustodyPlan&) const = default;
};

nlohmann::json to_json(const CustodyPlan& plan);
/// Strict, also in what fits together (threshold, quorum, distinct indices and keys). @throws Error{kDamaged}
CustodyPlan custody_plan_from_json(const nlohmann::json& object, const std::string& what);

}  // namespace casevault
