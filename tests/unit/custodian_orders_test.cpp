#include <fstream>

#include "tests/support/test_custodian.h"
#include "vault/custody/custodian.h"

namespace casevault {
namespace {

using namespace test;

class Orders : public testing::Test {
 protected:
  void SetUp() override { vault.set_up(); }
  std::string scope(const TestCase& of) const { return "case:" + hex(of.id); }
  std::string burn_scope() const { return "device:" + hex(vault.device.id); }
  /// Everything that is kept, as it is now.
  void back_up() const { std::filesystem::copy(at.data() / "store.db", at.folder / "older.db"); }
  void restore() {
    at.custodian.reset();
    std::filesystem::copy(at.folder / "older.db", at.data() / "store.db",
                          std::filesystem::copy_options::overwrite_existing);
    at.start();
  }

  TestCustodian at;
  TestVault vault{at};
};

// ---- Locking.
TEST_F(Orders, OfOneCardLocks) {
  const auto receipt = vault.receipt(vault.give(vault.order("lock"), {&vault.cards[1]}));
  EXPECT_EQ(receipt.at("state"), "done");
  EXPECT_EQ(receipt.at("have"), 1);
  EXPECT_EQ(receipt.at("need"), 1);
  EXPECT_EQ(receipt.at("affected"), 4);
  EXPECT_EQ(receipt.at("type"), "lock");
  EXPECT_EQ(vault.released(vault.first.id), "403 locked");
  EXPECT_EQ(word(vault.evaluate(vault.anna)), "403 locked");
  EXPECT_EQ(word(vault.confirm(vault.anna, vault.anna.key)), "403 locked");
  EXPECT_EQ(word(vault.deposit(vault.secrets({vault.put_oprf(vault.anna)}), vault.owner)), "403 locked");
  EXPECT_EQ(word(vault.change_policy(vault.policy())), "403 locked");
  at.restart();
  EXPECT_EQ(vault.released(vault.first.id), "403 locked");
  EXPECT_EQ(vault.receipt(vault.obey("lock")).at("affected"), 0) << "already";
}

TEST_F(Orders, UnlockByAQuorum) {
  vault.obey("lock");
  const auto order = vault.order("unlock");
  EXPECT_EQ(vault.receipt(vault.give(order, {&vault.cards[0]})).at("state"), "waiting");
  EXPECT_EQ(vault.receipt(vault.give(order, {&vault.cards[0]})).at("have"), 1) << "the same card again";
  EXPECT_EQ(vault.released(vault.first.id), "403 locked");
  at.restart();
  const auto done = vault.receipt(vault.give(order, {&vault.cards[2]}));
  EXPECT_EQ(done.at("state"), "done");
  EXPECT_EQ(done.at("have"), 2);
  EXPECT_EQ(vault.released(vault.first.id), "200");
}

TEST_F(Orders, LockOneCase) {
  EXPECT_EQ(vault.receipt(vault.obey("lock", scope(vault.first))).at("affected"), 1);
  EXPECT_EQ(vault.released(vault.first.id), "locked");
  EXPECT_EQ(vault.released(vault.second.id), "200");
  vault.obey("unlock", scope(vault.first));
  EXPECT_EQ(vault.released(vault.first.id), "200");
}

TEST_F(Orders, LockOneUser) {
  EXPECT_EQ(vault.receipt(vault.obey("lock", "user:" + hex(vault.anna.id))).at("affected"), 2);
  EXPECT_EQ(word(vault.evaluate(vault.anna)), "403 locked");
  EXPECT_EQ(vault.released(vault.anna.id), "locked");
  EXPECT_EQ(word(vault.confirm(vault.anna, vault.anna.key)), "403 locked");
  EXPECT_EQ(vault.released(vault.first.id), "200");
}

// ---- What is refused.
struct OrderRow {
  const char* name;
  std::function<WireAnswer(TestVault&)> give;
  std::string answer;
};
WireAnswer changed(TestVault& v, const Json& change) { return v.give(v.with(v.order("lock"), change), {&v.cards[0]}); }

class Refused : public Orders, public testing::WithParamInterface<OrderRow> {};
TEST_P(Refused, ChangeNothing) {
  EXPECT_EQ(word(GetParam().give(vault)), GetParam().answer);
  EXPECT_EQ(vault.released(vault.first.id), "200");
  EXPECT_EQ(json_of(at.get("/v1/orders", vault.query(), vault.owner)).at("orders").size(), 0u);
}
const std::string kNobody = std::string(32, '7');
INSTANTIATE_TEST_SUITE_P(
    Orders, Refused,
    testing::Values(
        OrderRow{"Expired",
                 [](TestVault& v) {
                   return changed(v, {{"issued", v.at.now - kDayMs}, {"expires", v.at.now}});
                 },
                 "403 order"},
        OrderRow{"EndsBeforeItBegins",
                 [](TestVault& v) {
                   return changed(v, {{"expires", v.at.now - 1}});
                 },
                 "403 order"},
        OrderRow{"ValidForTooLong",
                 [](TestVault& v) {
                   return changed(v, {{"expires", v.at.now + 7 * kDayMs + 1}});
                 },
                 "403 order"},
        OrderRow{"FromTheFuture",
                 [](TestVault& v) {
                   return changed(v, {{"issued", v.at.now + kDayMs + 1}, {"expires", v.at.now + 2 * kDayMs}});
                 },
                 "403 order"},
        OrderRow{"AnotherVault",
                 [](TestVault& v) {
                   return changed(v, {{"vault", kNobody}});
                 },
                 "403 order"},
        OrderRow{"AnUnknownCase",
                 [](TestVault& v) {
                   return changed(v, {{"scope", "case:" + kNobody}});
                 },
                 "403 order"},
        OrderRow{"AnUnknownUser",
                 [](TestVault& v) {
                   return changed(v, {{"scope", "user:" + kNobody}});
                 },
                 "403 order"},
        OrderRow{"ACaseAsAUser",
                 [](TestVault& v) {
                   return changed(v, {{"scope", "user:" + hex(v.first.id)}});
                 },
                 "403 order"},
        OrderRow{"LockingADevice",
                 [](TestVault& v) {
                   return changed(v, {{"scope", "device:" + hex(v.device.id)}});
                 },
                 "403 order"},
        OrderRow{"BurningTheVault",
                 [](TestVault& v) {
                   return changed(v, {{"type", "burn"}});
                 },
                 "403 order"},
        OrderRow{"BurningAnUnknownDevice",
                 [](TestVault& v) {
                   return changed(v, {{"type", "burn"}, {"scope", "device:" + kNobody}});
                 },
                 "403 order"},
        OrderRow{"AnotherType",
                 [](TestVault& v) {
                   return changed(v, {{"type", "erase"}});
                 },
                 "400 malformed"},
        OrderRow{"AnotherScope",
                 [](TestVault& v) {
                   return changed(v, {{"scope", "everything"}});
                 },
                 "400 malformed"},
        OrderRow{"AReasonTooLong",
                 [](TestVault& v) {
                   return changed(v, {{"reason", std::string(501, 'x')}});
                 },
                 "400 malformed"},
        OrderRow{"AReasonThatIsTooLongInJson",
                 [](TestVault& v) {
                   return changed(v, {{"reason", std::string(84, '\x01')}});
                 },
                 "400 malformed"},
        OrderRow{"AFieldTooMany",
                 [](TestVault& v) {
                   return changed(v, {{"more", 1}});
                 },
                 "400 malformed"},
        OrderRow{"AnUnknownCard",
                 [](TestVault& v) {
                   const auto card = SigningKey::random();
                   return v.give(v.order("lock"), {&card});
                 },
                 "403 order"},
        OrderRow{"OneUnknownCardAmongOthers",
                 [](TestVault& v) {
                   const auto card = SigningKey::random();
                   return v.give(v.order("lock"), {&v.cards[0], &card});
                 },
                 "403 order"},
        OrderRow{"TheOwnerAsACard", [](TestVault& v) { return v.give(v.order("lock"), {&v.owner}); }, "403 order"},
        OrderRow{"OneCardTwice",
                 [](TestVault& v) {
                   return v.give(v.order("lock"), {&v.cards[0], &v.cards[0]});
                 },
                 "400 malformed"},
        OrderRow{"NoCard", [](TestVault& v) { return v.give(v.order("lock"), {}); }, "400 malformed"},
        OrderRow{"AWrongSignature",
                 [](TestVault& v) {
                   auto body = TestVault::order_body(v.order("lock"), {&v.cards[0]});
                   body["statement"] = v.order("lock").dump();
                   return v.at.post_unsigned("/v1/orders", body.dump());
                 },
                 "403 order"},
        OrderRow{"SignedInAnotherDomain",
                 [](TestVault& v) {
                   auto body = TestVault::order_body(v.order("lock"), {&v.cards[0]});
                   const auto text = body.at("statement").get<std::string>();
                   body["signatures"][0]["signature"] = to_base64(v.cards[0].sign(kPolicyDomain, as_bytes(text)));
                   return v.at.post_unsigned("/v1/orders", body.dump());
                 },
                 "403 order"}),
    [](const auto& row) { return row.param.name; });

TEST_F(Orders, AreAnsweredAgainAndNotDoneAgain) {
  const auto lock = vault.order("lock");
  const auto first = vault.give(lock, {&vault.cards[0]});
  vault.obey("unlock");
  EXPECT_EQ(vault.give(lock, {&vault.cards[0]}).body, first.body);
  EXPECT_EQ(vault.released(vault.first.id), "200");
  at.now += 2 * kDayMs;
  at.restart();
  EXPECT_EQ(vault.give(lock, {&vault.cards[0]}).body, first.body);
  EXPECT_EQ(vault.released(vault.first.id), "200");
}

TEST_F(Orders, ThatWaitExpire) {
  const auto order = vault.order("destroy");
  EXPECT_EQ(word(vault.give(order, {&vault.cards[0]})), "200");
  at.now += kDayMs;
  EXPECT_EQ(word(vault.give(order, {&vault.cards[1]})), "403 order");
  EXPECT_EQ(vault.released(vault.first.id), "200");
}

TEST_F(Orders, OfOneCardAreLimited) {
  for (int i = 0; i < 64; ++i) ASSERT_EQ(word(vault.give(vault.order("lock"), {&vault.cards[0]})), "200");
  EXPECT_EQ(word(vault.give(vault.order("lock"), {&vault.cards[0]})), "429 rate");
  EXPECT_EQ(word(vault.give(vault.order("lock"), {&vault.cards[1]})), "200");
  EXPECT_EQ(word(vault.give(vault.order("unlock"), {&vault.cards[0], &vault.cards[2]})), "200")
      << "the other card brings it";
  at.now += kDayMs;
  EXPECT_EQ(word(vault.give(vault.order("lock"), {&vault.cards[0]})), "429 rate") << "lapsed, but not long ago";
  at.now += kDayMs;
  EXPECT_EQ(word(vault.give(vault.order("lock"), {&vault.cards[0]})), "200");
}

TEST_F(Orders, OfOneCardWaitOnceForEachKind) {
  const auto give = [&](const std::string& type, const std::string& of) {
    return word(vault.give(vault.order(type, of), {&vault.cards[0]}));
  };
  EXPECT_EQ(give("unlock", "vault"), "200");
  EXPECT_EQ(give("unlock", "vault"), "403 waiting");
  EXPECT_EQ(give("destroy", "vault"), "200");
  EXPECT_EQ(give("destroy", scope(vault.first)), "200");
  EXPECT_EQ(give("destroy", scope(vault.second)), "200");
  EXPECT_EQ(give("burn", burn_scope()), "403 waiting") << "the fifth";
  EXPECT_EQ(give("lock", "vault"), "200") << "it waits for nobody";
  EXPECT_EQ(vault.receipt(vault.obey("burn", burn_scope())).at("state"), "done") << "nor does one with all signatures";
  EXPECT_EQ(word(vault.give(vault.order("unlock"), {&vault.cards[1]})), "200") << "another card's";
  at.now += kDayMs;
  EXPECT_EQ(give("unlock", "vault"), "200") << "the first has lapsed";
}

// What a thief of one card does so that nobody else's cards come together.
TEST_F(Orders, OfAStolenCardHideNobodyElses) {
  for (int i = 0; i < 64; ++i) {
    auto order = vault.order(i < 8 ? "unlock" : "lock", i % 2 == 0 ? "vault" : scope(vault.first));
    order["issued"] = at.now + kDayMs - kSecondMs;
    order["expires"] = at.now + 7 * kDayMs;
    order["reason"] = std::string(83, '\x01');
    vault.give(order, {&vault.cards[0]});
  }
  const auto destroy = vault.order("destroy");
  ASSERT_EQ(vault.receipt(vault.give(destroy, {&vault.cards[1]})).at("state"), "waiting");
  const auto lock = vault.order("lock", scope(vault.second));
  ASSERT_EQ(word(vault.give(lock, {&vault.cards[2]})), "200");
  const auto shown = json_of(at.get("/v1/orders", vault.query(), vault.cards[2])).at("orders");
  const auto place_of = [&](const Json& statement) {
    const auto is_it = [&](const Json& item) { return item.at("order").at("statement") == statement.dump(); };
    return std::ranges::find_if(shown, is_it) - shown.begin();
  };
  EXPECT_LT(place_of(destroy), 2);
  EXPECT_LT(place_of(lock), 4);
  EXPECT_EQ(vault.receipt(vault.give(destroy, {&vault.cards[2]})).at("state"), "done");
}

TEST_F(Orders, AreAllShownInPages) {
  for (int i = 0; i < 60; ++i) {
    auto order = vault.order("lock");
    order["reason"] = std::string(200, 'x');
    ASSERT_EQ(word(vault.give(order, {&vault.cards[i % 3]})), "200");
  }
  std::set<std::string> seen;
  std::uint64_t from = 0;
  int pages = 0;
  do {
    const auto before = from == 0 ? std::string("?") : "?from=" + std::to_string(from) + "&";
    const auto answer = at.get("/v1/orders", vault.query(before), vault.owner);
    EXPECT_LE(answer.body.size(), kMaxWireBody);
    const auto page = json_of(answer);
    for (const auto& item : page.at("orders")) EXPECT_TRUE(seen.insert(item.at("order").dump()).second);
    from = page.at("next");
    ++pages;
  } while (from != 0 && pages < 60);
  EXPECT_EQ(seen.size(), 60u);
  EXPECT_GT(pages, 1);
  EXPECT_EQ(json_of(at.get("/v1/orders", vault.query("?from=900&"), vault.owner)).at("orders").size(), 0u);
  EXPECT_EQ(word(at.get("/v1/orders", vault.query("?from=x&"), vault.owner)), "400 malformed");
}

// A clock that went back brings an order to life again, under cards that were replaced meanwhile.
TEST_F(Orders, LoseTheSignaturesOfFormerCards) {
  const auto order = vault.order("destroy");
  ASSERT_EQ(word(vault.give(order, {&vault.cards[0]})), "200");
  at.now += kDayMs;
  vault.cards[0] = SigningKey::random();
  ASSERT_EQ(word(vault.change_policy(vault.policy())), "200");
  at.now -= kHourMs;
  const auto receipt = vault.receipt(vault.give(order, {&vault.cards[1]}));
  EXPECT_EQ(receipt.at("state"), "waiting");
  EXPECT_EQ(receipt.at("have"), 1);
  at.restart();
  EXPECT_EQ(vault.receipt(vault.give(order, {&vault.cards[0]})).at("state"), "done");
}

// ---- Destroying.
TEST_F(Orders, DestroyForEver) {
  const auto order = vault.order("destroy");
  EXPECT_EQ(vault.receipt(vault.give(order, {&vault.cards[0]})).at("state"), "waiting");
  EXPECT_EQ(vault.released(vault.first.id), "200");
  const auto answer = vault.give(order, {&vault.cards[1]});
  EXPECT_EQ(vault.receipt(answer).at("affected"), 4);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(vault.released(vault.first.id), "403 destroyed");
    EXPECT_EQ(word(vault.evaluate(vault.anna)), "403 destroyed");
    EXPECT_EQ(word(vault.obey("unlock")), "403 destroyed");
    EXPECT_EQ(word(vault.obey("lock")), "403 destroyed");
    EXPECT_EQ(word(vault.deposit(vault.secrets({vault.put_oprf(vault.anna)}), vault.owner)), "403 destroyed");
    EXPECT_EQ(word(vault.enrol()), "403 destroyed");
    EXPECT_EQ(vault.give(order, {&vault.cards[1]}).body, answer.body);
    at.restart();
  }
  EXPECT_EQ(vault.receipt(vault.obey("destroy")).at("affected"), 0);
  const auto account = vault.account(vault.cards[2]);  // who else could ask
  EXPECT_EQ(account.at("secrets"), (Json{{"case", 2}, {"user", 1}}));
  EXPECT_EQ(account.at("state"), "destroyed");
}

TEST_F(Orders, DestroyOneCase) {
  EXPECT_EQ(vault.receipt(vault.obey("destroy", scope(vault.first))).at("affected"), 1);
  EXPECT_EQ(vault.released(vault.first.id), "destroyed");
  EXPECT_EQ(vault.released(vault.second.id), "200");
  at.now += kSecondMs;
  EXPECT_EQ(
      word(vault.deposit(vault.secrets({vault.put_share(vault.first.id, "case", vault.first.share)}), vault.owner)),
      "403 destroyed");
  EXPECT_EQ(word(vault.obey("unlock", scope(vault.first))), "403 destroyed");
  EXPECT_EQ(vault.receipt(vault.obey("destroy", scope(vault.first))).at("affected"), 0);
}

TEST_F(Orders, DestroyedStayDestroyedInAnOlderStore) {
  back_up();
  const auto order = vault.order("destroy");
  const auto answer = vault.give(order, {&vault.cards[0], &vault.cards[1]});
  ASSERT_EQ(vault.receipt(answer).at("state"), "done");
  restore();
  EXPECT_EQ(vault.released(vault.first.id), "403 destroyed");
  EXPECT_EQ(word(vault.evaluate(vault.anna)), "403 destroyed");
  const auto again = vault.receipt(vault.give(order, {&vault.cards[0]}));
  EXPECT_EQ(again.at("state"), "done") << "it was carried out once more";
  EXPECT_EQ(again.at("affected"), 4);
  EXPECT_EQ(again.at("time"), vault.receipt(answer).at("time"));
  at.restart();
  EXPECT_EQ(vault.released(vault.first.id), "403 destroyed");
}

TEST_F(Orders, DestroyedStayDestroyedInAStoreFromBefore) {
  vault.obey("destroy");
  at.custodian.reset();
  std::filesystem::remove(at.data() / "store.db");
  at.start();
  EXPECT_EQ(word(vault.enrol()), "403 destroyed");
  EXPECT_EQ(vault.released(vault.first.id), "403 destroyed");
  EXPECT_EQ(word(vault.obey("lock")), "403 destroyed");
}

TEST_F(Orders, WhatWasDestroyedOrBurnedStaysSoWhenAVaultIsEnrolledAnew) {
  const auto burned = vault.device_json(vault.device);
  vault.obey("destroy", scope(vault.first));
  vault.obey("burn", burn_scope());
  at.custodian.reset();
  std::filesystem::remove(at.data() / "store.db");
  at.start();
  EXPECT_EQ(word(vault.enrol()), "403 burned");
  vault.device.id = random_array<16>();
  EXPECT_EQ(word(vault.enrol()), "403 burned") << "the same key under another name";
  vault.device = TestDevice();
  ASSERT_EQ(word(vault.enrol()), "200");
  EXPECT_EQ(
      word(vault.deposit(vault.secrets({vault.put_share(vault.first.id, "case", vault.first.share)}), vault.owner)),
      "403 destroyed");
  at.now += kSecondMs;
  EXPECT_EQ(word(vault.change_devices({burned}, {})), "403 burned");
}

TEST_F(Orders, ThatWereTornAreFinishedAtTheStart) {
  back_up();
  vault.obey("destroy");
  restore();  // as if the power had gone before the commit
  EXPECT_EQ(vault.released(vault.first.id), "403 destroyed");
  const auto orders = json_of(at.get("/v1/orders", vault.query(), vault.owner)).at("orders");
  ASSERT_EQ(orders.size(), 1u);
  EXPECT_EQ(orders.at(0).at("number"), 1);
}

TEST_F(Orders, TombstonesThatWereNotWrittenWholeCountForNothing) {
  at.custodian.reset();
  std::ofstream(at.data() / "tombstones", std::ios::app) << R"({"at":1,"key":"","signa)";
  at.start();
  EXPECT_EQ(vault.released(vault.first.id), "200");
  EXPECT_EQ(std::filesystem::file_size(at.data() / "tombstones"), 0u);
  vault.obey("destroy");
  at.restart();
  EXPECT_EQ(vault.released(vault.first.id), "403 destroyed");
  at.custodian.reset();
  std::ofstream(at.data() / "tombstones", std::ios::app) << "{}\n";
  EXPECT_EQ(error_of([&] { at.start(); })->code(), Errc::kDamaged);
}

