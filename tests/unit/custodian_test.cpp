#include "vault/custody/custodian.h"

#include <random>

#include "crypto/checkpoint.h"
#include "tests/support/test_custodian.h"
#include "vault/custody/custodian_core.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

using namespace test;

class Custodians : public testing::Test {
 protected:
  TestCustodian at;
  TestVault vault{at};
};

class EnrolledVault : public Custodians {
 protected:
  void SetUp() override { vault.set_up(); }
};

// ---- Itself.
TEST_F(Custodians, HaveAnIdentityThatLasts) {
  const auto before = at.custodian->identity();
  EXPECT_EQ(before.name, "Rights Desk");
  EXPECT_EQ(before.place, "Tallinn");
  EXPECT_TRUE(before.tls_certificate.starts_with("-----BEGIN CERTIFICATE-----"));
  at.settings = {};
  at.restart();
  const auto after = at.custodian->identity();
  EXPECT_EQ(after.key, before.key);
  EXPECT_EQ(after.box, before.box);
  EXPECT_EQ(after.pin, before.pin);
  EXPECT_EQ(after.tls_certificate, before.tls_certificate);
  EXPECT_EQ(after.name, "Rights Desk");
  EXPECT_EQ(after.address, "custodian.example.org:8443");
}

TEST_F(Custodians, KeepTheirFolderToThemselves) {
  EXPECT_EQ(error_of([&] { Custodian::open(at.data(), {}, at.now); })->code(), Errc::kBusy);
  for (const auto* name : {"store.db", "store.key", "tombstones", "lock"}) {
    EXPECT_EQ(std::filesystem::status(at.data() / name).permissions(), std::filesystem::perms(0600)) << name;
  }
  EXPECT_EQ(std::filesystem::file_size(at.data() / "store.key"), 32u);
}

TEST_F(Custodians, TakeTheKeyThatTheSystemGivesThem) {
  TestCustodian other;
  std::filesystem::create_directory(other.folder / "credentials");
  std::filesystem::rename(other.data() / "store.key", other.folder / "credentials" / "store.key");
  const auto key = other.custodian->identity().key;
  other.custodian.reset();
  EXPECT_EQ(error_of([&] { other.start(); })->code(), Errc::kNoVault) << "no new one for an old store";
  ::setenv("CREDENTIALS_DIRECTORY", (other.folder / "credentials").c_str(), 1);
  other.start();
  ::unsetenv("CREDENTIALS_DIRECTORY");
  EXPECT_EQ(other.custodian->identity().key, key);
  EXPECT_FALSE(std::filesystem::exists(other.data() / "store.key"));
}

TEST_F(Custodians, InviteWhileTheyServe) {
  const auto invitation = make_invitation(at.data(), "", at.now);
  EXPECT_EQ(invitation.custodian.name, "Rights Desk");
  EXPECT_EQ(invitation.custodian.address, "custodian.example.org:8443");
  EXPECT_EQ(invitation.custodian.pin, at.custodian->identity().pin);
  EXPECT_EQ(Invitation::parse(invitation.encode()).token, invitation.token);
  EXPECT_EQ(make_invitation(at.data(), "other.onion:443", at.now).custodian.address, "other.onion:443");
  EXPECT_EQ(error_of([&] { make_invitation(at.folder / "nothing", "", at.now); })->code(), Errc::kNoVault);
}

TEST_F(Custodians, AnswerWhoeverAsksForTheirHealthAndLog) {
  EXPECT_EQ(at.get("/healthz").body, "ok\n");
  const auto note = SignedNote::parse(at.get("/v1/checkpoint").body);
  const auto origin = "casevault-custodian/" + at.to().substr(0, 32);
  const auto checkpoint = verify_checkpoint(note, NoteVerifier(origin, at.custodian->identity().key));
  ASSERT_TRUE(checkpoint);
  EXPECT_EQ(checkpoint->size, 1u);
  EXPECT_EQ(word(at.get("/v1/nothing")), "404 unknown");
  EXPECT_EQ(word(at.post_unsigned("/healthz", "{}")), "404 unknown");
}

// ---- Enrolling.
TEST_F(Custodians, EnrolAVaultByAToken) {
  const auto answer = json_of(vault.enrol());
  EXPECT_EQ(answer.at("vault"), hex(vault.id));
  EXPECT_EQ(answer.at("time"), at.now);
}

TEST_F(Custodians, AnswerTheSameTokenForTheSameVaultAgain) {
  const auto token = at.token();
  const auto policy = vault.policy();
  const auto first = at.post("/v1/vaults", vault.enrol_body(token, policy), vault.device.key);
  at.now += kSecondMs;
  const auto second = at.post("/v1/vaults", vault.enrol_body(token, policy), vault.device.key);
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(second.body, first.body);
  EXPECT_EQ(word(at.post("/v1/vaults", vault.enrol_body(token, vault.policy()), vault.device.key)), "403 token");
  TestVault other(at);
  EXPECT_EQ(word(at.post("/v1/vaults", other.enrol_body(token, other.policy()), other.device.key)), "403 token");
}

TEST_F(Custodians, RefuseTokensThatAreNotGood) {
  EXPECT_EQ(word(at.post("/v1/vaults", vault.enrol_body(hex(random_array<32>()), vault.policy()), vault.device.key)),
            "403 token");
  const auto token = at.token();
  at.now += 7 * kDayMs;
  EXPECT_EQ(word(at.post("/v1/vaults", vault.enrol_body(token, vault.policy()), vault.device.key)), "403 token");
}

TEST_F(EnrolledVault, IsNotEnrolledAgainButByItsOwner) {
  at.now += kSecondMs;
  TestVault thief(at);
  thief.id = vault.id;
  EXPECT_EQ(word(thief.enrol()), "200") << "another vault, which happens to have this id";
  std::swap(thief.device, vault.device);
  EXPECT_EQ(vault.released(vault.first.id), "unknown");
  EXPECT_EQ(word(vault.change_policy(vault.policy())), "401 signature");
  std::swap(thief.device, vault.device);
  vault.device = TestDevice();
  EXPECT_EQ(word(vault.enrol()), "200");
  EXPECT_EQ(vault.released(vault.first.id), "200");
}

// An id is on receipts. Whoever has an invitation can use it, and spoils nothing by that.
class SameId : public Custodians {
 protected:
  SameId() { thief.id = vault.id; }
  void lose_the_store() {
    at.custodian.reset();
    std::filesystem::remove(at.data() / "store.db");
    at.start();
  }
  TestVault thief{at};
};

