#include <algorithm>

#include "vault/custody/custodian_core.h"
#include "vault/storage/json.h"

namespace casevault::custodian {
namespace {

constexpr std::size_t kAnswerRoom = kMaxWireBody - 1'024;  // bytes for orders and receipts in one answer

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

Vault& vault_of_order(Core& core, const VaultId& id) {
  if (!core.vaults.contains(id) && !core.tombstones.is_destroyed(id))
    refuse(403, "order", "the order is about a vault that is not known here");
  return core.vault(id);
}

void forget_outdated(Core& core, Vault& vault) {
  for (const auto& hash : outdated_orders(vault, core.now)) {
    const auto found = vault.orders.find(hash);
    vault.done.erase(found->second.number);
    vault.orders.erase(found);
    core.store->erase_order(vault.id, hash);
  }
}

// A change for ever is on the disk before it begins.
void write_tombstone(Core& core, const Vault& vault, const Order& order) {
  Tombstone stone{core.now, order.statement, order.terms, order.signatures, std::nullopt};
  if (order.terms.type == OrderType::kBurn) stone.key = vault.devices.at(order.terms.id).key;
  if (stone.key || order.terms.type == OrderType::kDestroy) core.tombstones.append(std::move(stone));
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

nlohmann::json order_with_receipts(const Vault& vault, const Order& order, std::size_t room) {
  nlohmann::json item = {{"done", order.done},
                         {"have", order.signatures.size()},
                         {"need", signatures_needed(vault.policy, order.terms.type)},
                         {"number", order.number},
                         {"order", to_json(order)},
                         {"receipts", nlohmann::json::array()}};
  auto size = item.dump().size();
  for (const auto& [stage, receipt] : order.guard_receipts) {
    size += receipt.size() + 1;
    if (size > room) break;
    item["receipts"].push_back(nlohmann::json::parse(receipt));
  }
  return item;
}

std::vector<const Order*> newest_first(const Vault& vault) {
  std::vector<const Order*> orders;
  for (const auto& [hash, order] : vault.orders) orders.push_back(&order);
  std::ranges::sort(orders, [](const Order* a, const Order* b) {
    if (a->is_done() != b->is_done()) return b->is_done();
    return a->is_done() ? a->number > b->number : a->terms.issued > b->terms.issued;
  });
  return orders;
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
  const auto ask = parsed([&] { return parse_order_request(request.wire.body); });
  auto& vault = vault_of_order(core, ask.terms.vault);
  require_card_signatures(vault, ask.statement, ask.signatures);
  const auto hash = sha256(as_bytes(ask.statement));
  const auto known = vault.orders.find(hash);
  const bool is_known = known != vault.orders.end();
  if (is_known && known->second.is_done()) return {.body = known->second.receipt, .clock = std::nullopt};
  require_valid(vault, ask.terms, core.now);
  if (!is_known) require_room_for_order(vault, ask.signatures.front().card, core.now);

  forget_outdated(core, vault);
  auto& order = vault.orders[hash];
  order.statement = ask.statement;
  order.terms = ask.terms;
  const bool is_news = add_signatures(order, ask.signatures);
  if (order.signatures.size() >= signatures_needed(vault.policy, order.terms.type)) {
    write_tombstone(core, vault, order);
    core.finish_order(vault, order, core.now);
    return {.body = order.receipt, .clock = std::nullopt};
  }
  if (is_news) {
    core.store->put_order(vault.id, hash, order);
    core.log.append({.action = "order",
                     .vault = vault.id,
                     .detail = "have=" + std::to_string(order.signatures.size()) +
                               " need=" + std::to_string(signatures_needed(vault.policy, order.terms.type)) +
                               " order=" + to_hex(hash),
                     .outcome = "waiting"},
                    core.now);
  }
  return waiting_receipt(core, vault, order, hash);
}

WireAnswer show_orders(Core& core, const Request& request) {
  const auto signer = core.signer(request);
  Query query = parsed([&] { return Query(request.wire.query); });
  const auto [to, id] = parsed([&] {
    std::pair<VerifyKey, VaultId> out{{query.hex<32>("to")}, query.hex<16>("vault")};
    query.end();
    return out;
  });
  core.require_to(to);
  const auto& vault = core.vault(id);
  if (!may_see_orders(vault, signer.key))
    refuse(401, "signature", "the request is signed by no card, owner or device of this vault");
  core.gate.take_nonce(signer, core.now / 1000);

  auto list = nlohmann::json::array();
  std::size_t size = 0;
  for (const auto* order : newest_first(vault)) {
    auto item = order_with_receipts(vault, *order, kAnswerRoom - size);
    size += item.dump().size();
    if (size > kAnswerRoom) break;
    list.push_back(std::move(item));
  }
  const bool is_device = find_device(vault.devices, signer.key) != nullptr;
  const auto state = is_device ? state_for_device(vault) : vault.state;
  return answer_of(
      {{"orders", std::move(list)}, {"silence", silence_locks_at(vault, state)}, {"state", to_string(state)}});
}

WireAnswer take_receipt(Core& core, const Request& request) {
  const auto signer = core.signer(request);
  const auto ask = parsed([&] { return parse_guard_receipt(request.wire.body); });
  core.require_to(ask.to);
  auto& vault = core.vault(ask.vault);
  auto& order = order_of_receipt(vault, ask.order);
  if (ask.device != signer.key) refuse(401, "signature", "the receipt is signed by another device");
  require_obedient(vault, signer.key, order);
  core.gate.take_nonce(signer, core.now / 1000);
  const GuardStage stage{ask.device.bytes, ask.stage};
  if (order.guard_receipts.emplace(stage, ask.text).second) {
    core.store->put_guard_receipt(vault.id, ask.order, stage, ask.text);
    core.log.append({.action = "receipt",
                     .vault = vault.id,
                     .device = signer.key,
                     .detail = "order=" + to_hex(ask.order),
                     .outcome = order.guard_receipts.find(stage)->first.second},
                    core.now);
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
  auto& vault = core.vault(wait.vault);
  const auto* device = find_device(vault.devices, signer.key);
  if (device != nullptr && device->burned_by != 0) return {burn_news(vault, *device, wait.after), std::nullopt};
  require_device(vault, signer.key);
  core.gate.take_nonce(signer, core.now / 1000);
  core.note_life(vault);
  if (auto answer = news_for(vault, wait.after)) return {std::move(answer), std::nullopt};
  return {std::nullopt, wait};
}

std::optional<WireAnswer> orders_after(Core& core, const OrderWait& wait) {
  const auto& vault = core.vaults.at(wait.vault);
  const auto* device = find_device(vault.devices, wait.device);
  if (device != nullptr && device->burned_by != 0) return burn_news(vault, *device, wait.after);
  require_device(vault, wait.device);
  return news_for(vault, wait.after);
}

WireAnswer no_orders(Core& core, const OrderWait& wait) {
  if (auto answer = orders_after(core, wait)) return *std::move(answer);
  return wait_answer(core.vaults.at(wait.vault), nlohmann::json::array(), wait.after);
}

}  // namespace casevault::custodian