TEST_F(Orders, LeaveNothingThatCanBeRead) {
  vault.obey("lock");
  vault.obey("destroy");
  for (const auto& file : std::filesystem::directory_iterator(at.data())) {
    const auto content = read_file(file.path());
    for (const auto& text : {std::string("a raid"), hex(vault.id), hex(vault.cards[0])}) {
      EXPECT_EQ(as_text(content).find(text), std::string_view::npos) << file.path();
    }
  }
}

// ---- Burning.
TEST_F(Orders, BurnADevice) {
  EXPECT_EQ(vault.receipt(vault.obey("burn", burn_scope())).at("affected"), 1);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(vault.released(vault.first.id), "403 burned");
    EXPECT_EQ(word(vault.evaluate(vault.anna)), "403 burned");
    EXPECT_EQ(word(at.get("/v1/orders", vault.query(), vault.device.key)), "401 signature");
    at.restart();
  }
  auto burned = std::exchange(vault.device, TestDevice());
  const auto body = vault.body({{"device", vault.device_json(vault.device)}, {"token", at.token()}});
  EXPECT_EQ(word(at.post("/v1/devices", body, vault.device.key)), "200");
  EXPECT_EQ(vault.released(vault.first.id), "200");
  at.now += kSecondMs;
  EXPECT_EQ(word(vault.change_devices({vault.device_json(burned)}, {})), "403 burned");
  EXPECT_EQ(word(vault.change_devices({vault.device_json({random_array<16>(), std::move(burned.key)})}, {})),
            "403 burned");
}