TEST_F(SameId, IsAnotherVault) {
  thief.set_up();
  vault.set_up();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(vault.released(vault.first.id), "200");
    EXPECT_EQ(vault.released(thief.first.id), "unknown");
    EXPECT_EQ(thief.released(vault.first.id), "unknown");
    at.restart();
  }
  EXPECT_EQ(vault.account(vault.owner).at("secrets"), (Json{{"case", 2}, {"user", 1}}));
  for (const auto& item : vault.account(vault.owner).at("entries")) {
    EXPECT_EQ(item.at("entry").get<std::string>().find(hex(thief.device.key)), std::string::npos);
  }
  EXPECT_EQ(vault.receipt(thief.obey("lock")).at("affected"), 4);
  EXPECT_EQ(vault.released(vault.first.id), "200");
  EXPECT_EQ(json_of(at.get("/v1/orders", vault.query(), vault.cards[0])).at("orders").size(), 0u);
  EXPECT_EQ(vault.wait(0, vault.device.key).answer, std::nullopt);
  EXPECT_EQ(word(thief.give(thief.order("lock"), {&thief.cards[0], &vault.cards[0]})), "403 order");
  EXPECT_EQ(vault.receipt(thief.obey("destroy")).at("state"), "done");
  EXPECT_EQ(vault.released(vault.first.id), "200");
  EXPECT_EQ(vault.receipt(vault.obey("destroy")).at("affected"), 4);
  EXPECT_EQ(vault.released(vault.first.id), "403 destroyed");
}

TEST_F(SameId, DestroyedByAStrangerIsNotDestroyedForOthers) {
  thief.set_up();
  thief.obey("destroy");
  EXPECT_EQ(word(vault.enrol()), "200");
  lose_the_store();
  EXPECT_EQ(word(thief.enrol()), "403 destroyed");
  EXPECT_EQ(word(vault.enrol()), "200");
  at.restart();
  EXPECT_EQ(vault.receipt(vault.obey("lock")).at("state"), "done");
}

// The thief names the victim's owner as one of theirs, and destroys that.
TEST_F(SameId, DoesNotTakeAnOwnerAlong) {
  auto policy = thief.policy();
  policy["owners"] = {hex(thief.owner), hex(vault.owner)};
  ASSERT_EQ(word(at.post("/v1/vaults", thief.enrol_body(at.token(), policy), thief.device.key)), "200");
  vault.set_up();
  EXPECT_EQ(vault.account(vault.owner).at("secrets"), (Json{{"case", 2}, {"user", 1}})) << "of what they signed";
  EXPECT_EQ(thief.released(vault.first.id), "unknown");
  thief.obey("destroy");
  EXPECT_EQ(vault.released(vault.first.id), "200");
  lose_the_store();
  EXPECT_EQ(word(vault.enrol()), "200");
}

TEST_F(SameId, StaysDestroyedForAllItsOwners) {
  const auto first = SigningKey::from_seed(vault.owner.seed().clone());
  const auto second = SigningKey::random();
  const auto enrol = [&](const SigningKey& by) {
    vault.owner = SigningKey::from_seed(by.seed().clone());
    auto policy = vault.policy();
    policy["owners"] = {hex(first), hex(second)};
    return word(at.post("/v1/vaults", vault.enrol_body(at.token(), policy), vault.device.key));
  };
  ASSERT_EQ(enrol(first), "200");
  vault.obey("destroy");
  EXPECT_EQ(enrol(second), "403 destroyed");
  lose_the_store();
  EXPECT_EQ(enrol(second), "403 destroyed") << "a stranger, but for the other one";
  EXPECT_EQ(enrol(first), "403 destroyed");
}

TEST_F(SameId, HasMachinesAndCardsOfItsOwn) {
  vault.set_up();
  at.now += kSecondMs;
  thief.cards[1] = SigningKey::from_seed(vault.cards[1].seed().clone());
  EXPECT_EQ(word(thief.enrol()), "409 conflict");
  thief.cards[1] = SigningKey::random();
  ASSERT_EQ(word(thief.enrol()), "200");
  EXPECT_EQ(word(thief.change_devices({vault.device_json(vault.device)}, {})), "409 conflict");
  at.now += kSecondMs;
  thief.cards[1] = SigningKey::from_seed(vault.cards[1].seed().clone());
  EXPECT_EQ(word(thief.change_policy(thief.policy())), "409 conflict");
  TestDevice other;
  const auto body = vault.body({{"device", vault.device_json(other)}, {"token", at.token()}});
  EXPECT_EQ(word(at.post("/v1/devices", body, other.key)), "409 conflict") << "whose is it?";
  EXPECT_EQ(word(vault.change_devices({vault.device_json(other)}, {})), "200");
}

struct PolicyRow {
  const char* name;
  Json change;
  std::string answer;
};
class Policies : public Custodians, public testing::WithParamInterface<PolicyRow> {};
TEST_P(Policies, AreRefused) {
  auto policy = vault.policy();
  policy.update(GetParam().change);
  EXPECT_EQ(word(at.post("/v1/vaults", vault.enrol_body(at.token(), policy), vault.device.key)), GetParam().answer);
}
const std::string kSomeKey = std::string(64, 'a');
INSTANTIATE_TEST_SUITE_P(Custodians, Policies,
                         testing::Values(PolicyRow{"NoOwner", {{"owners", Json::array()}}, "400 malformed"},
                                         PolicyRow{"AnotherOwner", {{"owners", {kSomeKey}}}, "401 signature"},
                                         PolicyRow{"AnotherCustodian", {{"to", kSomeKey}}, "400 malformed"},
                                         PolicyRow{"IndexZero", {{"index", 0}}, "400 malformed"},
                                         PolicyRow{"Index256", {{"index", 256}}, "400 malformed"},
                                         PolicyRow{"QuorumZero", {{"quorum", 0}}, "400 malformed"},
                                         PolicyRow{"MoreThanTheCards", {{"quorum", 4}}, "400 malformed"},
                                         PolicyRow{"ACardTwice", {{"cards", {kSomeKey, kSomeKey}}}, "400 malformed"},
                                         PolicyRow{"AKeyThatIsNone", {{"cards", {"ab"}}}, "400 malformed"},
                                         PolicyRow{"ANegativeLease", {{"lease_hours", -1}}, "400 malformed"},
                                         PolicyRow{"ALogKeyThatIsNone", {{"log", "x+y+z"}}, "400 malformed"},
                                         PolicyRow{"AnotherKind", {{"kind", "order"}}, "400 malformed"},
                                         PolicyRow{"AFieldTooMany", {{"more", 1}}, "400 malformed"},
                                         PolicyRow{"FromTheFuture", {{"time", 1'760'000'301'000}}, "401 time"}),
                         [](const auto& row) { return row.param.name; });

