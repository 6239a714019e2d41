#include "vault/custody/order.h"

#include <gmock/gmock.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "crypto/encoding.h"
#include "crypto/error.h"

namespace casevault {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kNow = 1'800'000'000'000;

VaultId vault_id() {
  VaultId id;
  id.fill(std::byte{7});
  return id;
}
OrderScope user_scope() {
  OrderScope scope{ScopeKind::kUser};
  scope.id.fill(std::byte{9});
  return scope;
}
OrderScope device_scope() { return {ScopeKind::kDevice, user_scope().id}; }

SignedOrder order_of(OrderType type, const OrderScope& scope, std::initializer_list<const SigningKey*> cards) {
  SignedOrder out{.statement = Order::make(type, scope, vault_id(), "обыск", kNow).statement()};
  for (const SigningKey* card : cards) out.sign(*card);
  return out;
}

TEST(Order, IsTheStatementOfTheProtocol) {
  const Order order = Order::make(OrderType::kDestroy, user_scope(), vault_id(), "raid", kNow);
  EXPECT_EQ(Json::parse(order.statement()), (Json{{"expires", kNow + kOrderLifeMs},
                                                  {"issued", kNow},
                                                  {"kind", "order"},
                                                  {"nonce", to_hex(order.nonce)},
                                                  {"reason", "raid"},
                                                  {"scope", "user:09090909090909090909090909090909"},
                                                  {"type", "destroy"},
                                                  {"vault", "07070707070707070707070707070707"}}));
  EXPECT_NE(order.nonce, Order::make(OrderType::kDestroy, user_scope(), vault_id(), "raid", kNow).nonce);
  EXPECT_TRUE(order.is_in_force(kNow + kOrderLifeMs - 1));
  EXPECT_FALSE(order.is_in_force(kNow + kOrderLifeMs));
}

TEST(Order, WhatParsesEncodesBack) {
  for (const auto type : {OrderType::kLock, OrderType::kUnlock, OrderType::kDestroy, OrderType::kBurn}) {
    for (const auto& scope : {OrderScope{}, user_scope(), OrderScope{ScopeKind::kCase}, device_scope()}) {
      if ((type == OrderType::kBurn) != (scope.kind == ScopeKind::kDevice)) {
        EXPECT_THROW(Order::make(type, scope, vault_id(), "", kNow), Error);
        continue;
      }
      const std::string statement = Order::make(type, scope, vault_id(), "\"\\\n\x01 д", kNow).statement();
      EXPECT_EQ(Order::parse(statement).statement(), statement);
    }
  }
}

TEST(Order, ReasonsAreBoundedText) {
  EXPECT_NO_THROW(Order::make(OrderType::kLock, {}, vault_id(), std::string(500, 'x'), kNow));
  EXPECT_THROW(Order::make(OrderType::kLock, {}, vault_id(), std::string(501, 'x'), kNow), Error);
  EXPECT_THROW(Order::make(OrderType::kLock, {}, vault_id(), "\xff", kNow), Error);
}

struct Refusal {
  const char* name;
  std::function<void(Json&)> change;
};
void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.name; }