TEST_F(Orders, BurnedStayBurnedInAnOlderStore) {
  back_up();
  vault.obey("burn", burn_scope());
  restore();
  EXPECT_EQ(vault.released(vault.first.id), "403 burned");
}

// ---- Waiting for orders.
TEST_F(Orders, ReachWhoeverWaits) {
  const auto begun = vault.wait(0, vault.device.key);
  ASSERT_TRUE(begun.wait);
  EXPECT_FALSE(at.custodian->poll(*begun.wait, at.now));
  EXPECT_TRUE(at.custodian->take_woken().empty());
  const auto order = vault.order("lock");
  vault.give(order, {&vault.cards[0]});
  EXPECT_EQ(at.custodian->take_woken(), std::vector<VaultId>{vault.id});
  EXPECT_TRUE(at.custodian->take_woken().empty());
  const auto answer = json_of(*at.custodian->poll(*begun.wait, at.now));
  EXPECT_EQ(answer.at("number"), 1);
  EXPECT_EQ(answer.at("state"), "locked");
  EXPECT_EQ(answer.at("orders").at(0).at("done"), at.now);
  EXPECT_EQ(answer.at("orders").at(0).at("order").at("statement"), order.dump());
  EXPECT_EQ(answer.at("orders").at(0).at("order").at("signatures").at(0).at("card"), hex(vault.cards[0]));
  EXPECT_TRUE(vault.wait(0, vault.device.key).answer) << "at once";
  EXPECT_TRUE(vault.wait(1, vault.device.key).wait);
}

