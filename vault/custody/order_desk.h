#pragma once
#include <optional>
#include <vector>

#include "vault/custody/all_custodians.h"
#include "vault/custody/card.h"
#include "vault/custody/order.h"
#include "vault/custody/statement.h"

namespace casevault {

/// Takes orders to the custodians that are on a card. Needs no vault.
class OrderDesk {
 public:
  /// @throws Error: kUsage for a proxy that is none.
  OrderDesk(const OrderCard& card, const Environment& environment);

  /// What one custodian said: `value` where its report is done.
  template <typename Value>
  struct Said {
    CustodianReport report;
    std::optional<Value> value;
  };
  /// To all of them, unchanged. Never throws for want of custodians.
  std::vector<Said<OrderReceipt>> send(const SignedOrder& order);
  /// How orders stand at each, signed by the card; where a custodian falls silent after the first page, what it had
  /// told until then. Never throws for want of custodians.
  std::vector<Said<OrdersAnswer>> orders();
  /// What each did for the vault, asked for by the card. Never throws for want of custodians.
  std::vector<CustodianStatement> statements(std::int64_t from_ms, std::int64_t until_ms);

 private:
  SigningKey key_;
  AllCustodians all_;
};

}  // namespace casevault