TEST_F(EnrolledVault, TakesANewPolicyFromItsOwner) {
  const auto old = vault.policy();
  at.now += kSecondMs;
  vault.quorum = 3;
  const auto policy = vault.policy();
  EXPECT_EQ(word(vault.change_policy(policy)), "200");
  EXPECT_EQ(word(vault.change_policy(policy)), "200") << "the same again";
  EXPECT_EQ(word(vault.change_policy(old)), "409 conflict");
  EXPECT_EQ(vault.receipt(vault.obey("destroy")).at("state"), "waiting");
}

TEST_F(EnrolledVault, KeepsItsCardsWhileAnOrderWaits) {
  ASSERT_EQ(vault.receipt(vault.give(vault.order("destroy"), {&vault.cards[2]})).at("state"), "waiting");
  at.now += kSecondMs;
  vault.lease_hours = 48;
  EXPECT_EQ(word(vault.change_policy(vault.policy())), "200");
  at.now += kSecondMs;
  vault.quorum = 3;
  EXPECT_EQ(word(vault.change_policy(vault.policy())), "409 conflict");
  at.now += kDayMs;
  vault.lease_hours = 0;
  EXPECT_EQ(word(vault.change_policy(vault.policy())), "200") << "it has expired";
}

TEST_F(EnrolledVault, DropsWhatWaitsForCardsThatAreNoMore) {
  const auto lost = vault.order("destroy");
  ASSERT_EQ(vault.receipt(vault.give(lost, {&vault.cards[2]})).at("state"), "waiting");
  at.now += kSecondMs;
  const auto removed = std::move(vault.cards[2]);
  vault.cards[2] = SigningKey::random();
  EXPECT_EQ(word(vault.change_policy(vault.policy())), "200");
  at.restart();
  EXPECT_EQ(word(vault.give(lost, {&removed})), "403 order");
  EXPECT_EQ(vault.receipt(vault.give(lost, {&vault.cards[0]})).at("have"), 1) << "the signature is gone";
  at.now += kSecondMs;
  vault.cards[1] = SigningKey::random();
  EXPECT_EQ(word(vault.change_policy(vault.policy())), "409 conflict") << "a card that stays has signed";
}

TEST_F(EnrolledVault, TakesAndDropsDevices) {
  TestDevice other;
  at.now += kSecondMs;
  EXPECT_EQ(word(vault.change_devices({vault.device_json(other)}, {})), "200");
  at.now += kSecondMs;
  EXPECT_EQ(word(vault.change_devices({vault.device_json({other.id, SigningKey::random()})}, {})), "409 conflict")
      << "the name is taken";
  EXPECT_EQ(word(vault.change_devices({}, {hex(other.key)})), "200");
  std::swap(vault.device, other);
  EXPECT_EQ(vault.released(vault.first.id), "401 signature");
}

TEST_F(EnrolledVault, TakesADeviceByAToken) {
  TestDevice other;
  const auto body = vault.body({{"device", vault.device_json(other)}, {"token", at.token()}});
  EXPECT_EQ(word(at.post("/v1/devices", body, vault.device.key)), "401 signature");
  const auto first = at.post("/v1/devices", body, other.key);
  at.now += kSecondMs;
  EXPECT_EQ(at.post("/v1/devices", body, other.key).body, first.body);
  std::swap(vault.device, other);
  EXPECT_EQ(vault.released(vault.first.id), "200");
}

// ---- Who signs a request.
TEST_F(EnrolledVault, RefusesUnsignedRequests) {
  for (const auto* path : {"/v1/vaults", "/v1/policy", "/v1/devices", "/v1/secrets", "/v1/evaluate", "/v1/release",
                           "/v1/confirm", "/v1/receipts"}) {
    EXPECT_EQ(word(at.post_unsigned(path, "{}")), "401 unsigned") << path;
  }
  for (const auto* path : {"/v1/orders", "/v1/statement"}) EXPECT_EQ(word(at.get(path, "?x=y")), "401 unsigned");
}

TEST_F(EnrolledVault, RefusesOthersDevicesAndVaults) {
  const auto body = vault.body(
      {{"box", hex(BoxKeyPair::random().public_key.bytes)}, {"secrets", JsonList{vault.secret_name(vault.first.id)}}});
  EXPECT_EQ(word(at.post("/v1/release", body, SigningKey::random())), "401 signature");
  EXPECT_EQ(word(at.post("/v1/release", vault.with(body, {{"vault", hex(random_array<16>())}}), vault.device.key)),
            "404 unknown");
  EXPECT_EQ(word(at.post("/v1/release", vault.with(body, {{"to", kSomeKey}}), vault.device.key)), "400 malformed");
  TestVault other(at);
  other.set_up();
  EXPECT_EQ(word(at.post("/v1/release", body, other.device.key)), "401 signature");
}

class Freshness : public EnrolledVault {
 protected:
  std::string sent(std::int64_t created) {
    const auto signature = sign_request(request(), vault.device.key, created);
    return word(at.handle(request(), &signature));
  }
  WireRequest request() const { return {"GET", "/v1/orders", vault.query(), ""}; }
};

TEST_F(Freshness, IsThatOfFiveMinutes) {
  at.now += kHourMs;
  const auto now = at.now / 1000;
  EXPECT_EQ(sent(now - 300), "200");
  EXPECT_EQ(sent(now + 300), "200");
  EXPECT_EQ(sent(now - 301), "401 time");
  EXPECT_EQ(sent(now + 301), "401 time");
  const auto signature = sign_request(request(), vault.device.key, now - 301);
  EXPECT_EQ(at.handle(request(), &signature).clock, now);
}

TEST_F(Freshness, IsOnce) {
  const auto signature = sign_request(request(), vault.device.key, at.now / 1000 + 100);
  EXPECT_EQ(word(at.handle(request(), &signature)), "200");
  EXPECT_EQ(word(at.handle(request(), &signature)), "401 replay");
  at.now += 400 * kSecondMs;
  EXPECT_EQ(word(at.handle(request(), &signature)), "401 replay");
  at.now += kSecondMs;
  EXPECT_EQ(word(at.handle(request(), &signature)), "401 time");
  at.now += kHourMs;
  EXPECT_EQ(sent(at.now / 1000), "200");
  at.now -= kHourMs;
  EXPECT_EQ(word(at.handle(request(), &signature)), "401 time") << "though the clock went back";
}

TEST_F(Freshness, EndsWithTheProcess) {
  const auto signature = sign_request(request(), vault.device.key, at.now / 1000);
  EXPECT_EQ(word(at.handle(request(), &signature)), "200");
  at.now += kSecondMs;
  at.restart();
  EXPECT_EQ(word(at.handle(request(), &signature)), "401 time");
}