TEST_F(Orders, EndAWaitWithoutNews) {
  const auto begun = vault.wait(0, vault.device.key);
  EXPECT_EQ(at.custodian->end_wait(*begun.wait, at.now).body, R"({"number":0,"orders":[],"state":"active"})");
  EXPECT_EQ(word(*vault.wait(0, SigningKey::random()).answer), "401 signature");
}

TEST_F(Orders, OnlyWakeAfterTheCommit) {
  const auto body = TestVault::order_body(vault.order("lock"), {&vault.cards[0]}).dump();
  at.custodian->handle({"POST", "/v1/orders", "", body}, nullptr, at.now);
  EXPECT_TRUE(at.custodian->take_woken().empty());
  at.custodian->commit();
  EXPECT_EQ(at.custodian->take_woken().size(), 1u);
}

// What was told before the commit is told again just so where the commit never came.
TEST_F(Orders, ForEverWakeAsSoonAsTheirTombstoneIsThere) {
  vault.obey("lock");
  vault.obey("unlock");
  at.custodian->take_woken();
  std::uint64_t last = 2;
  for (const auto& [type, of] :
       {std::pair{"destroy", scope(vault.first)}, {"destroy", "vault"}, {"burn", burn_scope()}}) {
    const auto begun = vault.wait(last, vault.device.key);
    ASSERT_TRUE(begun.wait) << type;
    at.commits = false;
    vault.obey(type, of);
    EXPECT_EQ(at.custodian->take_woken(), std::vector<VaultId>{vault.id}) << type;
    const auto told = at.custodian->poll(*begun.wait, at.now);
    ASSERT_TRUE(told) << type;
    EXPECT_EQ(json_of(*told).at("number"), last + 1);
    at.commits = true;
    at.now += kSecondMs;
    at.restart();
    EXPECT_EQ(vault.wait(last, vault.device.key).answer->body, told->body) << type;
    ++last;
  }
}