class RefusedOrder : public testing::TestWithParam<Refusal> {};
TEST_P(RefusedOrder, IsRefused) {
  Json json = Json::parse(Order::make(OrderType::kLock, {}, vault_id(), "raid", kNow).statement());
  EXPECT_NO_THROW(Order::parse(json.dump()));
  GetParam().change(json);
  EXPECT_THROW(Order::parse(json.dump()), Error);
}
INSTANTIATE_TEST_SUITE_P(
    OneFieldEach, RefusedOrder,
    testing::Values(Refusal{"type", [](Json& j) { j["type"] = "open"; }},
                    Refusal{"kind", [](Json& j) { j["kind"] = "policy"; }},
                    Refusal{"scope_word", [](Json& j) { j["scope"] = "all"; }},
                    Refusal{"scope_short", [](Json& j) { j["scope"] = "user:ab"; }},
                    Refusal{"scope_upper_case", [](Json& j) { j["scope"] = "user:" + std::string(32, 'A'); }},
                    Refusal{"scope_of_a_burn", [](Json& j) { j["scope"] = "device:" + std::string(32, 'a'); }},
                    Refusal{"lives_too_long", [](Json& j) { j["expires"] = kNow + kMaxOrderLifeMs + 1; }},
                    Refusal{"expires_at_once", [](Json& j) { j["expires"] = kNow; }},
                    Refusal{"nonce", [](Json& j) { j["nonce"] = "00"; }},
                    Refusal{"reason", [](Json& j) { j["reason"] = std::string(501, 'x'); }},
                    Refusal{"more", [](Json& j) { j["also"] = 1; }},
                    Refusal{"less", [](Json& j) { j.erase("reason"); }}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Order, OtherSpellingsOfTheSameAreRefused) {
  const std::string statement = Order::make(OrderType::kLock, {}, vault_id(), "raid", kNow).statement();
  EXPECT_THROW(Order::parse(statement + " "), Error);
  EXPECT_THROW(Order::parse("{ " + statement.substr(1)), Error);
  EXPECT_THROW(Order::parse(""), Error);
}

// ---- Signatures.

TEST(SignedOrder, HasOneSignatureForEachCard) {
  const auto a = SigningKey::random();
  const auto b = SigningKey::random();
  SignedOrder order = order_of(OrderType::kLock, {}, {&a, &b, &a});
  EXPECT_EQ(order.signatures.size(), 2u);
  EXPECT_TRUE(order.is_signed_by(a.verify_key()));
  EXPECT_FALSE(order.is_signed_by(SigningKey::random().verify_key()));
  for (const auto& one : order.signatures)
    EXPECT_TRUE(verify(one.card, kOrderDomain, as_bytes(order.statement), one.signature));
  EXPECT_EQ(SignedOrder::parse(order.encode()).encode(), order.encode());
}

TEST(SignedOrder, JoinsOnlySignaturesThatHold) {
  const auto a = SigningKey::random();
  const auto b = SigningKey::random();
  const auto c = SigningKey::random();
  SignedOrder ours = order_of(OrderType::kDestroy, {}, {&a});
  SignedOrder theirs{.statement = ours.statement};
  theirs.sign(b);
  theirs.sign(c);
  theirs.signatures[1].signature[0] ^= std::byte{1};
  ours.join(theirs);
  EXPECT_TRUE(ours.is_signed_by(b.verify_key()));
  EXPECT_FALSE(ours.is_signed_by(c.verify_key()));
}

TEST(SignedOrder, StrictlyParsed) {
  const auto card = SigningKey::random();
  const Json good = Json::parse(order_of(OrderType::kLock, {}, {&card}).encode());
  const std::vector<std::function<void(Json&)>> changes = {
      [](Json& j) { j["signatures"].push_back(j["signatures"][0]); },
      [](Json& j) { j["signatures"][0]["card"] = "ab"; },
      [](Json& j) { j["signatures"][0]["signature"] = "AAAA"; },
      [](Json& j) { j["signatures"][0] = 1; },
      [](Json& j) { j["signatures"] = Json::array_t(33, j["signatures"][0]); },
      [](Json& j) { j["signatures"] = "x"; },
      [](Json& j) { j["statement"] = 1; },
      [](Json& j) { j["more"] = 1; },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    Json bad = good;
    changes[i](bad);
    EXPECT_THROW(SignedOrder::parse(bad.dump()), Error) << i;
  }
}

// ---- Receipts.

struct Answered {
  SigningKey custodian = SigningKey::random();
  SigningKey card = SigningKey::random();
  SignedOrder order = order_of(OrderType::kLock, {}, {&card});
  Json statement = {{"affected", 412},
                    {"have", 1},
                    {"kind", "receipt"},
                    {"need", 1},
                    {"nonce", std::string(32, '0')},
                    {"order", to_hex(sha256(as_bytes(order.statement)))},
                    {"state", "done"},
                    {"time", kNow},
                    {"type", "lock"},
                    {"vault", to_hex(vault_id())}};
  std::string body() const { return to_json(sign_statement(kReceiptDomain, statement, custodian)).dump(); }
};

TEST(Receipt, SaysWhatWasDone) {
  const Answered answered;
  const auto receipt = parse_receipt(answered.body(), answered.custodian.verify_key(), answered.order);
  EXPECT_TRUE(receipt.done);
  EXPECT_EQ(receipt.affected, 412u);
  EXPECT_EQ(receipt.time_ms, kNow);
}

TEST(Receipt, OfAnotherCustodianOrOrderIsRefused) {
  const Answered answered;
  EXPECT_THROW(parse_receipt(answered.body(), SigningKey::random().verify_key(), answered.order), Error);
  EXPECT_THROW(parse_receipt(answered.body(), answered.custodian.verify_key(), order_of(OrderType::kLock, {}, {})),
               Error);
  for (const char* key : {"order", "state", "type", "vault", "kind", "nonce", "time"}) {
    Answered changed;
    changed.statement[key] = "x";
    EXPECT_THROW(parse_receipt(changed.body(), changed.custodian.verify_key(), changed.order), Error) << key;
  }
}

// ---- Who has obeyed.

struct Listed {
  SigningKey device = SigningKey::random();
  SigningKey card = SigningKey::random();
  SignedOrder order = order_of(OrderType::kDestroy, {}, {&card});
  Json receipt = {{"device", to_hex(device.verify_key().bytes)},
                  {"kind", "guard-receipt"},
                  {"nonce", std::string(32, '0')},
                  {"not_reached", {"/media/usb"}},
                  {"order", to_hex(sha256(as_bytes(order.statement)))},
                  {"stage", "keys-destroyed"},
                  {"time", kNow},
                  {"vault", to_hex(vault_id())}};
  Json standing() const {
    return {{"done", 0},
            {"have", 1},
            {"need", 2},
            {"number", 0},
            {"order", Json::parse(order.encode())},
            {"receipts", {to_json(sign_statement(kGuardReceiptDomain, receipt, device))}}};
  }
  std::string body(std::initializer_list<Json> standings) const {
    return Json{{"next", 0}, {"orders", Json(standings)}, {"silence", 0}, {"state", "active"}}.dump();
  }
};

TEST(OrdersAnswer, ShowsOrdersAndReceipts) {
  const Listed listed;
  const auto answer = OrdersAnswer::parse(listed.body({listed.standing()}), vault_id());
  ASSERT_EQ(answer.orders.size(), 1u);
  EXPECT_EQ(answer.orders[0].order.type, OrderType::kDestroy);
  ASSERT_EQ(answer.orders[0].receipts.size(), 1u);
  EXPECT_EQ(answer.orders[0].receipts[0].stage, GuardStage::kKeysDestroyed);
  EXPECT_EQ(answer.orders[0].receipts[0].not_reached, std::vector<std::string>{"/media/usb"});
}

TEST(OrdersAnswer, FindsTheOrderThatWaitsForAnotherCard) {
  Listed less;
  Listed more;
  Json second = more.standing();
  second["have"] = 2;
  second["need"] = 3;
  const auto answer = OrdersAnswer::parse(less.body({less.standing(), second}), vault_id());
  const auto* found = answer.find_waiting(OrderType::kDestroy, {}, kNow);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->signed_order.statement, more.order.statement);
  EXPECT_FALSE(answer.find_waiting(OrderType::kUnlock, {}, kNow));
  EXPECT_FALSE(answer.find_waiting(OrderType::kDestroy, user_scope(), kNow));
  EXPECT_FALSE(answer.find_waiting(OrderType::kDestroy, {}, kNow + kOrderLifeMs));
  Json done = less.standing();
  done["done"] = kNow;
  EXPECT_FALSE(OrdersAnswer::parse(less.body({done}), vault_id()).find_waiting(OrderType::kDestroy, {}, kNow));
}