TEST_F(EnrolledVault, RefusesWhatIsNotCanonicalOrTooLarge) {
  const auto body = vault.body(
      {{"element", hex(generator_times(random_scalar()).bytes)}, {"id", hex(vault.anna.id)}, {"version", 1}});
  const auto send = [&](const std::string& text) {
    return word(at.send({"POST", "/v1/evaluate", "", text}, vault.device.key));
  };
  EXPECT_EQ(send(body.dump(1)), "400 malformed");
  EXPECT_EQ(send(body.dump() + " "), "400 malformed");
  EXPECT_EQ(send("[]"), "400 malformed");
  EXPECT_EQ(send(vault.with(body, {{"more", 1}}).dump()), "400 malformed");
  EXPECT_EQ(send(vault.with(body, {{"version", 0}}).dump()), "400 malformed");
  EXPECT_EQ(send(vault.with(body, {{"element", std::string(64, '0')}}).dump()), "400 malformed") << "the identity";
  EXPECT_EQ(send(std::string(kMaxWireBody + 1, 'x')), "413 too-large");
  EXPECT_EQ(send(body.dump()), "200");
}

// What somebody with a device key may send, who knows the format and breaks it.
class Mutations : public EnrolledVault {
 protected:
  Json odd() {
    const JsonList values = {nullptr,
                             -1,
                             0,
                             1.5,
                             std::uint64_t{1} << 63,
                             "",
                             "ab",
                             std::string(64, '0'),
                             std::string(32, 'f'),
                             true,
                             Json::array(),
                             Json::object(),
                             JsonList{Json::object()},
                             "\u0000",
                             std::string(2000, 'x'),
                             "oprf",
                             "user"};
    return values[random() % values.size()];
  }
  /// One value somewhere inside becomes another, or goes, or comes.
  void mutate(Json& json) {
    if (!json.is_structured() || json.empty() || random() % 8 == 0) {
      json = odd();
      return;
    }
    auto item = std::next(json.begin(), static_cast<std::ptrdiff_t>(random() % json.size()));
    switch (random() % 6) {
      case 0:
        json.erase(item);
        break;
      case 1:
        json.is_object() ? void(json["more"] = odd()) : json.push_back(odd());
        break;
      default:
        mutate(*item);
    }
  }
  /// The same inside of a signed statement, signed again.
  Json resigned(const SigningKey& key, std::string_view domain, Json statement) {
    mutate(statement);
    return TestVault::signed_by(key, domain, statement);
  }
  std::mt19937 random;
};

TEST_F(Mutations, AreAllAnswered) {
  const auto& anna = vault.anna;
  const auto box = hex(BoxKeyPair::random().public_key.bytes);
  std::map<std::string, int> seen;
  const auto send = [&](const std::string& path, const Json& body) {
    const auto answer = at.post(path, body, vault.device.key);
    ASSERT_TRUE(answer.status == 200 || (answer.status >= 400 && answer.status < 500)) << path << answer.body;
    ++seen[word(answer)];
  };
  at.commits = false;
  for (int i = 0; i < 400; ++i) {
    at.now += 1;
    std::vector<std::pair<std::string, Json>> requests = {
        {"/v1/vaults", vault.enrol_body(hex(random_array<32>()), vault.policy())},
        {"/v1/policy", vault.body({{"devices", nullptr},
                                   {"policy", TestVault::signed_by(vault.owner, kPolicyDomain, vault.policy())}})},
        {"/v1/devices", vault.body({{"device", vault.device_json(vault.device)}, {"token", hex(random_array<32>())}})},
        {"/v1/secrets",
         vault.body({{"deposit", TestVault::signed_by(vault.owner, kSecretsDomain, vault.secrets(vault.all_puts()))}})},
        {"/v1/evaluate",
         vault.body({{"element", hex(generator_times(anna.oprf).bytes)}, {"id", hex(anna.id)}, {"version", 1}})},
        {"/v1/release", vault.body({{"box", box}, {"secrets", JsonList{vault.secret_name(anna.id)}}})},
        {"/v1/confirm", vault.confirm_body(anna, anna.key)},
        {"/v1/orders", TestVault::order_body(vault.order("unlock"), {&vault.cards[0]})}};
    for (auto& [path, body] : requests) {
      mutate(body);
      send(path, body);
    }
    send("/v1/policy",
         vault.body({{"devices", nullptr}, {"policy", resigned(vault.owner, kPolicyDomain, vault.policy())}}));
    send("/v1/secrets",
         vault.body({{"deposit", resigned(vault.owner, kSecretsDomain, vault.secrets(vault.all_puts()))}}));
    send("/v1/confirm",
         vault.body({{"confirm", resigned(anna.key, kConfirmDomain,
                                          vault.with(vault.statement("confirm"), {{"id", hex(anna.id)}}))}}));
    auto order = vault.order("unlock");
    mutate(order);
    send("/v1/orders", TestVault::order_body(order, {&vault.cards[i % 3]}));
  }
  EXPECT_GT(seen["400 malformed"], 1000);
  EXPECT_EQ(vault.released(vault.first.id), "200");
}

TEST_F(Mutations, OfQueriesAreAllAnswered) {
  const std::vector<std::string> good = {"first=0", "from=0",        "until=9",
                                         "after=0", "to=" + at.to(), "vault=" + hex(vault.id)};
  const std::vector<std::string> odd = {
      "",       "=",      "first",           "first=-1", "first=01", "from=99999999999999999999",
      "to=%41", "vault=", "first=0&first=0", "a=b=c"};
  for (int i = 0; i < 2000; ++i) {
    std::string query;
    for (const auto& part : good) {
      if (random() % 8 == 0) continue;
      (query += query.empty() ? "?" : "&") += random() % 8 == 0 ? odd[random() % odd.size()] : part;
    }
    for (const auto* path : {"/v1/orders", "/v1/statement", "/v1/consistency", "/v1/checkpoint"}) {
      const auto status = at.get(path, query, vault.device.key).status;
      ASSERT_TRUE(status == 200 || (status >= 400 && status < 500)) << path << query;
    }
    const WireRequest request{"GET", "/v1/orders/wait", query, ""};
    const auto signature = sign_request(request, vault.device.key, at.now / 1000);
    ASSERT_NO_THROW(at.custodian->begin_wait(request, &signature, at.now));
  }
}

// ---- Secrets.
TEST_F(EnrolledVault, AnswersForWhatWasDeposited) {
  const auto blinded = oprf_blind(as_bytes("passphrase"));
  const auto answer = json_of(vault.evaluate(vault.anna, blinded.element));
  EXPECT_EQ(answer.at("index"), vault.index);
  EXPECT_EQ(answer.at("tries"), 1);
  EXPECT_EQ(answer.at("element"), hex(oprf_evaluate(vault.anna.oprf, blinded.element).bytes));

  const auto box = BoxKeyPair::random();
  const auto released = json_of(
      vault.release(box.public_key, {vault.secret_name(vault.first.id), vault.secret_name(random_array<16>())}));
  EXPECT_EQ(released.at("index"), vault.index);
  EXPECT_EQ(released.at("released").at(1).at("error"), "unknown");
  const auto plain = open_sealed(box, *from_base64(released.at("released").at(0).at("sealed").get<std::string>()));
  ASSERT_TRUE(plain);
  const auto expected = SecretWriter(76)
                            .put(as_bytes("CVL1"))
                            .put(vault.id)
                            .put(vault.first.id)
                            .put(be32(1))
                            .put(be32(3))
                            .put(vault.first.share)
                            .finish();
  EXPECT_TRUE(std::ranges::equal(plain->expose_secret(), expected.expose_secret()));
}