TEST_F(Orders, ThatTombstonesKeepWakeOnce) {
  at.commits = false;
  vault.obey("destroy", scope(vault.first));
  vault.obey("destroy");
  EXPECT_EQ(at.custodian->take_woken(), std::vector<VaultId>{vault.id});
  at.custodian->commit();
  EXPECT_TRUE(at.custodian->take_woken().empty());
}

// Its number would be another one.
TEST_F(Orders, WakeAfterTheCommitWhereACrashWouldUndoOneBefore) {
  at.commits = false;
  vault.obey("lock");
  vault.obey("destroy");
  EXPECT_TRUE(at.custodian->take_woken().empty());
  at.custodian->commit();
  EXPECT_EQ(at.custodian->take_woken(), std::vector<VaultId>{vault.id});
}

TEST_F(Orders, TellABurnedDeviceOfItsEndAndNothingElse) {
  vault.obey("lock");
  vault.obey("unlock");
  const auto begun = vault.wait(2, vault.device.key);
  vault.obey("burn", burn_scope());
  vault.obey("lock");
  const auto answer = json_of(*at.custodian->poll(*begun.wait, at.now));
  ASSERT_EQ(answer.at("orders").size(), 1u);
  EXPECT_EQ(answer.at("number"), 3);
  EXPECT_EQ(json_of(*vault.wait(0, vault.device.key).answer).at("orders").size(), 1u);
  EXPECT_EQ(word(*vault.wait(3, vault.device.key).answer), "403 burned");
}

