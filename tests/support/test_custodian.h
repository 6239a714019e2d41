#pragma once
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "crypto/encoding.h"
#include "crypto/oprf.h"
#include "crypto/random.h"
#include "crypto/secret_layout.h"
#include "crypto/signed_note.h"
#include "tests/support/temp_folder.h"
#include "vault/custody/custodian.h"

/// A custodian on a folder of its own with a clock of its own, and a vault that speaks to it.
namespace casevault::test {

using Json = nlohmann::json;
using JsonList = std::vector<Json>;  // {x} is a list of one, unlike in Json
inline constexpr std::int64_t kSecondMs = 1'000;
inline constexpr std::int64_t kHourMs = 3'600'000;
inline constexpr std::int64_t kDayMs = 24 * kHourMs;

inline std::string hex(ByteView bytes) { return to_hex(bytes); }
inline std::string hex(const VerifyKey& key) { return to_hex(key.bytes); }
inline std::string hex(const SigningKey& key) { return to_hex(key.verify_key().bytes); }
inline std::string nonce() { return to_hex(random_array<16>()); }
inline std::vector<std::string> hex(const std::vector<SigningKey>& keys) {
  std::vector<std::string> out;
  for (const auto& key : keys) out.push_back(hex(key));
  return out;
}

/// `{"error":…}` of a refusal, or the status; "200" when it was answered.
inline std::string word(const WireAnswer& answer) {
  if (answer.status == 200) return "200";
  const auto body = Json::parse(answer.body, nullptr, false);
  const auto said = body.is_object() ? body.value("error", "") : "";
  return std::to_string(answer.status) + (said.empty() ? "" : " " + said);
}
inline Json json_of(const WireAnswer& answer) {
  EXPECT_EQ(answer.status, 200) << answer.body;
  return Json::parse(answer.body, nullptr, false);
}
/// The statement inside an answer that the custodian signed.
inline Json signed_json(const WireAnswer& answer, std::string_view domain, const VerifyKey& by) {
  const auto statement = wire_statement_from_json(json_of(answer), domain, "an answer");
  EXPECT_EQ(statement.by, by);
  return Json::parse(statement.statement);
}

class TestCustodian {
 public:
  TestCustodian() {
    init_crypto();
    start();
  }

  std::int64_t now = 1'760'000'000'000;
  TempFolder folder;
  ServeSettings settings{"Rights Desk", "Tallinn", "custodian.example.org:8443"};
  std::optional<Custodian> custodian;
  bool commits = true;  // after each request

  std::filesystem::path data() const { return folder / "data"; }
  void start() { custodian.emplace(Custodian::open(data(), settings, now)); }
  /// What was not committed is lost.
  void restart() {
    custodian.reset();
    start();
  }
  std::string to() const { return hex(custodian->identity().key); }

  WireAnswer handle(const WireRequest& request, const WireSignature* signature) {
    auto answer = custodian->handle(request, signature, now);
    if (commits) custodian->commit();
    return answer;
  }
  WireAnswer send(const WireRequest& request, const SigningKey& key) {
    const auto signature = sign_request(request, key, now / 1000);
    return handle(request, &signature);
  }
  WireAnswer post(const std::string& path, const Json& body, const SigningKey& key) {
    return send({"POST", path, "", body.dump()}, key);
  }
  WireAnswer get(const std::string& path, const std::string& query, const SigningKey& key) {
    return send({"GET", path, query, ""}, key);
  }
  WireAnswer get(const std::string& path, const std::string& query = "") {
    return handle({"GET", path, query, ""}, nullptr);
  }
  WireAnswer post_unsigned(const std::string& path, const std::string& body) {
    return handle({"POST", path, "", body}, nullptr);
  }
  std::string token() const { return hex(make_invitation(data(), "", now).token); }
};

/// Somebody whose secrets a custodian has, and what they are.
struct TestUser {
  CustodyId id = random_array<16>();
  SigningKey key = SigningKey::random();
  SigningKey duress = SigningKey::random();
  Scalar oprf = random_scalar();
  Scalar share = random_scalar();
};
struct TestCase {
  CustodyId id = random_array<16>();
  Scalar share = random_scalar();
};
struct TestDevice {
  CustodyId id = random_array<16>();
  SigningKey key = SigningKey::random();
};

class TestVault {
 public:
  explicit TestVault(TestCustodian& at) : at(at) {
    for (int i = 0; i < 3; ++i) cards.push_back(SigningKey::random());
  }

