#include "vault/custody/order_desk.h"

namespace casevault {
namespace {

CustodySettings settings_of(const OrderCard& card) {
  CustodySettings settings{card.vault, {}, 1};
  for (const auto& custodian : card.custodians) settings.custodians.push_back({custodian, 0});
  return settings;
}

/// Asks all; `parse` makes a value of a body, and throws Error{kDamaged} where it is none.
template <typename Value, typename Parse>
std::vector<OrderDesk::Said<Value>> ask(AllCustodians& all, AllCustodians::Question question, const Parse& parse) {
  std::vector<OrderDesk::Said<Value>> said(all.size());
  question.take = [&](std::size_t i, const std::string& body) { said[i].value = parse(i, body); };
  const auto reports = all.ask(question);
  for (std::size_t i = 0; i < said.size(); ++i) said[i].report = reports[i];
  return said;
}

}  // namespace

OrderDesk::OrderDesk(const OrderCard& card, const Environment& environment)
    : key_(SigningKey::from_seed(card.seed.clone())), all_(settings_of(card), environment) {}

std::vector<OrderDesk::Said<OrderReceipt>> OrderDesk::send(const SignedOrder& order) {
  const auto body = order.encode();
  return ask<OrderReceipt>(
      all_,
      {.request =
           [&](std::size_t) {
             return WireRequest{"POST", "/v1/orders", "", body};
           }},
      [&](std::size_t i, const std::string& answer) { return parse_receipt(answer, all_.custodian(i).key, order); });
}

std::vector<OrderDesk::Said<OrdersAnswer>> OrderDesk::orders() {
  return ask<OrdersAnswer>(
      all_, {.request = [&](std::size_t i) { return all_.get(i, "/v1/orders", {}); }, .signer = &key_},
      [&](std::size_t, const std::string& answer) { return OrdersAnswer::parse(answer, all_.settings().vault); });
}

std::vector<CustodianStatement> OrderDesk::statements(std::int64_t from_ms, std::int64_t until_ms) {
  return ask_for_statements(all_, from_ms, until_ms, key_);
}

}  // namespace casevault