TEST_F(Orders, ComeInPortionsWhereThereAreMany) {
  for (int i = 0; i < 60; ++i) {
    auto order = vault.order("lock");
    order["reason"] = std::string(250, '\\');  // twice as long in JSON, and four times in JSON in JSON
    ASSERT_EQ(word(vault.give(order, {&vault.cards[i % 3]})), "200");
  }
  std::uint64_t after = 0, count = 0;
  for (int i = 0; i < 60 && after < 60; ++i) {
    const auto answer = vault.wait(after, vault.device.key).answer;
    ASSERT_TRUE(answer);
    EXPECT_LE(answer->body.size(), kMaxWireBody);
    count += json_of(*answer).at("orders").size();
    after = json_of(*answer).at("number");
  }
  EXPECT_EQ(count, 60u);
  EXPECT_LE(at.get("/v1/orders", vault.query(), vault.owner).body.size(), kMaxWireBody);
}

// ---- Who has obeyed.
class Receipts : public Orders {
 protected:
  Json receipt_of(const Json& order, const std::string& stage, const SigningKey& key) const {
    return {{"device", hex(key)},
            {"kind", "guard-receipt"},
            {"nonce", nonce()},
            {"not_reached", Json::array({"exports"})},
            {"order", hex(sha256(as_bytes(order.dump())))},
            {"stage", stage},
            {"time", at.now},
            {"vault", hex(vault.id)}};
  }
  WireAnswer hand_in(const Json& receipt, const SigningKey& key) {
    return at.post("/v1/receipts", vault.body({{"receipt", TestVault::signed_by(key, kGuardReceiptDomain, receipt)}}),
                   key);
  }
};