// Or one that lapses in a minute could be kept in the way of those that others sign.
TEST(OrdersAnswer, OfOrdersWithAsManySignaturesTheOneThatWaitsLongestIsFound) {
  for (const bool longer_first : {true, false}) {
    Listed brief;
    auto order = Order::parse(brief.order.statement);
    order.expires_ms = order.issued_ms + 60'000;
    brief.order = {order.statement(), {}};
    brief.order.sign(SigningKey::random());
    Json one = brief.standing();
    one["receipts"] = Json::array();
    const Listed longer;
    const auto answer = longer_first ? OrdersAnswer::parse(longer.body({longer.standing(), one}), vault_id())
                                     : OrdersAnswer::parse(longer.body({one, longer.standing()}), vault_id());
    EXPECT_EQ(answer.find_waiting(OrderType::kDestroy, {}, kNow)->signed_order.statement, longer.order.statement);
    EXPECT_EQ(find_waiting({answer}, OrderType::kDestroy, {}, kNow)->statement, longer.order.statement);
  }
}

TEST(OrdersAnswer, PagesAreJoined) {
  const Listed first, second;
  auto answer = OrdersAnswer::parse(first.body({first.standing()}), vault_id());
  answer.join(OrdersAnswer::parse(first.body({first.standing(), second.standing()}), vault_id()));
  ASSERT_EQ(answer.orders.size(), 2u) << "what moved to a later page meanwhile is there once";
  EXPECT_EQ(answer.orders[1].signed_order.statement, second.order.statement);
}

