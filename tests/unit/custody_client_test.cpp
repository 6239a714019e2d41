#include "vault/custody/client.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "crypto/cosignature.h"
#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/merkle.h"
#include "crypto/random.h"
#include "crypto/witness_request.h"
#include "tests/support/custodian_process.h"
#include "tests/support/https_server.h"
#include "vault/custody/order_desk.h"
#include "vault/custody/share_pile.h"
#include "vault/custody/shares.h"

namespace casevault {
namespace {

using test::CustodianProcess;
using test::HttpsServer;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

struct Thrown {
  std::optional<Errc> code;
  std::string what;
};
template <typename Run>
Thrown thrown_by(const Run& run) {
  try {
    run();
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {};
}

Environment environment_of_now() {
  return {test::real_now_ms, [] { return false; }, "test-machine", {}, {}, {}, {}};
}

bool same(const Scalar& a, const Scalar& b) { return equal_constant_time(a.expose_secret(), b.expose_secret()); }
bool same(const OprfOutput& a, const OprfOutput& b) {
  return equal_constant_time(a.expose_secret(), b.expose_secret());
}

// ---- Shares that come in one after the other
class SharePiles : public testing::Test {
 protected:
  ScalarShare share(std::uint32_t index) const { return {index, dealt.shares[index - 1].clone()}; }
  static ScalarShare lie(std::uint32_t index) { return {index, random_scalar()}; }

  Scalar secret = random_scalar();
  DealtScalar dealt = deal_scalar(secret, 3, 9);
};

TEST_F(SharePiles, TheFirstOnesAreEnough) {
  SharePile pile(3, std::nullopt);
  pile.add(share(2));
  pile.add(share(9));
  EXPECT_FALSE(pile.is_found());
  pile.add(share(1));
  ASSERT_TRUE(pile.is_found());
  pile.add(lie(4));
  EXPECT_TRUE(same(pile.take(), secret));
}

TEST_F(SharePiles, LiesArePassedOver) {
  SharePile pile(3, dealt.commitment);
  pile.add(lie(1));
  pile.add(share(2));
  pile.add(lie(3));
  pile.add(lie(4));
  pile.add(share(5));
  pile.add(lie(6));
  EXPECT_FALSE(pile.is_found());
  pile.add(share(7));
  ASSERT_TRUE(pile.is_found());
  EXPECT_TRUE(same(pile.take(), secret));
}

TEST_F(SharePiles, SayWhatAnotherWouldHold) {
  SharePile pile(3, dealt.commitment);
  for (const auto& given : {share(8), lie(3), share(2), share(5)}) pile.add({given.index, given.value.clone()});
  ASSERT_TRUE(pile.is_found());
  for (const std::uint32_t index : {2u, 3u, 9u}) EXPECT_TRUE(same(pile.share_of(index), dealt.shares[index - 1]));
}

TEST_F(SharePiles, OneOfOne) {
  const auto alone = deal_scalar(secret, 1, 2);
  SharePile pile(1, alone.commitment);
  pile.add(lie(1));
  EXPECT_FALSE(pile.is_found());
  pile.add({2, alone.shares[1].clone()});
  ASSERT_TRUE(pile.is_found());
  EXPECT_TRUE(same(pile.take(), secret));
}

// ---- With the real service

class CustodyTalk : public testing::Test {
 protected:
  void SetUp() override {
    for (const auto* name : {"Riga", "Lisboa", "Kraków"}) {
      custodians.push_back(std::make_unique<CustodianProcess>(name, name));
    }
    for (int i = 0; i < 3; ++i) cards.push_back(SigningKey::random());
    plan.epoch = 1;
    plan.salt = random_array<16>();
    plan.threshold = 2;
    plan.quorum = 2;
    for (const auto& card : cards) plan.cards.push_back(card.verify_key());
    std::uint32_t index = 3;  // not the places, nor one after the other
    for (const auto& custodian : custodians) {
      const auto invitation = custodian->invite();
      plan.custodians.push_back({invitation.custodian, index += 2});
      tokens.push_back(invitation.token);
    }
    client = connect();
    client->enrol(tokens, policy(), owner);
  }

  std::unique_ptr<CustodyClient> connect(const Environment& environment = environment_of_now()) const {
    return connect(plan, environment);
  }
  std::unique_ptr<CustodyClient> connect(const CustodyPlan& with,
                                         const Environment& environment = environment_of_now()) const {
    return std::make_unique<CustodyClient>(
        vault, with, DeviceKey{"office", SigningKey::from_seed(device.seed().clone())}, environment);
  }
  CustodyPolicy policy() const {
    return {{owner.verify_key()}, NoteVerifier(log_name, log_key.verify_key()).encode(), plan};
  }
  CustodyId id(ScopeKind kind, std::string_view name) const { return custody_id(plan.salt, kind, name); }
  SecretName anna() const { return {id(ScopeKind::kUser, "anna"), plan.epoch}; }
  SecretName first_case(std::uint32_t version = 1) const { return {id(ScopeKind::kCase, "C-1"), version}; }

  UserDeposit deposit_of_anna() const {
    return {anna(), random_scalar(), random_scalar(), user.verify_key(), duress.verify_key()};
  }
  OrderCard card(std::size_t number) const {
    OrderCard made{static_cast<std::uint32_t>(number + 1), "", vault, plan.salt, cards[number].seed().clone(), {}, 0};
    for (const auto& seat : plan.custodians) made.custodians.push_back(seat.custodian);
    return made;
  }
  SignedOrder order(OrderType type, const std::string& scope, std::size_t signatures) const {
    SignedOrder made{Order::make(type, *OrderScope::parse(scope), vault, "a raid", test::real_now_ms()).statement(),
                     {}};
    for (std::size_t i = 0; i < signatures; ++i) made.sign(cards[i]);
    return made;
  }
  /// All must obey.
  void give(OrderType type, const std::string& scope = "vault") const {
    OrderDesk desk(card(0), environment_of_now());
    for (const auto& said : desk.send(order(type, scope, plan.quorum))) {
      EXPECT_TRUE(said.value && said.value->done) << said.report.name << ": " << said.report.reason;
    }
  }

  const VaultId vault = random_array<16>();
  const std::string log_name = "casevault/" + to_hex(vault);
  const SigningKey owner = SigningKey::random();
  const SigningKey device = SigningKey::random();
  const SigningKey user = SigningKey::random();
  const SigningKey duress = SigningKey::random();
  const SigningKey log_key = SigningKey::random();
  const PassphraseKey stretched = PassphraseKey::random();
  std::vector<std::unique_ptr<CustodianProcess>> custodians;
  std::vector<SigningKey> cards;
  std::vector<ByteArray<32>> tokens;
  CustodyPlan plan;
  std::unique_ptr<CustodyClient> client;
};

TEST_F(CustodyTalk, WhatIsDealtComesBack) {
  const auto deposit = deposit_of_anna();
  client->deal_user(deposit, owner);
  EXPECT_TRUE(same(client->evaluate(anna(), stretched), oprf_alone(deposit.oprf, stretched)));
  EXPECT_FALSE(same(client->evaluate(anna(), PassphraseKey::random()), oprf_alone(deposit.oprf, stretched)));
  EXPECT_TRUE(same(client->release({anna()}).front(), deposit.share));
  const auto tries = client->confirm(anna().id, user);
  EXPECT_EQ(tries.unconfirmed, 2u);
  EXPECT_GT(tries.since_ms, 0);
  EXPECT_TRUE(tries.checkpoints.empty());
  EXPECT_EQ(client->confirm(anna().id, user).unconfirmed, 0u);
}

TEST_F(CustodyTalk, ManyCasesAtOnce) {
  std::vector<SecretName> names;
  std::vector<Scalar> secrets;
  for (int i = 0; i < 70; ++i) {  // more than one request takes
    names.push_back({id(ScopeKind::kCase, "C-" + std::to_string(i)), 7});
    secrets.push_back(random_scalar());
    const auto commitment = client->deal_case(names.back(), secrets.back(), owner).commitment;
    EXPECT_TRUE(commits_to(commitment, secrets.back()));
  }
  const auto released = client->release(names);
  ASSERT_EQ(released.size(), names.size());
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_TRUE(same(released[i], secrets[i])) << i;
  EXPECT_TRUE(client->release(std::vector<SecretName>()).empty());
}

TEST_F(CustodyTalk, OneDeadCustodianHindersNobody) {
  const auto deposit = deposit_of_anna();
  client->deal_user(deposit, owner);
  for (auto& custodian : custodians) {
    custodian->kill();
    EXPECT_TRUE(same(client->evaluate(anna(), stretched), oprf_alone(deposit.oprf, stretched)));
    EXPECT_TRUE(same(client->release({anna()}).front(), deposit.share));
    EXPECT_GE(client->confirm(anna().id, user).unconfirmed, 1u);
    const auto secret = random_scalar();
    const auto commitment = client->deal_case(first_case(), secret, owner).commitment;
    EXPECT_TRUE(same(client->release(first_case(), commitment), secret));
    const auto thrown = thrown_by([&] { client->deal_user(deposit, owner); });
    EXPECT_EQ(thrown.code, Errc::kTooFewCustodians) << "all must take it";
    custodian->start();
    client->deal_user(deposit, owner);
  }
}

// What one custodian was away for is brought to it: then any other may be away. Nothing changes at the others, also
// where one of them lies.
TEST_F(CustodyTalk, WhatOneMissedIsBrought) {
  for (std::size_t away = 0; away < 3; ++away) {
    const SecretName name{id(ScopeKind::kCase, "C-" + std::to_string(away)), 1};
    const auto secret = random_scalar();
    custodians[away]->kill();
    const auto deal = client->deal_case(name, secret, owner);
    custodians[away]->start();
    ASSERT_EQ(deal.missed.size(), 1u);
    const auto seat = plan.custodians[away];
    EXPECT_EQ(deal.missed[0].index, seat.index);
    EXPECT_EQ(deal.missed[0].name, seat.custodian.name);
    EXPECT_THAT(deal.missed[0].reason, Not(testing::IsEmpty()));
    for (int times = 0; times < 2; ++times)
      client->bring_shares(seat.index, {{ScopeKind::kCase, name, deal.commitment}}, owner);
    for (auto& other : custodians) {
      other->kill();
      EXPECT_TRUE(same(client->release(name, deal.commitment), secret));
      other->start();
    }
  }
}

TEST_F(CustodyTalk, NothingIsBroughtThatTheOthersContradict) {
  custodians[0]->kill();
  const auto deal = client->deal_case(first_case(), random_scalar(), owner);
  custodians[0]->start();
  auto alone = plan;
  alone.custodians = {plan.custodians[1]};
  alone.threshold = 1;
  connect(alone)->deal_case(first_case(), random_scalar(), owner);
  const auto bring = [&] {
    client->bring_shares(plan.custodians[0].index, {{ScopeKind::kCase, first_case(), deal.commitment}}, owner);
  };
  EXPECT_EQ(thrown_by(bring).code, Errc::kDamaged);
  alone.custodians = {plan.custodians[0]};
  EXPECT_EQ(thrown_by([&] { connect(alone)->release({first_case()}); }).code, Errc::kCustodiansRefused);
}

// Whichever custodian has other shares than it was dealt, alike each time: the slot opens all the same, a wrong
// passphrase is not told from the lie, and nothing is sealed under it.
TEST_F(CustodyTalk, OneLiarNeitherHindersNorIsBelieved) {
  Header header;
  header.vault_id = vault;
  const auto deposit = deposit_of_anna();
  client->deal_user(deposit, owner);
  const auto right = agreed_slot_key(header, plan, "anna", stretched, *client);
  const auto opens = [&](const SlotKey& key) { return equal_constant_time(key, right); };
  const auto slot_key = [&](const PassphraseKey& passphrase) {
    return custody_slot_key(header, plan, "anna", passphrase, *client, opens);
  };
  EXPECT_FALSE(opens(slot_key(PassphraseKey::random()))) << "a wrong passphrase, as all say";
  for (const auto& seat : plan.custodians) {
    auto alone = plan;
    alone.custodians = {seat};
    alone.threshold = 1;
    connect(alone)->deal_user(deposit_of_anna(), owner);
    EXPECT_TRUE(opens(slot_key(stretched)));
    EXPECT_THAT(thrown_by([&] { slot_key(PassphraseKey::random()); }).what, HasSubstr("contradict each other"));
    EXPECT_THAT(thrown_by([&] { agreed_slot_key(header, plan, "anna", stretched, *client); }).what,
                HasSubstr("contradict each other"));
    client->confirm(anna().id, user);
    client->deal_user(deposit, owner);
  }
  custodians[1]->kill();
  EXPECT_TRUE(opens(slot_key(stretched)));
  EXPECT_EQ(thrown_by([&] { agreed_slot_key(header, plan, "anna", stretched, *client); }).code, Errc::kTooFewCustodians)
      << "two can lie";
}

TEST_F(CustodyTalk, TwoDeadAreTooMany) {
  client->deal_user(deposit_of_anna(), owner);
  custodians[0]->kill();
  custodians[2]->kill();
  const auto thrown = thrown_by([&] { client->evaluate(anna(), stretched); });
  EXPECT_EQ(thrown.code, Errc::kTooFewCustodians);
  EXPECT_THAT(thrown.what, AllOf(HasSubstr("2 of 3 are needed, 1 did"), HasSubstr("Riga: nobody listens there"),
                                 HasSubstr("Kraków: nobody listens there"), Not(HasSubstr("Lisboa"))));
  EXPECT_NO_THROW(client->confirm(anna().id, user)) << "one is enough";
  custodians[1]->kill();
  EXPECT_EQ(thrown_by([&] { client->confirm(anna().id, user); }).code, Errc::kTooFewCustodians);
}

TEST_F(CustodyTalk, ImpostorsAreNamed) {
  client->deal_user(deposit_of_anna(), owner);
  auto led_astray = plan;
  led_astray.custodians[0].custodian.address = plan.custodians[1].custodian.address;
  const auto astray = connect(led_astray);
  EXPECT_NO_THROW(astray->evaluate(anna(), stretched));
  led_astray.custodians[2].custodian.address = plan.custodians[1].custodian.address;
  const auto thrown = thrown_by([&] { connect(led_astray)->evaluate(anna(), stretched); });
  EXPECT_EQ(thrown.code, Errc::kTooFewCustodians);
  EXPECT_THAT(thrown.what,
              AllOf(HasSubstr("Riga: somebody else answers there"), HasSubstr("Kraków: somebody else answers there")));
}

// Right pin, wrong key: a request to one custodian is no request to another.
TEST_F(CustodyTalk, RequestsAreForOneCustodian) {
  auto mixed_up = plan;
  std::swap(mixed_up.custodians[0].custodian.key, mixed_up.custodians[1].custodian.key);
  EXPECT_EQ(thrown_by([&] { connect(mixed_up)->release({first_case()}); }).code, Errc::kCustodiansRefused);
}

TEST_F(CustodyTalk, ClocksMayBeWrong) {
  for (const std::int64_t wrong : {-86'400'000LL, 86'400'000LL}) {
    auto environment = environment_of_now();
    environment.now_ms = [wrong] { return test::real_now_ms() + wrong; };
    const auto confused = connect(environment);
    const auto deposit = deposit_of_anna();
    confused->deal_user(deposit, owner);
    EXPECT_TRUE(same(confused->evaluate(anna(), stretched), oprf_alone(deposit.oprf, stretched)));
    EXPECT_NO_THROW(confused->confirm(anna().id, user));
    EXPECT_NO_THROW(confused->renew_policy(policy(), owner));
  }
}

TEST_F(CustodyTalk, RestartedCustodiansGoOn) {
  const auto deposit = deposit_of_anna();
  client->deal_user(deposit, owner);
  for (auto& custodian : custodians) custodian->kill();
  for (auto& custodian : custodians) custodian->start();
  EXPECT_TRUE(same(client->evaluate(anna(), stretched), oprf_alone(deposit.oprf, stretched)));
}

TEST_F(CustodyTalk, TenTries) {
  client->deal_user(deposit_of_anna(), owner);
  for (int i = 0; i < 9; ++i) client->evaluate(anna(), PassphraseKey::random());
  client->confirm(anna().id, user);
  std::optional<Errc> refused;
  for (int i = 0; i < 12 && !refused; ++i) {
    const auto thrown = thrown_by([&] { client->evaluate(anna(), PassphraseKey::random()); });
    refused = thrown.code;
    if (refused) EXPECT_THAT(thrown.what, HasSubstr("too many wrong passphrases"));
    EXPECT_EQ(refused.has_value(), i >= 10) << i;
  }
  EXPECT_EQ(refused, Errc::kCustodiansRefused);
}

// ---- Deleting, duress, devices
TEST_F(CustodyTalk, WhatIsDeletedIsGone) {
  client->deal_user(deposit_of_anna(), owner);
  client->deal_case(first_case(1), random_scalar(), owner);
  client->deal_case(first_case(2), random_scalar(), owner);
  client->delete_shares({first_case(1)}, owner);
  const auto thrown = thrown_by([&] { client->release({first_case(1)}); });
  EXPECT_EQ(thrown.code, Errc::kCustodiansRefused);
  EXPECT_THAT(thrown.what, HasSubstr("do not know"));
  EXPECT_NO_THROW(client->release({first_case(2)}));
  EXPECT_EQ(thrown_by([&] {
              client->release({first_case(2), first_case(1)});
            }).code,
            Errc::kCustodiansRefused)
      << "all or none";
  client->delete_users({anna()}, owner);
  EXPECT_EQ(thrown_by([&] { client->evaluate(anna(), stretched); }).code, Errc::kWrongPassphrase);
}

TEST_F(CustodyTalk, DeletingTakesAll) {
  client->deal_case(first_case(), random_scalar(), owner);
  custodians[1]->kill();
  EXPECT_EQ(thrown_by([&] { client->delete_shares({first_case()}, owner); }).code, Errc::kTooFewCustodians);
  custodians[1]->start();
  EXPECT_NO_THROW(client->delete_shares({first_case()}, owner));
}

TEST_F(CustodyTalk, DuressLocksTheRest) {
  const auto deposit = deposit_of_anna();
  client->deal_user(deposit, owner);
  const auto commitment = client->deal_case(first_case(), random_scalar(), owner).commitment;
  const auto new_duress = SigningKey::random();
  client->set_duress(anna(), new_duress.verify_key(), user);
  EXPECT_EQ(thrown_by([&] { client->confirm(anna().id, duress); }).code, Errc::kCustodiansRefused);
  EXPECT_NO_THROW(client->release(first_case(), commitment));
  client->evaluate(anna(), stretched);
  EXPECT_EQ(client->confirm(anna().id, new_duress).unconfirmed, 1u);
  EXPECT_EQ(thrown_by([&] { client->release(first_case(), commitment); }).code, Errc::kCustodiansRefused);
  EXPECT_TRUE(same(client->release({anna()}).front(), deposit.share)) << "as if nothing had been";
  EXPECT_TRUE(same(client->evaluate(anna(), stretched), oprf_alone(deposit.oprf, stretched)));
  EXPECT_EQ(client->confirm(anna().id, new_duress).unconfirmed, 1u);
}

TEST_F(CustodyTalk, ManyMachines) {
  client->deal_case(first_case(), random_scalar(), owner);
  DeviceKey laptop{"laptop", SigningKey::random()};
  const auto key = laptop.key.verify_key();
  CustodyClient second(vault, plan, std::move(laptop), environment_of_now());
  EXPECT_EQ(second.device_key(), key);
  const auto thrown = thrown_by([&] { second.release({first_case()}); });
  EXPECT_EQ(thrown.code, Errc::kCustodiansRefused);
  EXPECT_THAT(thrown.what, HasSubstr("do not know this machine"));
  client->add_device(id(ScopeKind::kDevice, "laptop"), key, owner);
  EXPECT_NO_THROW(second.release({first_case()}));

  CustodyClient third(vault, plan, {"phone", SigningKey::random()}, environment_of_now());
  const auto phone = id(ScopeKind::kDevice, "phone");
  const auto token_of = [&](std::size_t i) {
    return std::pair(plan.custodians[i].custodian.key, custodians[i]->invite().token);
  };
  EXPECT_EQ(thrown_by([&] { third.enrol_device(phone, {token_of(0)}); }).code, Errc::kTooFewCustodians);
  third.enrol_device(phone, {token_of(2), token_of(1)});
  EXPECT_NO_THROW(third.release({first_case()}));
  EXPECT_EQ(thrown_by([&] {
              third.enrol_device(phone, {{plan.custodians[0].custodian.key, tokens[0]},
                                         {plan.custodians[1].custodian.key, tokens[1]}});
            }).code,
            Errc::kCustodiansRefused)
      << "tokens are good once";
}

TEST_F(CustodyTalk, EnrollingTwiceIsTheSame) {
  EXPECT_EQ(thrown_by([&] {
              CustodyClient other(random_array<16>(), plan, {"office", SigningKey::random()}, environment_of_now());
              other.enrol(tokens, policy(), owner);
            }).code,
            Errc::kCustodiansRefused);
  EXPECT_NO_THROW(client->renew_policy(policy(), owner));
  EXPECT_EQ(thrown_by([&] { client->renew_policy(policy(), user); }).code, Errc::kCustodiansRefused) << "no owner";
}

// ---- Orders
TEST_F(CustodyTalk, LockUnlockDestroy) {
  client->deal_user(deposit_of_anna(), owner);
  give(OrderType::kLock);
  auto thrown = thrown_by([&] { client->evaluate(anna(), stretched); });
  EXPECT_EQ(thrown.code, Errc::kCustodiansRefused);
  EXPECT_EQ(thrown.what,
            "the vault, or this user or case of it, was locked by an order; it opens again after an unlock order");
  EXPECT_THAT(client->standings().front().state, "locked");
  give(OrderType::kUnlock);
  EXPECT_NO_THROW(client->evaluate(anna(), stretched));
  give(OrderType::kDestroy);
  thrown = thrown_by([&] { client->evaluate(anna(), stretched); });
  EXPECT_EQ(thrown.code, Errc::kDestroyed);
  for (const auto& standing : client->standings()) EXPECT_EQ(standing.state, "destroyed");
}

TEST_F(CustodyTalk, LockOfOneCase) {
  client->deal_case(first_case(), random_scalar(), owner);
  const SecretName other{id(ScopeKind::kCase, "C-2"), 1};
  client->deal_case(other, random_scalar(), owner);
  give(OrderType::kLock, "case:" + to_hex(first_case().id));
  EXPECT_EQ(thrown_by([&] { client->release({first_case()}); }).code, Errc::kCustodiansRefused);
  EXPECT_NO_THROW(client->release({other}));
}

TEST_F(CustodyTalk, ABurnedMachineIsRefused) {
  client->deal_case(first_case(), random_scalar(), owner);
  give(OrderType::kBurn, "device:" + to_hex(id(ScopeKind::kDevice, "office")));
  const auto thrown = thrown_by([&] { client->release({first_case()}); });
  EXPECT_EQ(thrown.code, Errc::kCustodiansRefused);
  EXPECT_THAT(thrown.what, HasSubstr("this machine was burned"));
}

// One custodian's word is not enough: not for an order either.
TEST_F(CustodyTalk, OneThatRefusesIsNotThemAll) {
  client->deal_case(first_case(), random_scalar(), owner);
  auto one = card(0);
  one.custodians.resize(1);
  OrderDesk desk(one, environment_of_now());
  EXPECT_TRUE(desk.send(order(OrderType::kLock, "vault", 1)).front().value->done);
  EXPECT_NO_THROW(client->release({first_case()}));
  custodians[1]->kill();
  const auto thrown = thrown_by([&] { client->release({first_case()}); });
  EXPECT_EQ(thrown.code, Errc::kTooFewCustodians);
  EXPECT_THAT(thrown.what, AllOf(HasSubstr("Riga refuses: the vault, or this user or case of it, was locked"),
                                 HasSubstr("Lisboa: nobody")));
}

TEST_F(CustodyTalk, OrdersArriveAndReceiptsGoBack) {
  OrderDesk desk(card(1), environment_of_now());
  const auto lock = order(OrderType::kLock, "vault", 1);
  OrderNews news;
  std::thread guard([&] { news = connect()->wait_for_orders(2, 0); });
  for (const auto& said : desk.send(lock)) EXPECT_TRUE(said.report.done());
  guard.join();
  EXPECT_EQ(news.newest, 1u);
  EXPECT_EQ(news.state, "locked");
  ASSERT_EQ(news.orders.size(), 1u);
  EXPECT_EQ(news.orders[0].number, 1u);
  EXPECT_EQ(news.orders[0].order.statement, lock.statement);
  EXPECT_TRUE(news.orders[0].order.is_signed_by(cards[0].verify_key()));

  const auto hash = sha256(as_bytes(lock.statement));
  client->send_receipt(hash, GuardStage::kReceived, {});
  client->send_receipt(hash, GuardStage::kReopeningFailed, {"exports", "the copy of 3 May"});
  for (const auto& said : desk.orders()) {
    ASSERT_TRUE(said.value) << said.report.reason;
    EXPECT_EQ(said.value->state, "locked");
    ASSERT_EQ(said.value->orders.size(), 1u);
    const auto& receipts = said.value->orders[0].receipts;
    ASSERT_EQ(receipts.size(), 2u);
    EXPECT_EQ(receipts[1].device, client->device_key());
    EXPECT_EQ(receipts[1].stage, GuardStage::kReopeningFailed);
    EXPECT_THAT(receipts[1].not_reached, ElementsAre("exports", "the copy of 3 May"));
  }
}

TEST_F(CustodyTalk, WaitingIsInterrupted) {
  auto environment = environment_of_now();
  int asked = 0;
  environment.interrupted = [&] { return ++asked > 2; };
  EXPECT_EQ(thrown_by([&] { connect(environment)->wait_for_orders(0, 0); }).code, Errc::kInterrupted);
}

TEST_F(CustodyTalk, SignaturesArriveOneByOne) {
  auto unlock = order(OrderType::kUnlock, "vault", 1);
  OrderDesk desk(card(0), environment_of_now());
  for (const auto& said : desk.send(unlock)) {
    ASSERT_TRUE(said.value);
    EXPECT_FALSE(said.value->done);
    EXPECT_EQ(said.value->need, 2u);
  }
  unlock.sign(cards[2]);
  for (const auto& said : desk.send(unlock)) EXPECT_TRUE(said.value && said.value->done);
}

// ---- What custodians say that they did
TEST_F(CustodyTalk, StatementsAreWholeAndChecked) {
  const auto from = test::real_now_ms();
  client->deal_user(deposit_of_anna(), owner);
  for (int i = 0; i < 60; ++i) {  // more than one page
    client->evaluate(anna(), stretched);
    if (i % 8 == 7) client->confirm(anna().id, user);
  }
  client->deal_case(first_case(), random_scalar(), owner);
  client->release({first_case()});
  const auto statements = client->statements(from, test::real_now_ms() + 1'000, owner);
  ASSERT_EQ(statements.size(), 3u);
  std::size_t evaluated = 0;
  for (const auto& statement : statements) {
    EXPECT_EQ(statement.fault, "") << statement.custodian.name;
    std::map<std::string, std::size_t> counts;
    std::uint64_t last = 0;
    for (const auto& entry : statement.entries) {
      ++counts[entry.action];
      EXPECT_GT(entry.index, last);
      last = entry.index;
      if (entry.action == "release") EXPECT_EQ(entry.id, first_case().id);
      if (entry.action == "evaluate") EXPECT_EQ(entry.device, to_hex(client->device_key().bytes));
    }
    evaluated += counts["evaluate"];
    EXPECT_EQ(counts["confirm"], 7u);
    EXPECT_LE(counts["release"], 1u);
  }
  EXPECT_GE(evaluated, 120u) << "two custodians each time";
  EXPECT_TRUE(client->statements(0, from - 60'000, owner).front().entries.empty());
}

TEST_F(CustodyTalk, ASilentCustodianHasNoStatement) {
  custodians[1]->kill();
  const auto statements = client->statements(0, test::real_now_ms(), owner);
  EXPECT_EQ(statements[0].fault, "");
  EXPECT_EQ(statements[1].fault, "nobody listens there");
  EXPECT_EQ(statements[2].fault, "");
  const auto standings = client->standings();
  EXPECT_TRUE(standings[0].reached && !standings[1].reached && standings[2].reached);
  EXPECT_EQ(standings[0].state, "active");
  EXPECT_EQ(standings[1].state, "nobody listens there");
}

// ---- Witnesses
class CustodyWitnesses : public CustodyTalk {
 protected:
  SignedNote head(std::size_t size) {
    MerkleFrontier tree;
    for (std::size_t i = 0; i < size; ++i) tree.append(leaf(i));
    return sign_checkpoint({log_name, size, tree.root(), {}}, log_key);
  }
  std::vector<ByteArray<32>> proof(std::uint64_t from, std::size_t to) {
    if (from == 0 || from > to) return {};
    std::vector<TreeHash> leaves;
    for (std::size_t i = 0; i < to; ++i) leaves.push_back(leaf(i));
    return consistency_proof(leaves, from);
  }
  static TreeHash leaf(std::size_t i) { return merkle_leaf_hash(as_bytes(std::to_string(i))); }
  CustodyClient::Prove to(std::size_t size) {
    return [this, size](std::uint64_t from) { return proof(from, size); };
  }
};

TEST_F(CustodyWitnesses, Cosign) {
  const auto lines = client->add_checkpoint(0, proof(0, 0), head(3).encode());
  ASSERT_EQ(lines.size(), 3u);
  for (const auto& [custodian, line] : lines) {
    auto note = head(3);
    note.append(parse_note_signatures(line).front());
    const CosignatureVerifier witness(custodian_log_origin(custodian.key), custodian.key);
    const auto cosignature = verify_cosignature(note, witness);
    ASSERT_TRUE(cosignature);
    EXPECT_EQ(cosignature->checkpoint.size, 3u);
  }
  EXPECT_EQ(client->add_checkpoint(3, proof(3, 5), head(5).encode()).size(), 3u);
  client->deal_user(deposit_of_anna(), owner);
  const auto tries = client->confirm(anna().id, user);
  ASSERT_EQ(tries.checkpoints.size(), 3u);
  for (const auto& note : tries.checkpoints)
    EXPECT_EQ(SignedNote::parse(note).unverified_text(), head(5).unverified_text());
}

TEST_F(CustodyWitnesses, MayRememberDifferentSizes) {
  EXPECT_EQ(client->add_checkpoint(0, proof(0, 0), head(2).encode()).size(), 3u);
  custodians[0]->kill();
  EXPECT_EQ(client->add_checkpoint(2, to(4), head(4).encode()).size(), 2u);
  custodians[0]->start();
  EXPECT_EQ(client->add_checkpoint(4, to(7), head(7).encode()).size(), 3u);
  EXPECT_EQ(client->add_checkpoint(0, to(7), head(7).encode()).size(), 3u) << "again";
}

TEST_F(CustodyWitnesses, KnowOnlyEnrolledMachines) {
  CustodyClient stranger(vault, plan, DeviceKey{"elsewhere", SigningKey::random()}, environment_of_now());
  EXPECT_TRUE(stranger.add_checkpoint(0, proof(0, 0), head(3).encode()).empty());
  EXPECT_EQ(client->add_checkpoint(0, proof(0, 0), head(3).encode()).size(), 3u);
}

TEST_F(CustodyWitnesses, DoNotCosignAnotherHistory) {
  client->add_checkpoint(0, proof(0, 0), head(4).encode());
  MerkleFrontier other;
  for (std::size_t i = 0; i < 5; ++i) other.append(leaf(i + 1));
  const auto forked = sign_checkpoint({log_name, 5, other.root(), {}}, log_key);
  EXPECT_TRUE(client->add_checkpoint(4, proof(4, 5), forked.encode()).empty());
  EXPECT_TRUE(client->add_checkpoint(3, to(3), head(3).encode()).empty()) << "a log that was cut short";
}

// ---- Custodians that lie
TEST_F(CustodyTalk, AWrongShareIsPassedOver) {
  const auto secret = random_scalar();
  const auto commitment = client->deal_case(first_case(), secret, owner).commitment;
  for (std::size_t liar = 0; liar < 3; ++liar) {
    auto alone = plan;
    alone.custodians = {plan.custodians[liar]};
    alone.threshold = 1;
    connect(alone)->deal_case(first_case(), random_scalar(), owner);
    if (liar == 0) EXPECT_TRUE(same(client->release(first_case(), commitment), secret));
    if (liar == 1) EXPECT_EQ(thrown_by([&] { client->release(first_case(), commitment); }).code, Errc::kDamaged);
  }
}

/// One custodian that answers whatever the test says.
class Liar : public testing::Test {
 protected:
  Liar() {
    plan.epoch = 1;
    plan.threshold = 1;
    plan.custodians = {{{"Liar", "", server.address(), server.pin(), key.verify_key(), box.public_key}, 4}};
    client.emplace(vault, plan, DeviceKey{"office", SigningKey::random()}, environment_of_now());
  }
  Thrown ask(const std::string& path) {
    return thrown_by([&] {
      if (path == "/v1/evaluate") client->evaluate({}, stretched);
      if (path == "/v1/release") client->release({SecretName{{}, 1}});
      if (path == "/v1/confirm") client->confirm({}, key);
      if (path == "/v1/secrets") client->deal_case({{}, 1}, random_scalar(), key);
      if (path == "/v1/policy") client->add_device({}, key.verify_key(), key);
      if (path == "/v1/orders/wait") client->wait_for_orders(0, 0);
      if (path == "/v1/receipts") client->send_receipt({}, GuardStage::kReceived, {});
    });
  }
  static std::vector<std::string> paths() {
    return {"/v1/evaluate", "/v1/release",     "/v1/confirm", "/v1/secrets",
            "/v1/policy",   "/v1/orders/wait", "/v1/receipts"};
  }

  HttpsServer server;
  const VaultId vault{};
  const SigningKey key = SigningKey::random();
  const BoxKeyPair box = BoxKeyPair::random();
  const PassphraseKey stretched = PassphraseKey::random();
  CustodyPlan plan;
  std::optional<CustodyClient> client;
};

std::string element_hex() { return to_hex(generator_times(random_scalar()).bytes); }

TEST_F(Liar, NonsenseIsNonsense) {
  const std::string zeros(64, '0');
  const std::vector<std::string> bodies{
      "",
      "{",
      "null",
      "[]",
      "{}",
      "7",
      "\"text\"",
      "{\"a\":1}",
      std::string(60'000, '['),
      std::string(60'000, '{'),
      "{\"error\":\"locked\",\"message\":\"with status 200\"}",
      "{\"element\":\"" + zeros + "\",\"index\":4,\"tries\":1}",                 // the identity
      "{\"element\":\"" + std::string(64, 'f') + "\",\"index\":4,\"tries\":1}",  // no element
      "{\"element\":\"" + element_hex() + "\",\"index\":5,\"tries\":1}",         // another's
      "{\"element\":\"" + element_hex() + "\",\"index\":4,\"tries\":-1}",
      "{\"element\":\"" + element_hex() + "\",\"index\":4,\"tries\":1e3}",
      "{\"element\":\"" + element_hex() + "\",\"index\":4,\"more\":0,\"tries\":1}",
      "{\"element\":\"" + element_hex() + "\",\"index\":4,\"tries\":1} ",
      "{\"element\":[],\"index\":{},\"tries\":\"\"}",
      "{\"index\":4,\"released\":[]}",
      "{\"index\":4,\"released\":[7]}",
      "{\"index\":4,\"released\":{}}",
      "{\"index\":4,\"released\":[{\"error\":7,\"id\":\"" + std::string(32, '0') + "\",\"version\":1}]}",
      "{\"index\":4,\"released\":[{\"error\":\"whatever\",\"id\":\"" + std::string(32, '0') + "\",\"version\":1}]}",
      "{\"index\":4,\"released\":[{\"id\":\"" + std::string(32, '0') + "\",\"sealed\":\"AAAA\",\"version\":1}]}",
      "{\"checkpoint\":7,\"since\":0,\"time\":0,\"unconfirmed\":0}",
      "{\"checkpoint\":\"\",\"since\":99999999999999999999,\"time\":0,\"unconfirmed\":0}",
      "{\"time\":\"now\",\"vault\":\"" + std::string(32, '0') + "\"}",
      "{\"time\":1,\"vault\":\"" + std::string(32, '1') + "\"}",
      "{\"number\":0,\"orders\":[],\"state\":\"happy\"}",
      "{\"number\":0,\"orders\":[{\"done\":0,\"number\":1,\"order\":{}}],\"state\":\"active\"}",
      R"({"number":0,"orders":[{"done":0,"number":1,"order":{"signatures":[],"statement":"{}"}}],"state":"active"})",
  };
  for (const auto& path : paths()) {
    for (const auto& body : bodies) {
      server.can_body(path, body);
      const auto thrown = ask(path);
      EXPECT_EQ(thrown.code, Errc::kTooFewCustodians) << path << " " << body.substr(0, 200);
      EXPECT_THAT(thrown.what, HasSubstr("Liar: it gives nonsense")) << path << " " << body.substr(0, 200);
    }
  }
}

TEST_F(Liar, RefusalsAreOfTheProtocol) {
  for (const auto& [status, body] : std::vector<std::pair<std::string, std::string>>{
           {"403 No", R"({"error":"locked","message":"m","more":1})"},
           {"403 No", R"({"error":"locked"})"},
           {"403 No", R"({"error":"LOCKED","message":""})"},
           {"403 No", R"({"error":7,"message":""})"},
           {"403 No", R"({"error":"busy","message":""})"},
           {"404 No", R"({"error":"locked","message":""})"},
           {"500 No", R"({"error":"locked","message":""})"},
           {"302 No", R"({"error":"locked","message":""})"},
           {"201 No", R"({"time":1,"vault":"00000000000000000000000000000000"})"},
           {"403 No", "<html>"},
           {"403 No", ""}}) {
    server.can_body("/v1/evaluate", body, status);
    const auto thrown = ask("/v1/evaluate");
    EXPECT_EQ(thrown.code, Errc::kTooFewCustodians) << status << body;
    EXPECT_THAT(thrown.what, HasSubstr("gives nonsense")) << status << body;
  }
}

struct Word {
  std::string name;
  std::string status;
  Errc code;
  std::string sentence;
};
class RefusalWords : public Liar, public testing::WithParamInterface<Word> {};
TEST_P(RefusalWords, HaveASentenceOfOurs) {
  auto word = GetParam().name;
  std::ranges::replace(word, '_', '-');
  server.can_body("/v1/evaluate", "{\"error\":\"" + word + "\",\"message\":\"\\u001b[2J not for terminals\"}",
                  GetParam().status + " No");
  const auto thrown = ask("/v1/evaluate");
  EXPECT_EQ(thrown.code, GetParam().code);
  EXPECT_THAT(thrown.what, AllOf(HasSubstr(GetParam().sentence), Not(HasSubstr("terminals"))));
}
INSTANTIATE_TEST_SUITE_P(Custody, RefusalWords,
                         testing::Values(Word{"locked", "403", Errc::kCustodiansRefused, "locked by an order"},
                                         Word{"destroyed", "403", Errc::kDestroyed, "destroyed by an order"},
                                         Word{"burned", "403", Errc::kCustodiansRefused, "burned by an order"},
                                         Word{"tries", "403", Errc::kCustodiansRefused, "too many wrong passphrases"},
                                         Word{"silent", "403", Errc::kCustodiansRefused, "silent for too long"},
                                         Word{"order", "403", Errc::kCustodiansRefused, "the order is"},
                                         Word{"token", "403", Errc::kCustodiansRefused, "the invitation"},
                                         Word{"unsigned", "401", Errc::kCustodiansRefused, "do not know this machine"},
                                         Word{"signature", "401", Errc::kCustodiansRefused, "do not know this machine"},
                                         Word{"time", "401", Errc::kCustodiansRefused, "clocks"},
                                         Word{"replay", "401", Errc::kCustodiansRefused, "answered already"},
                                         Word{"unknown", "404", Errc::kWrongPassphrase, "know nobody of this name"},
                                         Word{"conflict", "409", Errc::kCustodiansRefused, "something else already"},
                                         Word{"malformed", "400", Errc::kCustodiansRefused, "another version"},
                                         Word{"too_large", "413", Errc::kCustodiansRefused, "larger than"},
                                         Word{"slow", "408", Errc::kTooFewCustodians, "too busy"},
                                         Word{"rate", "429", Errc::kTooFewCustodians, "too busy"},
                                         Word{"busy", "503", Errc::kTooFewCustodians, "too busy"}),
                         test::row_name<Word>);

// A clock is taken once, however often it is offered.
TEST_F(Liar, ClocksWithoutEnd) {
  const std::string body = R"({"error":"time","message":"m"})";
  server.can("/v1/evaluate", "HTTP/1.1 401 No\r\nCasevault-Time: 253402300799\r\nContent-Length: " +
                                 std::to_string(body.size()) + "\r\n\r\n" + body);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask("/v1/evaluate").code, Errc::kCustodiansRefused);
}

TEST_F(Liar, StatementsAreOfTheLog) {
  const auto log = SigningKey::random();
  const auto origin = custodian_log_origin(key.verify_key());
  const std::string entry =
      R"({"action":"release","at":5,"detail":"","device":"","id":"","index":0,"outcome":"done","vault":")" +
      std::string(32, '0') + "\"}";
  const auto leaf = merkle_leaf_hash(as_bytes(entry));
  const nlohmann::json good{{"checkpoint", sign_checkpoint({origin, 1, leaf, {}}, key).encode()},
                            {"entries", {{{"entry", entry}, {"index", 0}, {"proof", nlohmann::json::array()}}}},
                            {"first", 0},
                            {"from", 0},
                            {"kind", "statement"},
                            {"next", 0},
                            {"nonce", std::string(32, '0')},
                            {"secrets", {{"case", 1}, {"user", 1}}},
                            {"state", "active"},
                            {"threshold", 2},
                            {"time", 9},
                            {"until", 10},
                            {"vault", std::string(32, '0')}};
  const auto fault_of = [&](const nlohmann::json& statement, const SigningKey& by) {
    server.can_body("/v1/statement", to_json(sign_statement(kStatementDomain, statement, by)).dump());
    const auto statements = client->statements(0, 10, SigningKey::random());
    EXPECT_TRUE(statements.front().fault.empty() || statements.front().entries.empty());
    return statements.front().fault;
  };
  EXPECT_EQ(fault_of(good, key), "");
  EXPECT_EQ(fault_of(good, log), "it gives nonsense") << "another's signature";
  for (const auto& [field, value] : std::vector<std::pair<std::string, nlohmann::json>>{
           {"checkpoint", sign_checkpoint({origin, 1, leaf, {}}, log).encode()},
           {"checkpoint", sign_checkpoint({"elsewhere", 1, leaf, {}}, key).encode()},
           {"checkpoint", sign_checkpoint({origin, 2, leaf, {}}, key).encode()},
           {"checkpoint", ""},
           {"entries", {{{"entry", entry}, {"index", 1}, {"proof", nlohmann::json::array()}}}},
           {"entries", {{{"entry", entry + " "}, {"index", 0}, {"proof", nlohmann::json::array()}}}},
           {"entries", {{{"entry", "{}"}, {"index", 0}, {"proof", nlohmann::json::array()}}}},
           {"entries", {{{"entry", entry}, {"index", 0}, {"proof", {std::string(64, '0')}}}}},
           {"entries", {good["entries"][0], good["entries"][0]}},
           {"entries", {7}},
           {"first", 1},
           {"from", 1},
           {"kind", "receipt"},
           {"next", 2},
           {"next", -1},
           {"secrets", nlohmann::json::object()},
           {"state", "open"},
           {"threshold", 0},
           {"until", 11},
           {"vault", std::string(32, '1')},
           {"more", 0}}) {
    auto changed = good;
    changed[field] = value;
    EXPECT_EQ(fault_of(changed, key), "it gives nonsense") << field << " " << value;
  }
  auto endless = good;
  endless["next"] = 1;
  EXPECT_EQ(fault_of(endless, key), "it gives nonsense") << "the next page is the same one";
}

}  // namespace
}  // namespace casevault