  TestCustodian& at;
  VaultId id = random_array<16>();
  SigningKey owner = SigningKey::random();
  SigningKey log = SigningKey::random();
  std::string log_name = "casevault/" + hex(id);
  TestDevice device;
  TestUser anna;
  TestCase first, second;
  std::vector<SigningKey> cards;
  std::uint64_t quorum = 2, lease_hours = 0, index = 3;

  Json statement(const std::string& kind) const {
    return {{"kind", kind}, {"nonce", nonce()}, {"time", at.now}, {"to", at.to()}, {"vault", hex(id)}};
  }
  Json with(Json object, const Json& more) const {
    object.update(more);
    return object;
  }
  Json body(const Json& more) const { return with({{"to", at.to()}, {"vault", hex(id)}}, more); }
  static Json signed_by(const SigningKey& key, std::string_view domain, const Json& statement) {
    return to_json(sign_statement(domain, statement, key));
  }
  static Json device_json(const TestDevice& device) { return {{"id", hex(device.id)}, {"key", hex(device.key)}}; }

  Json policy() const {
    return with(statement("policy"), {{"cards", hex(cards)},
                                      {"index", index},
                                      {"lease_hours", lease_hours},
                                      {"log", NoteVerifier(log_name, log.verify_key()).encode()},
                                      {"owners", Json::array({hex(owner)})},
                                      {"quorum", quorum},
                                      {"threshold", 2}});
  }
  Json enrol_body(const std::string& token, const Json& policy) const {
    return {{"device", device_json(device)},
            {"policy", signed_by(owner, kPolicyDomain, policy)},
            {"to", at.to()},
            {"token", token}};
  }
  WireAnswer enrol() { return at.post("/v1/vaults", enrol_body(at.token(), policy()), device.key); }
  WireAnswer change_policy(const Json& policy) {
    return at.post("/v1/policy", body({{"devices", nullptr}, {"policy", signed_by(owner, kPolicyDomain, policy)}}),
                   device.key);
  }
  WireAnswer change_devices(const JsonList& add, const JsonList& remove) {
    const auto change = with(statement("devices"), {{"add", add}, {"remove", remove}});
    return at.post("/v1/policy", body({{"devices", signed_by(owner, kDevicesDomain, change)}, {"policy", nullptr}}),
                   device.key);
  }

  // ---- Secrets.
  std::string sealed(const CustodyId& secret, std::uint32_t version, const Scalar& scalar) const {
    auto plain = SecretWriter(4 + 16 + 16 + 4 + 32)
                     .put(as_bytes("CVD1"))
                     .put(id)
                     .put(secret)
                     .put(be32(version))
                     .put(scalar)
                     .finish();
    return to_base64(seal_to(at.custodian->identity().box, plain));
  }
  Json put_oprf(const TestUser& user, std::uint32_t version = 1) const {
    return {{"duress", hex(user.duress)},
            {"id", hex(user.id)},
            {"kind", "user"},
            {"sealed", sealed(user.id, version, user.oprf)},
            {"type", "oprf"},
            {"user", hex(user.key)},
            {"version", version}};
  }
  Json put_share(const CustodyId& secret, const std::string& kind, const Scalar& scalar,
                 std::uint32_t version = 1) const {
    return {{"duress", ""},    {"id", hex(secret)}, {"kind", kind},      {"sealed", sealed(secret, version, scalar)},
            {"type", "share"}, {"user", ""},        {"version", version}};
  }
  Json secrets(const JsonList& puts, const JsonList& deletes = {}, const JsonList& duress = {}) const {
    return with(statement("secrets"), {{"delete", deletes}, {"duress", duress}, {"put", puts}});
  }
  Json duress_change(const TestUser& user, const VerifyKey& duress, std::uint32_t version = 1) const {
    return {{"duress", hex(duress)}, {"id", hex(user.id)}, {"version", version}};
  }
  WireAnswer deposit(const Json& statement, const SigningKey& by) {
    return at.post("/v1/secrets", body({{"deposit", signed_by(by, kSecretsDomain, statement)}}), device.key);
  }
  JsonList all_puts() const {
    return {put_oprf(anna), put_share(anna.id, "user", anna.share), put_share(first.id, "case", first.share),
            put_share(second.id, "case", second.share)};
  }
  /// Enrolled, with a user and two cases.
  void set_up() {
    ASSERT_EQ(word(enrol()), "200");
    ASSERT_EQ(word(deposit(secrets(all_puts()), owner)), "200");
  }