TEST_F(EnrolledVault, KeepsSeveralVersions) {
  at.now += kSecondMs;
  const auto next = random_scalar();
  ASSERT_EQ(word(vault.deposit(vault.secrets({vault.put_share(vault.first.id, "case", next, 2)}), vault.owner)), "200");
  const auto box = BoxKeyPair::random().public_key;
  const auto answer =
      json_of(vault.release(box, {vault.secret_name(vault.first.id, 1), vault.secret_name(vault.first.id, 2)}));
  EXPECT_TRUE(answer.at("released").at(0).contains("sealed"));
  EXPECT_TRUE(answer.at("released").at(1).contains("sealed"));
  at.now += kSecondMs;
  ASSERT_EQ(word(vault.deposit(vault.secrets({}, {hex(vault.first.id) + "/share/1"}), vault.owner)), "200");
  EXPECT_EQ(vault.released(vault.first.id), "unknown");
  at.restart();
  EXPECT_EQ(vault.released(vault.first.id), "unknown");
}

TEST_F(EnrolledVault, TakesEachDepositOnce) {
  at.now += kSecondMs;
  const auto old = vault.secrets({vault.put_share(vault.first.id, "case", random_scalar())});
  at.now += kSecondMs;
  const auto statement = vault.secrets({vault.put_share(vault.first.id, "case", random_scalar())});
  EXPECT_EQ(word(vault.deposit(statement, vault.owner)), "200");
  const auto size = SignedNote::parse(at.get("/v1/checkpoint").body).unverified_text();
  EXPECT_EQ(word(vault.deposit(statement, vault.owner)), "200");
  EXPECT_EQ(SignedNote::parse(at.get("/v1/checkpoint").body).unverified_text(), size) << "nothing was done again";
  EXPECT_EQ(word(vault.deposit(old, vault.owner)), "409 conflict");
}

TEST_F(EnrolledVault, LetsUsersDealCases) {
  at.now += kSecondMs;
  const auto& anna = vault.anna;
  TestUser boris;
  ASSERT_EQ(word(vault.deposit(vault.secrets({vault.put_oprf(boris)}), vault.owner)), "200");
  const TestCase fresh;
  const auto deal = [&](const CustodyId& id, const SigningKey& by) {
    at.now += kSecondMs;
    return word(vault.deposit(vault.secrets({vault.put_share(id, "case", fresh.share)}), by));
  };
  EXPECT_EQ(deal(fresh.id, anna.key), "200");
  EXPECT_EQ(deal(fresh.id, anna.key), "200") << "again what she dealt herself";
  EXPECT_EQ(deal(fresh.id, boris.key), "401 signature");
  EXPECT_EQ(deal(vault.first.id, anna.key), "401 signature") << "the owner's";
  EXPECT_EQ(deal(fresh.id, SigningKey::random()), "401 signature");
  EXPECT_EQ(deal(fresh.id, anna.duress), "401 signature");
  EXPECT_EQ(deal(fresh.id, vault.owner), "200");
  const auto refused = [&](const Json& statement) { return word(vault.deposit(statement, anna.key)); };
  EXPECT_EQ(refused(vault.secrets({vault.put_oprf(anna)})), "401 signature");
  EXPECT_EQ(refused(vault.secrets({vault.put_share(anna.id, "user", anna.share)})), "401 signature");
  EXPECT_EQ(refused(vault.secrets({}, {hex(fresh.id) + "/share/1"})), "401 signature");
  vault.obey("lock", "user:" + hex(anna.id));
  EXPECT_EQ(deal(random_array<16>(), anna.key), "403 locked");
}

// One version after the other; a custodian that missed some goes on.
TEST_F(EnrolledVault, TakesOnlyTheNextVersionsOfUsers) {
  const auto deal = [&](const CustodyId& id, std::uint32_t version, const SigningKey& by) {
    at.now += kSecondMs;
    return word(vault.deposit(vault.secrets({vault.put_share(id, "case", random_scalar(), version)}), by));
  };
  const auto fresh = random_array<16>();
  EXPECT_EQ(deal(fresh, 7, vault.anna.key), "200") << "a case that was elsewhere before";
  EXPECT_EQ(deal(fresh, 8, vault.anna.key), "200");
  EXPECT_EQ(deal(fresh, 24, vault.anna.key), "200");
  EXPECT_EQ(deal(fresh, 41, vault.anna.key), "409 conflict");
  EXPECT_EQ(deal(fresh, 41, vault.owner), "200");
  at.now += kSecondMs;
  const auto two = vault.secrets({vault.put_share(random_array<16>(), "case", random_scalar()),
                                  vault.put_share(random_array<16>(), "case", random_scalar())});
  EXPECT_EQ(word(vault.deposit(two, vault.anna.key)), "401 signature");
  EXPECT_EQ(word(vault.deposit(two, vault.owner)), "200");
}

TEST_F(EnrolledVault, TakesSoManyDepositsOfAUserInAnHour) {
  const auto deal = [&](const SigningKey& by) {
    return word(vault.deposit(vault.secrets({vault.put_share(random_array<16>(), "case", random_scalar())}), by));
  };
  at.commits = false;
  for (int i = 0; i < 200; ++i) ASSERT_EQ(deal(vault.anna.key), "200");
  EXPECT_EQ(deal(vault.anna.key), "429 rate");
  EXPECT_EQ(deal(vault.owner), "200");
  at.now += kHourMs / 2;
  for (int i = 0; i < 100; ++i) ASSERT_EQ(deal(vault.anna.key), "200");
  EXPECT_EQ(deal(vault.anna.key), "429 rate");
}