TEST_F(Receipts, AreShownToWhoMaySeeThem) {
  const auto order = vault.order("destroy");
  vault.give(order, {&vault.cards[0], &vault.cards[1]});
  for (const auto* stage : {"received", "keys-destroyed", "reopening-failed"}) {
    const auto receipt = receipt_of(order, stage, vault.device.key);
    EXPECT_EQ(word(hand_in(receipt, vault.device.key)), "200") << stage;
    EXPECT_EQ(word(hand_in(receipt, vault.device.key)), "200") << "again";
  }
  at.restart();
  for (const auto* key : {&vault.cards[0], &vault.owner, &vault.device.key}) {
    const auto answer = json_of(at.get("/v1/orders", vault.query(), *key));
    EXPECT_EQ(answer.at("state"), "destroyed");
    const auto& shown = answer.at("orders").at(0);
    EXPECT_EQ(shown.at("have"), 2);
    EXPECT_EQ(shown.at("number"), 1);
    ASSERT_EQ(shown.at("receipts").size(), 3u);
    EXPECT_NO_THROW(wire_statement_from_json(shown.at("receipts").at(0), kGuardReceiptDomain, "a receipt"));
  }
  EXPECT_EQ(word(at.get("/v1/orders", vault.query(), SigningKey::random())), "403 destroyed");
}