  // ---- Asking.
  WireAnswer evaluate(const TestUser& user, const Element& element, std::uint32_t version = 1) {
    return at.post("/v1/evaluate", body({{"element", hex(element.bytes)}, {"id", hex(user.id)}, {"version", version}}),
                   device.key);
  }
  WireAnswer evaluate(const TestUser& user) { return evaluate(user, generator_times(random_scalar())); }
  Json secret_name(const CustodyId& secret, std::uint32_t version = 1) const {
    return {{"id", hex(secret)}, {"version", version}};
  }
  WireAnswer release(const BoxPublicKey& box, const JsonList& names) {
    return at.post("/v1/release", body({{"box", hex(box.bytes)}, {"secrets", names}}), device.key);
  }
  /// "200" or the error of a release of one secret.
  std::string released(const CustodyId& secret) {
    const auto answer = release(BoxKeyPair::random().public_key, {secret_name(secret)});
    if (answer.status != 200) return word(answer);
    const auto item = Json::parse(answer.body).at("released").at(0);
    return item.contains("sealed") ? "200" : item.value("error", "");
  }
  Json confirm_body(const TestUser& user, const SigningKey& key) const {
    return body({{"confirm", signed_by(key, kConfirmDomain, with(statement("confirm"), {{"id", hex(user.id)}}))}});
  }
  WireAnswer confirm(const TestUser& user, const SigningKey& key) {
    return at.post("/v1/confirm", confirm_body(user, key), device.key);
  }

  // ---- Orders.
  Json order(const std::string& type, const std::string& scope = "vault") const {
    return {{"expires", at.now + kDayMs}, {"issued", at.now}, {"kind", "order"}, {"nonce", nonce()},
            {"reason", "a raid"},         {"scope", scope},   {"type", type},    {"vault", hex(id)}};
  }
  static Json order_body(const Json& statement, const std::vector<const SigningKey*>& by) {
    auto signatures = Json::array();
    for (const auto* card : by) {
      signatures.push_back(
          {{"card", hex(*card)}, {"signature", to_base64(card->sign(kOrderDomain, as_bytes(statement.dump())))}});
    }
    return {{"signatures", signatures}, {"statement", statement.dump()}};
  }
  WireAnswer give(const Json& statement, const std::vector<const SigningKey*>& by) {
    return at.post_unsigned("/v1/orders", order_body(statement, by).dump());
  }
  /// By as many cards as are needed.
  WireAnswer obey(const std::string& type, const std::string& scope = "vault") {
    return give(order(type, scope), {&cards[0], &cards[1]});
  }
  Json receipt(const WireAnswer& answer) const {
    return signed_json(answer, kReceiptDomain, at.custodian->identity().key);
  }
  std::string query(const std::string& before = "?") const { return before + "to=" + at.to() + "&vault=" + hex(id); }
  Custodian::WaitOrAnswer wait(std::uint64_t after, const SigningKey& key) {
    const WireRequest request{"GET", "/v1/orders/wait", query("?after=" + std::to_string(after) + "&"), ""};
    const auto signature = sign_request(request, key, at.now / 1000);
    auto out = at.custodian->begin_wait(request, &signature, at.now);
    at.custodian->commit();
    return out;
  }
  Json account(const SigningKey& key, std::uint64_t first = 0) {
    const auto answer = at.get("/v1/statement",
                               "?first=" + std::to_string(first) + "&from=0&to=" + at.to() +
                                   "&until=" + std::to_string(at.now + kDayMs) + "&vault=" + hex(id),
                               key);
    return signed_json(answer, kStatementDomain, at.custodian->identity().key);
  }
};

}  // namespace casevault::test
