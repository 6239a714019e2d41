#include "vault/custody/order.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/random.h"
#include "vault/storage/json.h"
#include "vault/text.h"

namespace casevault {
namespace {

using Json = nlohmann::json;

template <typename Value>
using Words = std::pair<Value, std::string_view>;
constexpr std::array<Words<OrderType>, 4> kTypes = {{{OrderType::kLock, "lock"},
                                                     {OrderType::kUnlock, "unlock"},
                                                     {OrderType::kDestroy, "destroy"},
                                                     {OrderType::kBurn, "burn"}}};
constexpr std::array<Words<ScopeKind>, 3> kScopes = {
    {{ScopeKind::kUser, "user"}, {ScopeKind::kCase, "case"}, {ScopeKind::kDevice, "device"}}};
constexpr std::array<Words<GuardStage>, 3> kStages = {{{GuardStage::kReceived, "received"},
                                                       {GuardStage::kKeysDestroyed, "keys-destroyed"},
                                                       {GuardStage::kReopeningFailed, "reopening-failed"}}};
constexpr std::size_t kMaxReceiptsShown = 1'000;  // of one order
constexpr std::size_t kMaxNotReached = 1'000;

template <typename Value, std::size_t Size>
std::string_view word_of(const std::array<Words<Value>, Size>& words, Value value) {
  return std::ranges::find(words, value, &Words<Value>::first)->second;
}

template <typename Value, std::size_t Size>
std::optional<Value> value_of(const std::array<Words<Value>, Size>& words, std::string_view word) {
  const auto* found = std::ranges::find(words, word, &Words<Value>::second);
  if (found == words.end()) return std::nullopt;
  return found->first;
}

bool fits(OrderType type, const OrderScope& scope) {
  return (type == OrderType::kBurn) == (scope.kind == ScopeKind::kDevice);
}

// Control characters, quotes and backslashes count as they are written: an answer has room for so many bytes.
bool is_reason(const std::string& text) { return is_utf8(text) && Json(text).dump().size() - 2 <= kMaxOrderReason; }

OrderSignature signature_from_json(const Json& object) {
  Fields fields(object, "order");
  OrderSignature out{.card = {fields.hex<32>("card")}};
  const auto signature = from_base64(fields.text("signature"));
  if (!signature || signature->size() != out.signature.size()) fields.fail();
  out.signature = to_array<64>(*signature);
  fields.end();
  return out;
}

bool holds(const OrderSignature& signature, std::string_view statement) {
  return verify(signature.card, kOrderDomain, as_bytes(statement), signature.signature);
}

GuardReceipt guard_receipt_from_json(const Json& object, const VaultId& vault, std::string_view statement) {
  const std::string what = "receipt of a machine";
  const WireStatement said = wire_statement_from_json(object, kGuardReceiptDomain, what);
  const Json json = parse_canonical(said.statement, what);
  Fields fields(json, what);
  GuardReceipt out{.device = {fields.hex<32>("device")}, .time_ms = fields.time("time")};
  const auto stage = value_of(kStages, fields.text("stage"));
  for (const Json& place : fields.list("not_reached", kMaxNotReached)) {
    if (!place.is_string()) fields.fail();
    out.not_reached.push_back(place.get<std::string>());
  }
  fields.hex<16>("nonce");
  const bool about_it = fields.text("kind") == "guard-receipt" && fields.hex<16>("vault") == vault &&
                        fields.hex<32>("order") == sha256(as_bytes(statement));
  fields.end();
  if (!about_it || !stage || said.by != out.device) fields.fail();
  out.stage = *stage;
  return out;
}

OrderStanding standing_from_json(const Json& object, const VaultId& vault) {
  Fields fields(object, "list of orders");
  OrderStanding out;
  out.done_ms = fields.time("done");
  out.have = fields.count("have");
  out.need = fields.count("need");
  out.number = fields.count("number");
  out.signed_order = SignedOrder::from_json(fields.any("order"));
  out.order = Order::parse(out.signed_order.statement);
  if (out.order.vault != vault) fields.fail();
  for (const Json& receipt : fields.list("receipts", kMaxReceiptsShown)) {
    out.receipts.push_back(guard_receipt_from_json(receipt, vault, out.signed_order.statement));
  }
  fields.end();
  return out;
}

}  // namespace

std::string_view to_string(OrderType type) { return word_of(kTypes, type); }
std::optional<OrderType> parse_order_type(std::string_view text) { return value_of(kTypes, text); }
std::string_view to_string(GuardStage stage) { return word_of(kStages, stage); }
std::optional<GuardStage> parse_guard_stage(std::string_view text) { return value_of(kStages, text); }

std::string OrderScope::encode() const {
  return kind ? std::string(word_of(kScopes, *kind)) + ":" + to_hex(id) : "vault";
}

std::optional<OrderScope> OrderScope::parse(std::string_view text) {
  if (text == "vault") return OrderScope{};
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto kind = value_of(kScopes, text.substr(0, colon));
  const auto id = array_from_hex<16>(text.substr(colon + 1));
  if (!kind || !id) return std::nullopt;
  return OrderScope{*kind, *id};
}

Order Order::make(OrderType type, const OrderScope& scope, const VaultId& vault, std::string reason,
                  std::int64_t now_ms) {
  if (!fits(type, scope)) {
    throw Error(Errc::kUsage,
                type == OrderType::kBurn ? "a burn is for one machine, and needs its name"
                                         : "an order for a machine can only be a burn",
                type == OrderType::kBurn ? "add --device NAME, as casevault custody status calls it there"
                                         : "casevault order issue burn --device NAME --card FILE");
  }
  if (!is_reason(reason))
    throw Error(Errc::kUsage, "the reason is longer than 500 bytes (a quote or backslash counts twice), or not UTF-8");
  return {type, scope, vault, now_ms, now_ms + kOrderLifeMs, std::move(reason), random_array<16>()};
}

std::string Order::statement() const {
  return Json{{"expires", expires_ms}, {"issued", issued_ms},     {"kind", "order"},         {"nonce", to_hex(nonce)},
              {"reason", reason},      {"scope", scope.encode()}, {"type", to_string(type)}, {"vault", to_hex(vault)}}
      .dump();
}

Order Order::parse(std::string_view statement) {
  const Json json = parse_canonical(statement, "order");
  Fields fields(json, "order");
  const auto type = parse_order_type(fields.text("type"));
  const auto scope = OrderScope::parse(fields.text("scope"));
  if (!type || !scope || !fits(*type, *scope) || fields.text("kind") != "order") fields.fail();
  Order order{*type,
              *scope,
              fields.hex<16>("vault"),
              fields.time("issued"),
              fields.time("expires"),
              fields.text("reason"),
              fields.hex<16>("nonce")};
  fields.end();
  const std::int64_t life = order.expires_ms - order.issued_ms;
  if (life <= 0 || life > kMaxOrderLifeMs || !is_reason(order.reason)) fields.fail();
  return order;
}

std::string SignedOrder::encode() const {
  Json list = Json::array();
  for (const OrderSignature& one : signatures)
    list.push_back({{"card", to_hex(one.card.bytes)}, {"signature", to_base64(one.signature)}});
  return Json{{"signatures", list}, {"statement", statement}}.dump();
}

SignedOrder SignedOrder::parse(std::string_view body) { return from_json(parse_canonical(body, "order")); }

SignedOrder SignedOrder::from_json(const Json& object) {
  if (!object.is_object()) throw Error(Errc::kDamaged, "order is damaged: not an object");
  Fields fields(object, "order");
  SignedOrder out;
  for (const Json& one : fields.list("signatures", kMaxCards)) {
    if (!one.is_object()) fields.fail();
    const OrderSignature signature = signature_from_json(one);
    if (out.is_signed_by(signature.card)) fields.fail();
    out.signatures.push_back(signature);
  }
  out.statement = fields.text("statement");
  fields.end();
  return out;
}

bool SignedOrder::is_signed_by(const VerifyKey& card) const {
  return std::ranges::find(signatures, card, &OrderSignature::card) != signatures.end();
}

void SignedOrder::sign(const SigningKey& card) {
  std::erase_if(signatures, [&](const OrderSignature& one) { return one.card == card.verify_key(); });
  signatures.push_back({card.verify_key(), card.sign(kOrderDomain, as_bytes(statement))});
}

void SignedOrder::join(const SignedOrder& other) {
  for (const OrderSignature& one : other.signatures) {
    if (!is_signed_by(one.card) && signatures.size() < kMaxCards && holds(one, statement)) signatures.push_back(one);
  }
}

OrderReceipt parse_receipt(std::string_view body, const VerifyKey& custodian, const SignedOrder& order) {
  const std::string what = "receipt";
  const WireStatement said = wire_statement_from_json(parse_canonical(body, what), kReceiptDomain, what);
  if (said.by != custodian) throw Error(Errc::kDamaged, "the receipt is not signed by the custodian's key");
  const Json json = parse_canonical(said.statement, what);
  Fields fields(json, what);
  const std::string state = fields.text("state");
  const OrderReceipt out{.done = state == "done",
                         .affected = fields.count("affected"),
                         .have = fields.count("have"),
                         .need = fields.count("need"),
                         .time_ms = fields.time("time")};
  const Order asked = Order::parse(order.statement);
  fields.hex<16>("nonce");
  const bool about_it = fields.text("kind") == "receipt" && fields.hex<16>("vault") == asked.vault &&
                        fields.text("type") == to_string(asked.type) &&
                        fields.hex<32>("order") == sha256(as_bytes(order.statement));
  fields.end();
  if (!about_it || (!out.done && state != "waiting")) fields.fail();
  return out;
}

OrdersAnswer OrdersAnswer::parse(std::string_view body, const VaultId& vault) {
  const Json json = parse_canonical(body, "list of orders");
  Fields fields(json, "list of orders");
  OrdersAnswer out{
      .state = fields.text("state"), .silence_ms = fields.time("silence"), .orders = {}, .next = fields.count("next")};
  for (const Json& one : fields.list("orders", kMaxOrdersShown)) {
    if (!one.is_object()) fields.fail();
    out.orders.push_back(standing_from_json(one, vault));
  }
  fields.end();
  if (out.state != "active" && out.state != "locked" && out.state != "destroyed") fields.fail();
  return out;
}

void OrdersAnswer::join(OrdersAnswer page) {
  for (OrderStanding& one : page.orders) {
    const auto is_same = [&](const OrderStanding& have) {
      return have.signed_order.statement == one.signed_order.statement;
    };
    if (std::ranges::none_of(orders, is_same)) orders.push_back(std::move(one));
  }
  state = std::move(page.state);
  next = page.next;
}

const OrderStanding* OrdersAnswer::find_waiting(OrderType type, const OrderScope& scope, std::int64_t now_ms) const {
  const OrderStanding* best = nullptr;
  for (const OrderStanding& one : orders) {
    const bool waits = one.done_ms == 0 && one.order.is_in_force(now_ms);
    if (!waits || one.order.type != type || one.order.scope != scope) continue;
    const auto rank = [](const OrderStanding& order) { return std::pair(order.have, order.order.expires_ms); };
    if (!best || rank(one) > rank(*best)) best = &one;
  }
  return best;
}

std::optional<SignedOrder> find_waiting(const std::vector<OrdersAnswer>& answers, OrderType type,
                                        const OrderScope& scope, std::int64_t now_ms) {
  std::map<std::string, SignedOrder> by_statement;
  for (const OrdersAnswer& answer : answers) {
    const OrderStanding* waiting = answer.find_waiting(type, scope, now_ms);
    if (!waiting) continue;
    const std::string& statement = waiting->signed_order.statement;
    by_statement.try_emplace(statement, SignedOrder{statement, {}}).first->second.join(waiting->signed_order);
  }
  const auto most = std::ranges::max_element(by_statement, {}, [](const auto& entry) {
    return std::pair(entry.second.signatures.size(), Order::parse(entry.first).expires_ms);
  });
  if (most == by_statement.end()) return std::nullopt;
  return std::move(most->second);
}

}  // namespace casevault
