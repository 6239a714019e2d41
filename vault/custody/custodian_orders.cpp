#include <algorithm>
#include <tuple>

#include "vault/custody/custodian_core.h"
#include "vault/storage/json.h"

namespace casevault::custodian {
namespace {

constexpr std::size_t kAnswerRoom = kMaxWireBody - 1'024;  // bytes for orders and receipts in one answer
constexpr std::size_t kOrdersRoom = kAnswerRoom / 2;       // for orders in one page, so that receipts have the rest

WireAnswer waiting_receipt(const Core& core, const Vault& vault, const Order& order, const Sha256Digest& hash) {
  return answer_of(to_json(signed_by(core, kReceiptDomain,
                                     {{"affected", 0},
                                      {"have", order.signatures.size()},
                                      {"kind", "receipt"},
                                      {"need", signatures_needed(vault.policy, order.terms.type)},
                                      {"order", to_hex(hash)},
                                      {"state", "waiting"},
                                      {"time", core.now},
                                      {"type", to_string(order.terms.type)},
                                      {"vault", to_hex(vault.id)}})));
}

Vault& vault_of_order(Core& core, const VaultId& id, const VerifyKey& card) {
  try {
    return core.vault(id, card, is_card);
  } catch (const Refusal& refusal) {
    if (refusal.status == 403) throw;  // destroyed
    refuse(403, "order", "the order is about a vault that is not known here, or signed by a card of another one");
  }
}

void forget_outdated(Core& core, Vault& vault) {
  for (const auto& hash : outdated_orders(vault, core.now)) {
    const auto found = vault.orders.find(hash);
    vault.done.erase(found->second.number);
    vault.orders.erase(found);
    core.store->erase_order(vault.key, hash);
  }
}

// An order that waits lives on the signatures of present cards. True when it lost some.
bool drop_former_cards(Core& core, Vault& vault, const Sha256Digest& hash) {
  const auto known = vault.orders.find(hash);
  if (known == vault.orders.end() || !drop_former_cards(vault, known->second)) return false;
  if (!known->second.signatures.empty()) return true;
  vault.orders.erase(known);
  core.store->erase_order(vault.key, hash);
  return false;
}

// A change for ever is on the disk before it begins. False for others.
bool write_tombstone(Core& core, const Vault& vault, const Order& order) {
  if (order.terms.type != OrderType::kBurn && order.terms.type != OrderType::kDestroy) return false;
  Tombstone stone{.at = core.now,
                  .statement = order.statement,
                  .terms = order.terms,
                  .signatures = order.signatures,
                  .key = std::nullopt,
                  .vault = vault.key,
                  .owners = vault.policy.owners,
                  .signers = owners_who_signed(vault)};
  if (order.terms.type == OrderType::kBurn) stone.key = vault.devices.at(order.terms.id).key;
  core.tombstones.append(std::move(stone));
  return true;
}

void carry_out(Core& core, Vault& vault, Order& order) {
  const bool is_first = !core.news.contains(vault.id);
  const bool is_kept = write_tombstone(core, vault, order);
  core.finish_order(vault, order, core.now);
  if (is_first && is_kept) core.kept_news.insert(core.news.extract(vault.id));
}

WireAnswer wait_answer(const Vault& vault, const nlohmann::json& orders, std::uint64_t number) {
  return answer_of({{"number", number}, {"orders", orders}, {"state", to_string(state_for_device(vault))}});
}

nlohmann::json done_order(const Order& order) {
  return {{"done", order.done}, {"number", order.number}, {"order", to_json(order)}};
}

// As many as fit, the oldest first; the number is that of the last one in the answer.
std::optional<WireAnswer> news_for(const Vault& vault, std::uint64_t after) {
  auto list = nlohmann::json::array();
  std::size_t size = 0;
  std::uint64_t last = after;
  for (auto next = vault.done.upper_bound(after); next != vault.done.end(); ++next) {
    auto item = done_order(vault.orders.at(next->second));
    size += item.dump().size();
    if (size > kAnswerRoom) break;
    list.push_back(std::move(item));
    last = next->first;
  }
  if (list.empty()) return std::nullopt;
  return wait_answer(vault, list, last);
}

// What made it useless, and nothing else.
WireAnswer burn_news(const Vault& vault, const Device& device, std::uint64_t after) {
  const auto burned = vault.done.find(device.burned_by);
  if (device.burned_by <= after || burned == vault.done.end())
    refuse(403, "burned", "this device was burned by an order");
  return wait_answer(vault, nlohmann::json::array({done_order(vault.orders.at(burned->second))}), device.burned_by);
}

bool may_see_orders(const Vault& vault, const VerifyKey& key) {
  const auto* device = find_device(vault.devices, key);
  return is_card(vault, key) || is_owner(vault, key) || (device != nullptr && device->burned_by == 0);
}

nlohmann::json shown(const Vault& vault, const Order& order) {
  return {{"done", order.done},
          {"have", order.signatures.size()},
          {"need", signatures_needed(vault.policy, order.terms.type)},
          {"number", order.number},
          {"order", to_json(order)},
          {"receipts", nlohmann::json::array()}};
}

/// As many as are left room for; `size` is what is taken of it.
void add_receipts(nlohmann::json& item, const Order& order, std::size_t& size) {
  for (const auto& [stage, receipt] : order.guard_receipts) {
    if (size + receipt.size() + 1 > kAnswerRoom) return;
    size += receipt.size() + 1;
    item["receipts"].push_back(nlohmann::json::parse(receipt));
  }
}

struct OrdersPage {
  nlohmann::json orders = nlohmann::json::array();
  std::uint64_t next = 0;
};

// From the order at place `from` on; at least one, so that pages end.
OrdersPage orders_page(const Vault& vault, std::uint64_t from, std::int64_t now) {
  OrdersPage page;
  const auto orders = orders_in_turn(vault, now);
  std::size_t size = 0;
  auto at = static_cast<std::size_t>(std::min<std::uint64_t>(from, orders.size()));
  const auto first = at;
  for (; at < orders.size(); ++at) {
    auto item = shown(vault, *orders[at]);
    const auto grown = size + item.dump().size() + 1;
    if (grown > kOrdersRoom && at > first) break;
    size = grown;
    page.orders.push_back(std::move(item));
  }
  for (std::size_t i = first; i < at; ++i) add_receipts(page.orders[i - first], *orders[i], size);
  page.next = at < orders.size() ? at : 0;
  return page;
}

Order& order_of_receipt(Vault& vault, const Sha256Digest& hash) {
  const auto found = vault.orders.find(hash);
  if (found == vault.orders.end() || !found->second.is_done()) refuse(404, "unknown", "no such order was done here");
  return found->second;
}

// A burned device may still say that it obeyed.
void require_obedient(const Vault& vault, const VerifyKey& key, const Order& order) {
  const auto* device = find_device(vault.devices, key);
  if (device == nullptr || device->burned_by != order.number) require_device(vault, key);
}

}  // namespace

WireAnswer take_order(Core& core, const Request& request) {
  auto ask = parsed([&] { return parse_order_request(request.wire.body); });
  auto& vault = vault_of_order(core, ask.terms.vault, ask.signatures.front().card);
  require_card_signatures(vault, ask.statement, ask.signatures);
  const auto hash = sha256(as_bytes(ask.statement));
  const auto known = vault.orders.find(hash);
  if (known != vault.orders.end() && known->second.is_done())
    return {.body = known->second.receipt, .clock = std::nullopt};
  require_valid(vault, ask.terms, core.now);
  const bool is_shorter = drop_former_cards(core, vault, hash);
  if (!vault.orders.contains(hash)) choose_bringer(vault, ask.terms, ask.signatures, core.now);

  forget_outdated(core, vault);
  auto& order = vault.orders[hash];
  order.statement = ask.statement;
  order.terms = ask.terms;
  const bool is_news = add_signatures(order, ask.signatures) || is_shorter;
  if (order.signatures.size() >= signatures_needed(vault.policy, order.terms.type)) {
    carry_out(core, vault, order);
    return {.body = order.receipt, .clock = std::nullopt};
  }
  if (is_news) {
    core.store->put_order(vault.key, hash, order);
    core.write({.action = "order",
                .vault = vault.name(),
                .detail = "have=" + std::to_string(order.signatures.size()) + " need=" +
                          std::to_string(signatures_needed(vault.policy, order.terms.type)) + " order=" + to_hex(hash),
                .outcome = "waiting"});
  }
  return waiting_receipt(core, vault, order, hash);
}

WireAnswer show_orders(Core& core, const Request& request) {
  const auto signer = core.signer(request);
  Query query = parsed([&] { return Query(request.wire.query); });
  const auto [to, id, from] = parsed([&] {
    std::tuple<VerifyKey, VaultId, std::uint64_t> out{
        {query.hex<32>("to")}, query.hex<16>("vault"), query.has("from") ? query.number("from") : 0};
    query.end();
    return out;
  });
  core.require_to(to);
  const auto& vault = core.vault(id, signer.key, may_see_orders);
  core.gate.take_nonce(vault.key, signer, core.now / 1000);

  auto page = orders_page(vault, from, core.now);
  const bool is_device = find_device(vault.devices, signer.key) != nullptr;
  const auto state = is_device ? state_for_device(vault) : vault.state;
  return answer_of({{"next", page.next},
                    {"orders", std::move(page.orders)},
                    {"silence", silence_locks_at(vault, state)},
                    {"state", to_string(state)}});
}

WireAnswer take_receipt(Core& core, const Request& request) {
  const auto signer = core.signer(request);
  const auto ask = parsed([&] { return parse_guard_receipt(request.wire.body); });
  core.require_to(ask.to);
  auto& vault = core.vault(ask.vault, signer.key, has_device);
  auto& order = order_of_receipt(vault, ask.order);
  if (ask.device != signer.key) refuse(401, "signature", "the receipt is signed by another device");
  require_obedient(vault, signer.key, order);
  core.gate.take_nonce(vault.key, signer, core.now / 1000);
  const GuardStage stage{ask.device.bytes, ask.stage};
  if (order.guard_receipts.emplace(stage, ask.text).second) {
    core.store->put_guard_receipt(vault.key, ask.order, stage, ask.text);
    core.write({.action = "receipt",
                .vault = vault.name(),
                .device = signer.key,
                .detail = "order=" + to_hex(ask.order),
                .outcome = order.guard_receipts.find(stage)->first.second});
  }
  return answer_of({{"time", core.now}});
}

Custodian::WaitOrAnswer begin_wait(Core& core, const Request& request) {
  const auto signer = core.signer(request);
  Query query = parsed([&] { return Query(request.wire.query); });
  const auto ask = parsed([&] {
    std::pair<VerifyKey, OrderWait> out{{query.hex<32>("to")}, {query.hex<16>("vault"), {}, query.number("after")}};
    query.end();
    return out;
  });
  core.require_to(ask.first);
  auto wait = ask.second;
  wait.device = signer.key;
  auto& vault = core.vault(wait.vault, signer.key, has_device);
  const auto* device = find_device(vault.devices, signer.key);
  if (device != nullptr && device->burned_by != 0) return {burn_news(vault, *device, wait.after), std::nullopt};
  require_device(vault, signer.key);
  core.gate.take_nonce(vault.key, signer, core.now / 1000);
  core.note_life(vault);
  if (auto answer = news_for(vault, wait.after)) return {std::move(answer), std::nullopt};
  return {std::nullopt, wait};
}

std::optional<WireAnswer> orders_after(Core& core, const OrderWait& wait) {
  const auto& vault = core.find_vault(wait.vault, wait.device, has_device);
  const auto* device = find_device(vault.devices, wait.device);
  if (device != nullptr && device->burned_by != 0) return burn_news(vault, *device, wait.after);
  require_device(vault, wait.device);
  return news_for(vault, wait.after);
}

WireAnswer no_orders(Core& core, const OrderWait& wait) {
  if (auto answer = orders_after(core, wait)) return *std::move(answer);
  return wait_answer(core.find_vault(wait.vault, wait.device, has_device), nlohmann::json::array(), wait.after);
}

}  // namespace casevault::custodian