TEST(OrdersAnswer, SignaturesAddUpOverAllCustodians) {
  Listed here;
  Listed there;
  there.order = here.order;
  there.receipt["order"] = here.receipt["order"];
  Listed elsewhere;
  const auto second = SigningKey::random();
  const auto third = SigningKey::random();
  there.order.sign(second);
  there.order.sign(third);
  there.order.signatures.back().signature[0] ^= std::byte{1};
  std::vector<OrdersAnswer> answers;
  for (const Listed* listed : {&elsewhere, &here, &there})
    answers.push_back(OrdersAnswer::parse(listed->body({listed->standing()}), vault_id()));
  const auto found = find_waiting(answers, OrderType::kDestroy, {}, kNow);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->statement, here.order.statement);
  EXPECT_EQ(found->signatures.size(), 2u) << "of the card and of the second, not what does not hold";
  EXPECT_TRUE(found->is_signed_by(second.verify_key()));
  EXPECT_FALSE(find_waiting(answers, OrderType::kBurn, device_scope(), kNow));
  EXPECT_FALSE(find_waiting({}, OrderType::kDestroy, {}, kNow));
}

TEST(OrdersAnswer, ForgedReceiptsAndOrdersOfOthersAreRefused) {
  const Listed listed;
  EXPECT_THROW(OrdersAnswer::parse(listed.body({listed.standing()}), VaultId{}), Error);
  for (const char* key : {"order", "stage", "vault", "kind", "device", "not_reached"}) {
    Listed changed;
    changed.receipt[key] = key == std::string_view("device") ? std::string(64, 'a') : "x";
    EXPECT_THROW(OrdersAnswer::parse(changed.body({changed.standing()}), vault_id()), Error) << key;
  }
  EXPECT_THROW(OrdersAnswer::parse(R"({"next":0,"orders":[],"silence":0,"state":"asleep"})", vault_id()), Error);
  EXPECT_THROW(OrdersAnswer::parse(R"({"orders":[],"silence":0,"state":"locked"})", vault_id()), Error);
  EXPECT_THROW(OrdersAnswer::parse(R"({"next":0,"orders":[],"state":"locked"})", vault_id()), Error);
  EXPECT_NO_THROW(OrdersAnswer::parse(R"({"next":0,"orders":[],"silence":7,"state":"locked"})", vault_id()));
}

}  // namespace
}  // namespace casevault
