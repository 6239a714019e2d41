#include "vault/custody/order_desk.h"

#include "crypto/error.h"

namespace casevault {
namespace {

CustodySettings settings_of(const OrderCard& card) {
  CustodySettings settings{card.vault, {}, 1};
  for (const auto& custodian : card.custodians) settings.custodians.push_back({custodian, 0});
  return settings;
}

}  // namespace

OrderDesk::OrderDesk(const OrderCard& card, const Environment& environment)
    : key_(SigningKey::from_seed(card.seed.clone())), all_(settings_of(card), environment) {}

std::vector<OrderDesk::Said<OrderReceipt>> OrderDesk::send(const SignedOrder& order) {
  const auto body = order.encode();
  std::vector<Said<OrderReceipt>> said(all_.size());
  const auto request = [&](std::size_t) { return WireRequest{"POST", "/v1/orders", "", body}; };
  const auto take = [&](std::size_t i, const std::string& answer) {
    said[i].value = parse_receipt(answer, all_.custodian(i).key, order);
  };
  const auto reports = all_.ask({.request = request, .take = take});
  for (std::size_t i = 0; i < said.size(); ++i) said[i].report = reports[i];
  return said;
}

std::vector<OrderDesk::Said<OrdersAnswer>> OrderDesk::orders() {
  std::vector<Said<OrdersAnswer>> said(all_.size());
  std::vector<std::size_t> pages(all_.size());
  const auto take = [&](std::size_t i, const std::string& answer) {
    auto page = OrdersAnswer::parse(answer, all_.settings().vault);
    if (page.next != 0 && said[i].value && page.next <= said[i].value->next)
      throw Error(Errc::kDamaged, "a custodian's list of orders does not end");
    ++pages[i];
    said[i].value ? said[i].value->join(std::move(page)) : void(said[i].value = std::move(page));
  };
  const auto more = [&](std::size_t i) -> std::optional<WireRequest> {
    const auto next = said[i].value->next;
    if (next == 0 || pages[i] >= kMaxOrderPages) return std::nullopt;
    return all_.get(i, "/v1/orders", {{"from", next}});
  };
  const auto reports = all_.ask({.request = [&](std::size_t i) { return all_.get(i, "/v1/orders", {}); },
                                 .signer = &key_,
                                 .take = take,
                                 .more = more});
  for (std::size_t i = 0; i < said.size(); ++i) said[i].report = reports[i];
  return said;
}

std::vector<CustodianStatement> OrderDesk::statements(std::int64_t from_ms, std::int64_t until_ms) {
  return ask_for_statements(all_, from_ms, until_ms, key_);
}

}  // namespace casevault
