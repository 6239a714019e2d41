#pragma once
#include <nlohmann/json.hpp>

#include "vault/custody/all_custodians.h"
#include "vault/custody/client.h"

namespace casevault {

struct CustodyClient::Parts {
  CustodyPlan plan;
  DeviceKey device;
  AllCustodians all;

  std::string vault() const { return to_hex(all.settings().vault); }
  /// Signed by the device. @throws as CustodyClient, when fewer than `need` did as asked.
  std::vector<CustodianReport> ask(AllCustodians::Question question, std::size_t need);
  /// For answers that say nothing but that it was done: `{"time","vault"}`.
  std::function<void(std::size_t, const std::string&)> take_done() const;
  /// A deposit to each custodian, made by `fields`.
  std::vector<CustodianReport> deposit(const std::function<nlohmann::json(std::size_t index)>& fields,
                                       const SigningKey& by, std::size_t need);
  std::vector<MissedSeat> missed_by(const std::vector<CustodianReport>& reports) const;
  /// Of `kind`; a threshold of custodians must take it.
  Deal deal_share(std::string_view kind, const SecretName& name, const Scalar& secret, const SigningKey& by);
  /// The shares of `index`, by those of the others, in the order of `missed`.
  std::vector<Scalar> shares_of(std::uint32_t index, const std::vector<MissedShare>& missed);
  /// Secrets as `POST /v1/secrets` names them, at all of the custodians.
  void delete_all(const std::vector<std::string>& names, const SigningKey& owner);
};

}  // namespace casevault