TEST_F(Receipts, AreRefusedWhereTheyAreWrong) {
  const auto order = vault.order("lock");
  EXPECT_EQ(word(hand_in(receipt_of(order, "received", vault.device.key), vault.device.key)), "404 unknown");
  vault.give(order, {&vault.cards[0]});
  EXPECT_EQ(word(hand_in(receipt_of(order, "done", vault.device.key), vault.device.key)), "400 malformed");
  const auto stranger = SigningKey::random();
  EXPECT_EQ(word(hand_in(receipt_of(order, "received", stranger), stranger)), "401 signature");
  const auto receipt = receipt_of(order, "received", stranger);
  EXPECT_EQ(word(hand_in(receipt, vault.device.key)), "400 malformed") << "for another device";
}

TEST_F(Receipts, OfABurnedDeviceAreForItsOwnEndOnly) {
  const auto lock = vault.order("lock");
  vault.give(lock, {&vault.cards[0]});
  const auto burn = vault.order("burn", burn_scope());
  vault.give(burn, {&vault.cards[0], &vault.cards[1]});
  EXPECT_EQ(word(hand_in(receipt_of(burn, "keys-destroyed", vault.device.key), vault.device.key)), "200");
  EXPECT_EQ(word(hand_in(receipt_of(lock, "received", vault.device.key), vault.device.key)), "403 burned");
}

}  // namespace
}  // namespace casevault