// A user's deposit under the id that somebody will have.
TEST_F(EnrolledVault, LetsOwnersTakeOverAnId) {
  TestUser vera;
  const auto deal = [&](const JsonList& puts, const SigningKey& by) {
    at.now += kSecondMs;
    return word(vault.deposit(vault.secrets(puts), by));
  };
  ASSERT_EQ(deal({vault.put_share(vera.id, "case", random_scalar(), 3)}, vault.anna.key), "200");
  ASSERT_EQ(deal({vault.put_share(vera.id, "case", random_scalar(), 1)}, vault.anna.key), "200");
  EXPECT_EQ(deal({vault.put_oprf(vera), vault.put_share(vera.id, "user", vera.share)}, vault.anna.key),
            "401 signature");
  EXPECT_EQ(deal({vault.put_oprf(vera), vault.put_share(vera.id, "user", vera.share)}, vault.owner), "200");
  at.restart();
  EXPECT_EQ(word(vault.evaluate(vera)), "200");
  const auto box = BoxKeyPair::random().public_key;
  const auto answer = json_of(vault.release(box, {vault.secret_name(vera.id, 1), vault.secret_name(vera.id, 3)}));
  EXPECT_TRUE(answer.at("released").at(0).contains("sealed"));
  EXPECT_EQ(answer.at("released").at(1).at("error"), "unknown") << "nothing of hers is left";
  EXPECT_EQ(deal({vault.put_share(vera.id, "case", random_scalar())}, vault.owner), "409 conflict") << "an owner's";
  EXPECT_EQ(deal({vault.put_share(vera.id, "case", random_scalar(), 5), vault.put_oprf(vera, 2)}, vault.owner),
            "400 malformed");
}

