#include "vault/custody/custodian_rules.h"

#include <algorithm>
#include <tuple>

#include "vault/custody/custodian_refusal.h"

namespace casevault::custodian {
namespace {

constexpr std::size_t kMaxOrders = 4'096;  // of a vault; more are kept only while they have not expired
constexpr std::int64_t kSkewMs = kMaxWireClockSkew * 1000;

[[noreturn]] void refuse_order(const char* why) { refuse(403, "order", why); }

bool is_waiting(const Order& order, std::int64_t now) { return !order.is_done() && order.terms.expires > now; }

/// What a card has brought.
struct Brought {
  std::size_t kept = 0;
  std::size_t waiting = 0;
  bool same_waits = false;  // of this type and scope
};

Brought brought_by(const Vault& vault, const VerifyKey& card, const OrderTerms& terms, std::int64_t now) {
  Brought brought;
  for (const auto& [hash, order] : vault.orders) {
    if (order.terms.expires + kOrderKeptMs <= now || order.signatures.front().card != card) continue;
    ++brought.kept;
    if (!is_waiting(order, now)) continue;
    ++brought.waiting;
    const auto& other = order.terms;
    brought.same_waits |= other.type == terms.type && other.kind == terms.kind && other.id == terms.id;
  }
  return brought;
}

bool same_keys(std::vector<VerifyKey> a, std::vector<VerifyKey> b) {
  const auto by_bytes = [](const VerifyKey& x, const VerifyKey& y) { return x.bytes < y.bytes; };
  std::ranges::sort(a, by_bytes);
  std::ranges::sort(b, by_bytes);
  return a == b;
}

bool is_final(const OrderTerms& terms) { return terms.type == OrderType::kDestroy || terms.type == OrderType::kBurn; }

void require_known_scope(const Vault& vault, const OrderTerms& terms) {
  if (terms.kind == ScopeKind::kDevice) {
    if (!vault.devices.contains(terms.id)) refuse_order("the order is about a device that is not known here");
    return;
  }
  const auto scope = vault.scopes.find(terms.id);
  if (scope == vault.scopes.end() || scope->second.kind != *terms.kind)
    refuse_order("the order is about a user or case that is not known here");
  if (scope->second.state == State::kDestroyed && !is_final(terms))
    refuse(403, "destroyed", "this user or case was destroyed");
}

bool is_locked_by_tries(const Scope& scope) { return scope.tries >= kMaxTries; }

// They are still told of at the next confirmation.
void lift_tries(Scope& scope) {
  scope.lifted += scope.tries;
  scope.tries = 0;
}

// Of the vault: also the users who are locked by tries, for nobody would think of another order for them.
void unlock_vault(Vault& vault, std::int64_t now, Effect& effect) {
  const bool was_locked = vault.state == State::kLocked;
  if (was_locked) effect.affected = count_secrets(vault);
  vault.state = State::kActive;
  vault.seen = now;
  for (auto& [id, scope] : vault.scopes) {
    if (!is_locked_by_tries(scope)) continue;
    lift_tries(scope);
    effect.scopes.push_back(id);
    if (!was_locked) effect.affected += scope.secrets.size();
  }
}

void change_vault(Vault& vault, OrderType type, std::int64_t now, Effect& effect) {
  effect.vault_changed = true;
  if (vault.state == State::kDestroyed) return;
  if (type == OrderType::kUnlock) return unlock_vault(vault, now, effect);
  const bool by_order = vault.state == State::kLocked && vault.cause == LockCause::kOrder;
  if (!by_order || type == OrderType::kDestroy) effect.affected = count_secrets(vault);
  vault.state = type == OrderType::kDestroy ? State::kDestroyed : State::kLocked;
  vault.cause = LockCause::kOrder;
  if (type != OrderType::kDestroy) return;
  effect.erase_all = true;
  for (auto& [id, scope] : vault.scopes) scope.secrets.clear();
}

void change_scope(Scope& scope, OrderType type, Effect& effect) {
  if (scope.state == State::kDestroyed) return;
  const bool changes = type == OrderType::kUnlock ? scope.state == State::kLocked || is_locked_by_tries(scope)
                                                  : type == OrderType::kDestroy || scope.state == State::kActive;
  if (changes) effect.affected = scope.secrets.size();
  if (type == OrderType::kUnlock) {
    scope.state = State::kActive;
    lift_tries(scope);
    return;
  }
  scope.state = type == OrderType::kDestroy ? State::kDestroyed : State::kLocked;
  if (type != OrderType::kDestroy) return;
  effect.erase_scope = true;
  scope.secrets.clear();
}

void burn(Device& device, std::uint64_t number, Effect& effect) {
  if (device.burned_by != 0) return;
  device.burned_by = number;
  effect.affected = 1;
}

std::size_t count_active(const Devices& devices) {
  return static_cast<std::size_t>(
      std::ranges::count_if(devices, [](const auto& entry) { return entry.second.burned_by == 0; }));
}

}  // namespace

bool lapse(Vault& vault, std::int64_t now) {
  vault.seen = std::min(vault.seen, now);
  if (vault.state != State::kActive || vault.policy.lease_ms == 0) return false;
  if (now - vault.seen <= vault.policy.lease_ms) return false;
  vault.state = State::kLocked;
  vault.cause = LockCause::kSilence;
  return true;
}

std::int64_t silence_locks_at(const Vault& vault, State state) {
  return state == State::kActive && vault.policy.lease_ms > 0 ? vault.seen + vault.policy.lease_ms : 0;
}

void require_open(const Vault& vault, const std::optional<CustodyId>& user) {
  if (vault.state == State::kActive) return;
  if (vault.state == State::kDestroyed) refuse(403, "destroyed", "this vault was destroyed by an order");
  if (vault.cause == LockCause::kDuress && user == vault.duress_user) return;
  if (vault.cause == LockCause::kSilence)
    refuse(403, "silent", "this vault is locked because its guard has been silent for too long");
  refuse(403, "locked", "this vault is locked");
}

void require_open(const Scope& scope) {
  if (scope.state == State::kDestroyed) refuse(403, "destroyed", "this user or case was destroyed by an order");
  if (scope.state == State::kLocked) refuse(403, "locked", "this user or case is locked by an order");
}

State state_for_device(const Vault& vault) {
  const bool is_duress = vault.state == State::kLocked && vault.cause == LockCause::kDuress;
  return is_duress ? State::kActive : vault.state;
}

const Device& require_device(const Vault& vault, const VerifyKey& key) {
  const auto* device = find_device(vault.devices, key);
  if (device == nullptr) refuse(401, "signature", "the request is not signed by a device of this vault");
  if (device->burned_by != 0) refuse(403, "burned", "this device was burned by an order");
  return *device;
}

void require_owner(const Vault& vault, const VerifyKey& key) {
  if (!is_owner(vault, key)) refuse(401, "signature", "the statement is not signed by an owner of this vault");
}

bool require_newer(const Stamp& in_force, const Stamp& statement, std::int64_t now) {
  if (statement == in_force) return false;
  if (statement.time > now + kSkewMs) throw Refusal{401, "time", "the statement is from the future", now / 1000};
  if (statement.time <= in_force.time) refuse(409, "conflict", "a later statement is in force");
  return true;
}

void require_fresh(const Stamp& statement, std::int64_t now) {
  if (statement.time < now - kSkewMs) throw Refusal{401, "time", "the statement is too old", now / 1000};
}

std::vector<Sha256Digest> voided_orders(const Vault& vault, const Policy& policy) {
  const auto stays = [&](const CardSignature& signature) {
    return std::ranges::find(policy.cards, signature.card) != policy.cards.end();
  };
  std::vector<Sha256Digest> voided;
  for (const auto& [hash, order] : vault.orders) {
    if (!order.is_done() && std::ranges::none_of(order.signatures, stays)) voided.push_back(hash);
  }
  return voided;
}

void require_replaceable(const Vault& vault, const Policy& policy, std::int64_t now) {
  if (policy.quorum == vault.policy.quorum && same_keys(policy.cards, vault.policy.cards)) return;
  const auto voided = voided_orders(vault, policy);
  const auto waits = [&](const auto& entry) {
    return is_waiting(entry.second, now) && std::ranges::find(voided, entry.first) == voided.end();
  };
  if (std::ranges::any_of(vault.orders, waits)) {
    refuse(409, "conflict",
           "cards and quorum cannot be changed while an order waits for signatures that a card which stays has signed");
  }
}

bool require_new_device(const Devices& devices, const CustodyId& id, const VerifyKey& key) {
  const auto there = devices.find(id);
  const auto* same_id = there == devices.end() ? nullptr : &there->second;
  const auto* same_key = find_device(devices, key);
  if ((same_id != nullptr && same_id->burned_by != 0) || (same_key != nullptr && same_key->burned_by != 0))
    refuse(403, "burned", "this device was burned by an order");
  if (same_id != nullptr && same_id == same_key) return false;
  if (same_id != nullptr || same_key != nullptr)
    refuse(409, "conflict", "a device of this name or key is enrolled already");
  if (count_active(devices) >= kMaxDevices || devices.size() >= kMaxBurned)
    refuse(409, "conflict", "this vault has too many devices");
  return true;
}

void count_try(Scope& scope, std::int64_t now) {
  if (is_locked_by_tries(scope)) refuse(403, "tries", "too many tries without a confirmed one");
  if (scope.tries + scope.lifted == 0) scope.since = now;
  ++scope.tries;
}

Confirmed require_confirmer(const Scope& scope, const VerifyKey& by) {
  for (const auto& [name, secret] : scope.secrets) {
    if (name.type != SecretType::kOprf) continue;
    if (secret.duress == by) return Confirmed::kByDuress;
    if (secret.user == by) return Confirmed::kByUser;
  }
  refuse(401, "signature", "the confirmation is not signed by this user");
}

void take_confirmation(Scope& scope, const Stamp& statement, std::int64_t now) {
  scope.confirmed = {statement, scope.tries + scope.lifted, scope.since, now};
  scope.tries = 0;
  scope.lifted = 0;
  scope.since = 0;
}

void lock_for_duress(Vault& vault, const CustodyId& user) {
  if (vault.state != State::kActive) return;
  vault.state = State::kLocked;
  vault.cause = LockCause::kDuress;
  vault.duress_user = user;
}

std::size_t signatures_needed(const Policy& policy, OrderType type) {
  return type == OrderType::kLock ? 1 : policy.quorum;
}

void require_valid(const Vault& vault, const OrderTerms& terms, std::int64_t now) {
  if (terms.expires <= terms.issued || terms.expires - terms.issued > kMaxOrderLifeMs)
    refuse_order("the order is valid for longer than seven days, or not at all");
  if (terms.expires <= now || terms.issued > now + kMaxOrderAheadMs)
    throw Refusal{403, "order", "the order has expired, or is from the future", now / 1000};
  if ((terms.type == OrderType::kBurn) != (terms.kind == ScopeKind::kDevice))
    refuse_order("devices can be burned and nothing else, and nothing else can be burned");
  if (vault.state == State::kDestroyed && !is_final(terms))
    refuse(403, "destroyed", "this vault was destroyed by an order");
  if (terms.kind) require_known_scope(vault, terms);
}

void require_card_signatures(const Vault& vault, const std::string& statement,
                             const std::vector<CardSignature>& signatures) {
  const auto is_of_card = [&](const CardSignature& signature) { return is_card(vault, signature.card); };
  if (!std::ranges::all_of(signatures, is_of_card)) refuse_order("the order is signed by a card of another vault");
  const auto is_right = [&](const CardSignature& signature) {
    return verify(signature.card, kOrderDomain, as_bytes(statement), signature.signature);
  };
  if (!std::ranges::all_of(signatures, is_right)) refuse_order("a signature under the order is wrong");
}

void choose_bringer(const Vault& vault, const OrderTerms& terms, std::vector<CardSignature>& signatures,
                    std::int64_t now) {
  const bool waits = signatures.size() < signatures_needed(vault.policy, terms.type);
  bool waits_already = false;
  for (auto signature = signatures.begin(); signature != signatures.end(); ++signature) {
    const auto brought = brought_by(vault, signature->card, terms, now);
    const bool has_room = !waits || (!brought.same_waits && brought.waiting < kMaxWaitingOrders);
    if (has_room && brought.kept < kMaxOpenOrders)
      return void(std::rotate(signatures.begin(), signature, signature + 1));
    waits_already |= !has_room;
  }
  if (!waits_already) refuse(429, "rate", "this card has brought too many orders in the last days");
  refuse(403, "waiting", "an order of this card waits for the signatures of others already; let them sign that one");
}

bool drop_former_cards(const Vault& vault, Order& order) {
  const auto is_former = [&](const CardSignature& signature) { return !is_card(vault, signature.card); };
  return std::erase_if(order.signatures, is_former) != 0;
}

bool add_signatures(Order& order, const std::vector<CardSignature>& signatures) {
  const auto before = order.signatures.size();
  for (const auto& signature : signatures) {
    const auto is_same = [&](const CardSignature& have) { return have.card == signature.card; };
    if (std::ranges::none_of(order.signatures, is_same)) order.signatures.push_back(signature);
  }
  return order.signatures.size() > before;
}

Effect carry_out(Vault& vault, Order& order, std::int64_t now) {
  const auto& terms = order.terms;
  Effect effect;
  order.number = vault.newest() + 1;
  order.done = now;
  vault.done.emplace(order.number, sha256(as_bytes(order.statement)));
  if (!terms.kind) {
    change_vault(vault, terms.type, now, effect);
  } else if (terms.kind == ScopeKind::kDevice) {
    effect.device = terms.id;
    auto& device = vault.devices[terms.id];
    device.id = terms.id;
    burn(device, order.number, effect);
  } else {
    effect.scopes = {terms.id};
    auto& scope = vault.scopes[terms.id];
    scope.kind = *terms.kind;
    change_scope(scope, terms.type, effect);
  }
  return effect;
}

std::vector<const Order*> orders_in_turn(const Vault& vault, std::int64_t now) {
  std::vector<const Order*> orders;
  for (const auto& [hash, order] : vault.orders) orders.push_back(&order);
  const auto newness = [&](const Order* order) {
    return std::tuple(order->is_done(), !order->is_done() && !is_waiting(*order, now),
                      -static_cast<std::int64_t>(order->number), -order->terms.issued);
  };
  std::ranges::sort(orders, {}, newness);
  std::map<std::pair<ByteArray<32>, bool>, std::size_t> so_far;
  std::vector<std::pair<std::size_t, const Order*>> ranked;
  for (const auto* order : orders) {
    ranked.emplace_back(so_far[{order->signatures.front().card.bytes, order->is_done()}]++, order);
  }
  std::ranges::stable_sort(ranked, {}, &std::pair<std::size_t, const Order*>::first);
  std::ranges::transform(ranked, orders.begin(), &std::pair<std::size_t, const Order*>::second);
  return orders;
}

std::vector<Sha256Digest> outdated_orders(const Vault& vault, std::int64_t now) {
  std::vector<Sha256Digest> outdated;
  for (const auto& [hash, order] : vault.orders) {
    if (!order.is_done() && order.terms.expires + kOrderKeptMs <= now) outdated.push_back(hash);
  }
  for (const auto& [number, hash] : vault.done) {
    if (vault.orders.size() - outdated.size() <= kMaxOrders || number == vault.newest()) break;
    const auto& terms = vault.orders.at(hash).terms;
    if (terms.expires <= now && !is_final(terms)) outdated.push_back(hash);  // a tombstone tells of those
  }
  return outdated;
}

}  // namespace casevault::custodian