TEST_F(EnrolledVault, HasRoomAgainForOwnersWhoDelete) {
  at.commits = false;
  std::vector<CustodyId> ids;
  const auto fill = [&](std::size_t count) {
    JsonList puts;
    for (std::size_t i = 0; i < count; ++i) {
      ids.push_back(random_array<16>());
      puts.push_back(vault.put_share(ids.back(), "case", random_scalar()));
    }
    return vault.secrets(puts);
  };
  while (ids.size() < 9'900) ASSERT_EQ(word(vault.deposit(fill(100), vault.owner)), "200");
  EXPECT_EQ(word(vault.deposit(fill(1), vault.anna.key)), "409 conflict") << "the rest is for owners";
  ids.pop_back();
  ASSERT_EQ(word(vault.deposit(fill(96), vault.owner)), "200");
  const auto old = fill(1);
  ids.pop_back();
  EXPECT_EQ(word(vault.deposit(old, vault.owner)), "409 conflict");
  JsonList deletes;
  for (std::size_t i = 0; i < 100; ++i) deletes.push_back(hex(ids[i]) + "/share/1");
  at.now += kSecondMs;
  ASSERT_EQ(word(vault.deposit(vault.secrets({}, deletes), vault.owner)), "200");
  EXPECT_EQ(word(vault.deposit(fill(100), vault.owner)), "409 conflict") << "an older statement could still come";
  at.now += 2 * kMaxWireClockSkew * 1000 + 1;
  EXPECT_EQ(word(vault.deposit(old, vault.owner)), "401 time");
  EXPECT_EQ(word(vault.deposit(fill(100), vault.owner)), "200");
  at.custodian->commit();
  at.restart();
  EXPECT_EQ(vault.released(ids.back()), "200");
  EXPECT_EQ(vault.released(ids.front()), "unknown");
}

TEST_F(EnrolledVault, LetsUsersSetADuressKey) {
  at.now += kSecondMs;
  TestUser boris;
  ASSERT_EQ(word(vault.deposit(vault.secrets({vault.put_oprf(boris)}), vault.owner)), "200");
  const auto fresh = SigningKey::random();
  const auto change = [&](const TestUser& of, const SigningKey& by, const JsonList& puts = {}) {
    at.now += kSecondMs;
    return word(vault.deposit(vault.secrets(puts, {}, {vault.duress_change(of, fresh.verify_key())}), by));
  };
  EXPECT_EQ(change(boris, vault.anna.key), "401 signature");
  EXPECT_EQ(change(vault.anna, vault.anna.duress), "401 signature");
  const TestCase more;
  EXPECT_EQ(change(vault.anna, vault.anna.key, {vault.put_share(more.id, "case", more.share)}), "401 signature");
  EXPECT_EQ(change(TestUser(), vault.owner), "404 unknown");
  EXPECT_EQ(
      word(vault.deposit(vault.secrets({}, {}, {vault.duress_change(boris, boris.key.verify_key())}), vault.owner)),
      "409 conflict");
  EXPECT_EQ(change(vault.anna, vault.anna.key), "200");
  at.restart();
  EXPECT_EQ(word(vault.evaluate(vault.anna)), "200") << "the scalar stays";
  EXPECT_EQ(word(vault.confirm(vault.anna, vault.anna.duress)), "401 signature") << "the old one";
  EXPECT_EQ(word(vault.confirm(vault.anna, fresh)), "200");
  EXPECT_EQ(vault.released(vault.first.id), "locked");
}

struct DepositRow {
  const char* name;
  std::function<JsonList(TestVault&)> puts;
  std::string answer;
};
class Deposits : public EnrolledVault, public testing::WithParamInterface<DepositRow> {};
TEST_P(Deposits, AreRefusedAsAWhole) {
  at.now += kSecondMs;
  const TestCase good;
  auto puts = GetParam().puts(vault);
  puts.push_back(vault.put_share(good.id, "case", good.share));
  EXPECT_EQ(word(vault.deposit(vault.secrets(puts), vault.owner)), GetParam().answer);
  EXPECT_EQ(vault.released(good.id), "unknown");
}
JsonList changed_share(TestVault& v, const Json& change) {
  return {v.with(v.put_share(random_array<16>(), "case", random_scalar()), change)};
}
INSTANTIATE_TEST_SUITE_P(
    Custodians, Deposits,
    testing::Values(
        DepositRow{"SealedForAnotherId",
                   [](TestVault& v) {
                     return changed_share(v, {{"sealed", v.sealed(v.first.id, 1, v.first.share)}});
                   },
                   "400 malformed"},
        DepositRow{"SealedForAnotherVersion",
                   [](TestVault& v) {
                     return changed_share(v, {{"version", 2}});
                   },
                   "400 malformed"},
        DepositRow{"NotSealed",
                   [](TestVault& v) {
                     return changed_share(v, {{"sealed", "AAAA"}});
                   },
                   "400 malformed"},
        DepositRow{"Zero",
                   [](TestVault& v) {
                     const auto id = random_array<16>();
                     return JsonList{v.put_share(id, "case", Scalar::zero())};
                   },
                   "400 malformed"},
        DepositRow{"AnotherKind", [](TestVault& v) { return JsonList{v.put_share(v.anna.id, "case", v.anna.share)}; },
                   "409 conflict"},
        DepositRow{"AUserKeyForAShare",
                   [](TestVault& v) {
                     return changed_share(v, {{"user", kSomeKey}});
                   },
                   "400 malformed"},
        DepositRow{"OprfOfACase",
                   [](TestVault& v) {
                     return changed_share(v, {{"type", "oprf"}});
                   },
                   "400 malformed"},
        DepositRow{"VersionZero",
                   [](TestVault& v) {
                     return changed_share(v, {{"version", 0}});
                   },
                   "400 malformed"},
        DepositRow{"TwiceTheSame",
                   [](TestVault& v) {
                     const auto put = v.put_share(v.first.id, "case", v.first.share);
                     return JsonList{put, put};
                   },
                   "400 malformed"},
        DepositRow{"TooMany",
                   [](TestVault& v) { return JsonList(100, v.put_share(v.first.id, "case", v.first.share)); },
                   "400 malformed"}),
    [](const auto& row) { return row.param.name; });

// ---- Tries.
TEST_F(EnrolledVault, LocksAUserAtTheTenthTry) {
  const auto start = at.now;
  for (int i = 1; i <= 10; ++i) {
    EXPECT_EQ(json_of(vault.evaluate(vault.anna)).at("tries"), i);
    at.now += kSecondMs;
    if (i % 3 == 0) at.restart();
  }
  EXPECT_EQ(word(vault.evaluate(vault.anna)), "403 tries");
  at.restart();
  EXPECT_EQ(word(vault.evaluate(vault.anna)), "403 tries");
  const auto answer = json_of(vault.confirm(vault.anna, vault.anna.key));
  EXPECT_EQ(answer.at("unconfirmed"), 10) << "the tenth was right after all";
  EXPECT_EQ(answer.at("since"), start);
  EXPECT_EQ(json_of(vault.evaluate(vault.anna)).at("tries"), 1);
}

TEST_F(EnrolledVault, LiftsTriesByAnUnlockOrderAndStillTellsOfThem) {
  for (const std::string scope : {"user:" + hex(vault.anna.id), std::string("vault")}) {
    const auto start = at.now;
    for (int i = 0; i < 11; ++i) vault.evaluate(vault.anna);
    at.now += kSecondMs;
    EXPECT_EQ(vault.receipt(vault.obey("unlock", scope)).at("affected"), 2) << scope;
    EXPECT_EQ(json_of(vault.evaluate(vault.anna)).at("tries"), 1) << scope;
    at.restart();
    at.now += kSecondMs;
    const auto answer = json_of(vault.confirm(vault.anna, vault.anna.key));
    EXPECT_EQ(answer.at("unconfirmed"), 11) << scope;
    EXPECT_EQ(answer.at("since"), start) << scope;
    at.now += kSecondMs;
    vault.evaluate(vault.anna);
    EXPECT_EQ(json_of(vault.confirm(vault.anna, vault.anna.key)).at("unconfirmed"), 1) << scope;
  }
}

TEST_F(EnrolledVault, TakesEachConfirmationOnce) {
  vault.evaluate(vault.anna);
  const auto body = vault.confirm_body(vault.anna, vault.anna.key);
  const auto first = at.post("/v1/confirm", body, vault.device.key);
  vault.evaluate(vault.anna);
  EXPECT_EQ(at.post("/v1/confirm", body, vault.device.key).body, first.body);
  EXPECT_EQ(json_of(vault.evaluate(vault.anna)).at("tries"), 2) << "it did not count again";
  at.now += kSecondMs;
  EXPECT_EQ(json_of(vault.confirm(vault.anna, vault.anna.key)).at("unconfirmed"), 2);
  EXPECT_EQ(word(at.post("/v1/confirm", body, vault.device.key)), "409 conflict");
  at.now += kHourMs;
  EXPECT_EQ(word(at.post("/v1/confirm", body, vault.device.key)), "401 time");
  EXPECT_EQ(word(vault.confirm(vault.anna, vault.owner)), "401 signature");
}

// ---- Duress.
TEST_F(EnrolledVault, AnswersUnderDuressAsEver) {
  vault.evaluate(vault.anna);
  const auto normal = vault.confirm(vault.anna, vault.anna.key);
  at.now += kSecondMs;
  vault.evaluate(vault.anna);
  const auto duress = vault.confirm(vault.anna, vault.anna.duress);
  EXPECT_EQ(duress.status, normal.status);
  EXPECT_EQ(duress.body.size(), normal.body.size());

  EXPECT_EQ(vault.released(vault.first.id), "locked");
  EXPECT_EQ(vault.released(vault.anna.id), "200");
  EXPECT_EQ(word(vault.evaluate(vault.anna)), "200");
  const auto for_device = json_of(at.get("/v1/orders", vault.query(), vault.device.key));
  EXPECT_EQ(for_device.at("state"), "active");
  EXPECT_EQ(json_of(at.get("/v1/orders", vault.query(), vault.cards[0])).at("state"), "locked");
  at.restart();
  EXPECT_EQ(vault.released(vault.first.id), "locked");
  EXPECT_EQ(vault.released(vault.anna.id), "200");

  const auto count = [&](const SigningKey& key, const char* action) {
    const auto entries = vault.account(key).at("entries");
    return std::ranges::count_if(entries, [&](const Json& item) {
      return parse_canonical(item.at("entry").get<std::string>(), "entry").at("action") == action;
    });
  };
  EXPECT_EQ(count(vault.owner, "duress"), 1);
  EXPECT_EQ(count(vault.owner, "calm"), 1) << "as many entries for the other one";
  for (const auto* action : {"calm", "duress"}) EXPECT_EQ(count(vault.device.key, action), 0);
  EXPECT_EQ(count(vault.device.key, "confirm"), 2);
  EXPECT_EQ(vault.receipt(vault.obey("unlock")).at("state"), "done");
  EXPECT_EQ(vault.released(vault.first.id), "200");
}

// ---- Lease.
TEST_F(Custodians, LockAVaultThatIsSilent) {
  vault.lease_hours = 24;
  vault.set_up();
  at.now += kDayMs;
  EXPECT_EQ(vault.released(vault.first.id), "200");
  EXPECT_FALSE(vault.wait(0, vault.device.key).answer);
  at.now += kDayMs;
  EXPECT_EQ(vault.released(vault.first.id), "200");
  at.now += 1;
  EXPECT_EQ(vault.released(vault.first.id), "403 silent");
  EXPECT_FALSE(vault.wait(0, vault.device.key).answer) << "too late";
  EXPECT_EQ(vault.released(vault.first.id), "403 silent");
  EXPECT_EQ(vault.receipt(vault.obey("unlock")).at("affected"), 4);
  EXPECT_EQ(vault.released(vault.first.id), "200");
}

TEST_F(Custodians, BeginALeaseWithItsPolicy) {
  vault.set_up();
  at.now += 30 * kDayMs;
  vault.lease_hours = 1;
  ASSERT_EQ(word(vault.change_policy(vault.policy())), "200");
  at.now += kHourMs;
  EXPECT_EQ(vault.released(vault.first.id), "200");
  at.now += 1;
  EXPECT_EQ(vault.released(vault.first.id), "403 silent");
}

TEST_F(Custodians, DoNotTakeTheirOwnAbsenceForSilence) {
  vault.lease_hours = 24;
  vault.set_up();
  at.now += 20 * kHourMs;
  at.custodian->tick(at.now);
  at.custodian->commit();
  at.now += 10 * kDayMs;
  at.restart();
  EXPECT_EQ(vault.released(vault.first.id), "200");
  at.now += 4 * kHourMs;
  EXPECT_EQ(vault.released(vault.first.id), "200");
  at.now += 1;
  EXPECT_EQ(vault.released(vault.first.id), "403 silent");
}

TEST_F(Custodians, DoNotTrustASignOfLifeFromTheFuture) {
  vault.lease_hours = 24;
  vault.set_up();
  at.now += 365 * kDayMs;
  EXPECT_FALSE(vault.wait(0, vault.device.key).answer);
  at.now -= 365 * kDayMs;
  at.custodian->tick(at.now);
  at.now += kDayMs + 1;
  EXPECT_EQ(vault.released(vault.first.id), "403 silent");
}

// ---- One customer among others.
class Budgets : public EnrolledVault {
 protected:
  std::string asked(custodian::Core& core, const SigningKey& key) const {
    try {
      core.vault_for_device({key.verify_key(), at.now / 1000, random_array<16>()}, core.keys.sign.verify_key(),
                            vault.id);
    } catch (const custodian::Refusal& refusal) {
      return std::to_string(refusal.status) + " " + std::string(refusal.word);
    }
    return "200";
  }
};

TEST_F(Budgets, OfADeviceAreSpentByItAlone) {
  TestVault other(at);
  other.set_up();
  TestDevice second;
  at.now += kSecondMs;
  ASSERT_EQ(word(vault.change_devices({vault.device_json(second)}, {})), "200");
  at.custodian.reset();
  custodian::Core core(custodian::Store::open(at.data()), at.data(), at.now);
  const auto found = std::ranges::find_if(core.vaults, [&](const auto& entry) { return entry.second.id == vault.id; });
  const auto log = [&](const SigningKey& device, std::size_t mebibytes) {
    for (std::size_t i = 0; i < mebibytes << 10; ++i)
      core.write({.action = "release",
                  .vault = found->second.name(),
                  .device = device.verify_key(),
                  .detail = std::string(1'024, 'x')});
  };
  log(vault.device.key, 14);
  EXPECT_EQ(asked(core, vault.device.key), "429 rate") << "with what stands around it";
  EXPECT_EQ(asked(core, second.key), "200");
  log(second.key, 12);
  EXPECT_EQ(asked(core, second.key), "200");
  log(second.key, 1);
  EXPECT_EQ(asked(core, second.key), "429 rate") << "the vault";
  std::swap(vault.id, other.id);
  EXPECT_EQ(asked(core, other.device.key), "200");
  std::swap(vault.id, other.id);
  core.now += 10 * kHourMs;
  EXPECT_EQ(asked(core, vault.device.key), "200");
}

TEST(RequestGates, RememberSoManyRequestsOfEach) {
  init_crypto();
  custodian::RequestGate gate(1'000);
  const ByteArray<16> one{std::byte{1}}, other{std::byte{2}};
  const auto key = SigningKey::random().verify_key();
  const auto take = [&](const ByteArray<16>& of, std::int64_t now) -> std::string {
    try {
      gate.take_nonce(of, {key, now, random_array<16>()}, now);
    } catch (const custodian::Refusal& refusal) {
      return std::string(refusal.word);
    }
    return "taken";
  };
  for (int i = 0; i < 100'000; ++i) ASSERT_EQ(take(one, 1'000), "taken");
  EXPECT_EQ(take(one, 1'000), "busy");
  EXPECT_EQ(take(other, 1'000), "taken");
  EXPECT_EQ(take(one, 1'400), "taken") << "those are forgotten";
}

// ---- The log.
TEST_F(EnrolledVault, ProvesWhatItWasAsked) {
  vault.evaluate(vault.anna);
  vault.released(vault.first.id);
  vault.released(random_array<16>());
  const auto account = vault.account(vault.owner);
  const auto note = SignedNote::parse(account.at("checkpoint").get<std::string>());
  const auto origin = "casevault-custodian/" + at.to().substr(0, 32);
  const auto checkpoint = verify_checkpoint(note, NoteVerifier(origin, at.custodian->identity().key));
  ASSERT_TRUE(checkpoint);
  std::vector<std::string> actions;
  for (const auto& item : account.at("entries")) {
    std::vector<TreeHash> proof;
    for (const auto& hash : item.at("proof")) proof.push_back(*array_from_hex<32>(hash.get<std::string>()));
    const auto entry = item.at("entry").get<std::string>();
    EXPECT_TRUE(verify_inclusion(merkle_leaf_hash(as_bytes(entry)), item.at("index"), checkpoint->size, proof,
                                 checkpoint->root));
    const auto parsed = parse_canonical(entry, "entry");
    EXPECT_EQ(parsed.at("index"), item.at("index"));
    actions.push_back(parsed.at("action").get<std::string>() + " " + parsed.at("outcome").get<std::string>());
  }
  EXPECT_EQ(actions, (std::vector<std::string>{"enrol ok", "witness ok", "deposit ok", "evaluate ok", "release ok",
                                               "release unknown"}));
  EXPECT_EQ(account.at("next"), 0);
  EXPECT_EQ(account.at("secrets"), (Json{{"case", 2}, {"user", 1}}));
  EXPECT_EQ(account.at("state"), "active");
  EXPECT_EQ(account.at("threshold"), 2);
  EXPECT_EQ(vault.account(vault.cards[0]).at("entries"), account.at("entries"));
  EXPECT_EQ(word(at.get("/v1/statement", "?first=0&from=0&to=" + at.to() + "&until=9&vault=" + hex(vault.id),
                        SigningKey::random())),
            "401 signature");
}

TEST_F(EnrolledVault, GivesLongAccountsInPages) {
  const int before = static_cast<int>(vault.account(vault.owner).at("entries").size());
  for (int i = 0; i < 600; ++i) vault.released(vault.first.id);
  std::set<std::uint64_t> seen;
  std::uint64_t start = 0;
  int pages = 0;
  do {
    const auto page = vault.account(vault.owner, start);
    for (const auto& item : page.at("entries")) EXPECT_TRUE(seen.insert(item.at("index").get<std::uint64_t>()).second);
    start = page.at("next");
    ++pages;
  } while (start != 0 && pages < 100);
  EXPECT_EQ(seen.size(), 600u + before);
  EXPECT_GT(pages, 1);
}

}  // namespace
}  // namespace casevault
