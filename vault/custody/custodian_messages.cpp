#include "vault/custody/custodian_messages.h"

#include <algorithm>
#include <array>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/signed_note.h"
#include "crypto/text_lines.h"
#include "vault/custody/custodian_refusal.h"
#include "vault/storage/json.h"

namespace casevault::custodian {
namespace {

constexpr std::size_t kMaxReason = 500;          // bytes, as it stands in JSON
constexpr std::size_t kMaxNotReached = 32;       // of a guard's receipt
constexpr std::size_t kMaxNotReachedSize = 200;  // bytes each
constexpr std::uint64_t kMaxLeaseHours = 24 * 366;
constexpr std::uint64_t kMaxVersion = std::uint64_t{1} << 31;
constexpr std::uint64_t kMaxNumber = std::uint64_t{1} << 53;
constexpr std::size_t kMaxLogKey = 1'024;  // bytes

using Json = nlohmann::json;

// A statement's fields, with those that every one has; `kind` is compared.
class StatementFields : public Fields {
 public:
  StatementFields(const Json& object, const std::string& kind) : Fields(object, "the statement of a " + kind) {
    if (text("kind") != kind) fail();
    hex<16>("nonce");
  }
};

VerifyKey key_of(Fields& fields, const char* name) { return {fields.hex<32>(name)}; }

VerifyKey key_of(const Json& value, const Fields& fields) {
  const auto bytes = value.is_string() ? array_from_hex<32>(value.get_ref<const std::string&>()) : std::nullopt;
  if (!bytes) fields.fail();
  return {*bytes};
}

std::vector<VerifyKey> keys_of(Fields& fields, const char* name, std::size_t max) {
  std::vector<VerifyKey> keys;
  for (const auto& value : fields.list(name, max)) {
    const auto key = key_of(value, fields);
    if (std::ranges::find(keys, key) != keys.end()) fields.fail();
    keys.push_back(key);
  }
  return keys;
}

std::uint32_t count_up_to(Fields& fields, const char* name, std::uint64_t min, std::uint64_t max) {
  const auto value = fields.count(name);
  if (value < min || value > max) fields.fail();
  return static_cast<std::uint32_t>(value);
}

std::uint32_t version_of(Fields& fields) { return count_up_to(fields, "version", 1, kMaxVersion); }

// As wire_statement_from_json, but a wrong signature is told apart from a wrong shape.
WireStatement signed_text(const Json& object, std::string_view domain) {
  Fields fields(object, "a signed statement");
  WireStatement text{key_of(fields, "by"), fields.text("statement"), {}};
  const auto signature = array_from_base64<64>(fields.text("signature"));
  if (!signature) fields.fail();
  fields.end();
  text.signature = *signature;
  if (!verify(text.by, domain, as_bytes(text.statement), text.signature))
    refuse(401, "signature", "a statement is not signed by the key that it names");
  return text;
}

Signed who_and_what(const WireStatement& text, std::int64_t time) {
  return {text.by, {time, sha256(as_bytes(text.statement))}};
}

NewDevice new_device(const Json& object) {
  Fields fields(object, "a device");
  NewDevice device{fields.hex<16>("id"), key_of(fields, "key")};
  fields.end();
  return device;
}

std::string log_key_of(Fields& fields) {
  const auto text = fields.text("log");
  if (text.size() > kMaxLogKey) fields.fail();
  if (!text.empty()) NoteVerifier::parse(text);  // throws for what is none
  return text;
}

DeviceChange device_change(const Json& object) {
  const auto text = signed_text(object, kDevicesDomain);
  const auto json = parse_canonical(text.statement, "the statement of devices");
  StatementFields fields(json, "devices");
  DeviceChange change{.by = who_and_what(text, fields.time("time")),
                      .to = key_of(fields, "to"),
                      .vault = fields.hex<16>("vault"),
                      .add = {},
                      .remove = keys_of(fields, "remove", kMaxDevices)};
  for (const auto& device : fields.list("add", kMaxDevices)) change.add.push_back(new_device(device));
  fields.end();
  return change;
}

ScopeKind secret_kind(Fields& fields) {
  const auto kind = fields.text("kind");
  if (kind != "user" && kind != "case") fields.fail();
  return kind == "user" ? ScopeKind::kUser : ScopeKind::kCase;
}

SecretType secret_type(Fields& fields) {
  const auto type = parse_secret_type(fields.text("type"));
  if (!type) fields.fail();
  return *type;
}

Put put_of(const Json& object) {
  Fields fields(object, "a secret");
  Put put{.id = fields.hex<16>("id"), .kind = secret_kind(fields), .name = {}, .sealed = {}, .user = {}, .duress = {}};
  put.name = {secret_type(fields), version_of(fields)};
  const auto sealed = from_base64(fields.text("sealed"));
  if (!sealed) fields.fail();
  put.sealed = *sealed;
  if (put.name.type == SecretType::kOprf) {
    if (put.kind != ScopeKind::kUser) fields.fail();
    put.user = key_of(fields, "user");
    put.duress = key_of(fields, "duress");
    if (put.user == put.duress) fields.fail();
  } else if (!fields.text("user").empty() || !fields.text("duress").empty()) {
    fields.fail();
  }
  fields.end();
  return put;
}

// <id>/<type>/<version>
std::pair<CustodyId, SecretName> delete_of(const Json& value, const Fields& fields) {
  if (!value.is_string()) fields.fail();
  const auto& text = value.get_ref<const std::string&>();
  const auto first = text.find('/');
  const auto second = first == std::string::npos ? first : text.find('/', first + 1);
  if (second == std::string::npos) fields.fail();
  const auto id = array_from_hex<16>(std::string_view(text).substr(0, first));
  const auto type = parse_secret_type(std::string_view(text).substr(first + 1, second - first - 1));
  const auto version = from_decimal(std::string_view(text).substr(second + 1));
  if (!id || !type || !version || *version == 0 || *version > kMaxVersion) fields.fail();
  return {*id, {*type, static_cast<std::uint32_t>(*version)}};
}

DuressChange duress_of(const Json& object) {
  Fields fields(object, "a duress key");
  DuressChange change{fields.hex<16>("id"), version_of(fields), key_of(fields, "duress")};
  fields.end();
  return change;
}

template <typename List>
bool has_duplicates(List names) {
  std::ranges::sort(names);
  return std::ranges::adjacent_find(names) != names.end();
}

void check_different(const DepositRequest& request, const Fields& fields) {
  auto touched = request.deletes;
  for (const auto& put : request.puts) touched.emplace_back(put.id, put.name);
  for (const auto& change : request.duress) touched.push_back({change.id, {SecretType::kOprf, change.version}});
  if (touched.empty() || has_duplicates(std::move(touched))) fields.fail();
  std::map<CustodyId, ScopeKind> kinds;
  for (const auto& put : request.puts) {
    if (kinds.try_emplace(put.id, put.kind).first->second != put.kind) fields.fail();
  }
}

OrderType order_type(Fields& fields) {
  const auto text = fields.text("type");
  for (const auto type : {OrderType::kLock, OrderType::kUnlock, OrderType::kDestroy, OrderType::kBurn}) {
    if (text == to_string(type)) return type;
  }
  fields.fail();
}

// Sets kind and id.
void read_scope(Fields& fields, OrderTerms& terms) {
  const auto scope = fields.text("scope");
  if (scope == "vault") return;
  static constexpr std::array<std::pair<std::string_view, ScopeKind>, 3> kPrefixes = {
      {{"user:", ScopeKind::kUser}, {"case:", ScopeKind::kCase}, {"device:", ScopeKind::kDevice}}};
  for (const auto& [prefix, kind] : kPrefixes) {
    if (!scope.starts_with(prefix)) continue;
    const auto id = array_from_hex<16>(std::string_view(scope).substr(prefix.size()));
    if (!id) fields.fail();
    terms.kind = kind;
    terms.id = *id;
    return;
  }
  fields.fail();
}

CardSignature card_signature(const Json& object) {
  Fields fields(object, "the signature of a card");
  CardSignature out{key_of(fields, "card"), {}};
  const auto signature = array_from_base64<64>(fields.text("signature"));
  if (!signature) fields.fail();
  out.signature = *signature;
  fields.end();
  return out;
}

bool is_stage(std::string_view text) {
  return text == "received" || text == "keys-destroyed" || text == "reopening-failed";
}

void check_not_reached(Fields& fields) {
  for (const auto& item : fields.list("not_reached", kMaxNotReached)) {
    if (!item.is_string() || item.get_ref<const std::string&>().size() > kMaxNotReachedSize) fields.fail();
  }
}

}  // namespace

Policy parse_policy(std::string_view statement) {
  const auto json = parse_canonical(statement, "the statement of a policy");
  StatementFields fields(json, "policy");
  Policy policy;
  policy.vault = fields.hex<16>("vault");
  policy.to = key_of(fields, "to");
  policy.cards = keys_of(fields, "cards", kMaxCards);
  policy.owners = keys_of(fields, "owners", kMaxOwners);
  policy.index = count_up_to(fields, "index", 1, 255);
  policy.quorum = count_up_to(fields, "quorum", 1, std::max<std::size_t>(policy.cards.size(), 1));
  policy.threshold = count_up_to(fields, "threshold", 1, 255);
  policy.lease_ms = std::int64_t{3'600'000} * count_up_to(fields, "lease_hours", 0, kMaxLeaseHours);
  policy.log = log_key_of(fields);
  policy.stamp = {fields.time("time"), sha256(as_bytes(statement))};
  fields.end();
  if (policy.owners.empty()) fields.fail();
  return policy;
}

OrderTerms parse_order(std::string_view statement) {
  const auto json = parse_canonical(statement, "an order");
  StatementFields fields(json, "order");
  OrderTerms terms{.vault = fields.hex<16>("vault"),
                   .type = order_type(fields),
                   .kind = std::nullopt,
                   .id = {},
                   .issued = fields.time("issued"),
                   .expires = fields.time("expires")};
  read_scope(fields, terms);
  if (Json(fields.text("reason")).dump().size() - 2 > kMaxReason) fields.fail();
  fields.end();
  return terms;
}

EnrolRequest parse_enrol(std::string_view body) {
  const auto json = parse_canonical(body, "the request");
  Fields fields(json, "the request");
  EnrolRequest request{.to = key_of(fields, "to"),
                       .device = new_device(fields.any("device")),
                       .token = fields.hex<32>("token"),
                       .policy_text = signed_text(fields.any("policy"), kPolicyDomain),
                       .policy = {}};
  fields.end();
  request.policy = parse_policy(request.policy_text.statement);
  return request;
}

PolicyRequest parse_policy_request(std::string_view body) {
  const auto json = parse_canonical(body, "the request");
  Fields fields(json, "the request");
  PolicyRequest request{key_of(fields, "to"), fields.hex<16>("vault"), std::nullopt, std::nullopt};
  if (const auto& policy = fields.any("policy"); !policy.is_null()) {
    auto text = signed_text(policy, kPolicyDomain);
    auto parsed = parse_policy(text.statement);
    request.policy.emplace(std::move(text), std::move(parsed));
  }
  if (const auto& devices = fields.any("devices"); !devices.is_null()) request.devices = device_change(devices);
  fields.end();
  return request;
}

DeviceRequest parse_device_request(std::string_view body) {
  const auto json = parse_canonical(body, "the request");
  Fields fields(json, "the request");
  DeviceRequest request{key_of(fields, "to"), fields.hex<16>("vault"), new_device(fields.any("device")),
                        fields.hex<32>("token")};
  fields.end();
  return request;
}

DepositRequest parse_deposit(std::string_view body) {
  const auto json = parse_canonical(body, "the request");
  Fields outer(json, "the request");
  DepositRequest request{
      .by = {}, .to = key_of(outer, "to"), .vault = outer.hex<16>("vault"), .puts = {}, .deletes = {}, .duress = {}};
  const auto text = signed_text(outer.any("deposit"), kSecretsDomain);
  outer.end();
  const auto statement = parse_canonical(text.statement, "the statement of secrets");
  StatementFields fields(statement, "secrets");
  request.by = who_and_what(text, fields.time("time"));
  for (const auto& item : fields.list("put", kMaxPuts)) request.puts.push_back(put_of(item));
  for (const auto& item : fields.list("delete", kMaxDeletes)) request.deletes.push_back(delete_of(item, fields));
  for (const auto& item : fields.list("duress", kMaxPuts)) request.duress.push_back(duress_of(item));
  if (fields.hex<16>("vault") != request.vault || key_of(fields, "to") != request.to) fields.fail();
  fields.end();
  check_different(request, fields);
  return request;
}

EvaluateRequest parse_evaluate(std::string_view body) {
  const auto json = parse_canonical(body, "the request");
  Fields fields(json, "the request");
  EvaluateRequest request{.to = key_of(fields, "to"),
                          .vault = fields.hex<16>("vault"),
                          .id = fields.hex<16>("id"),
                          .version = version_of(fields),
                          .element = {}};
  const auto element = parse_element(fields.hex<32>("element"));
  if (!element) fields.fail();
  request.element = *element;
  fields.end();
  return request;
}

ReleaseRequest parse_release(std::string_view body) {
  const auto json = parse_canonical(body, "the request");
  Fields fields(json, "the request");
  ReleaseRequest request{key_of(fields, "to"), fields.hex<16>("vault"), {fields.hex<32>("box")}, {}};
  for (const auto& item : fields.list("secrets", kMaxReleases)) {
    Fields secret(item, "a secret");
    request.secrets.emplace_back(secret.hex<16>("id"), version_of(secret));
    secret.end();
  }
  fields.end();
  if (request.secrets.empty() || has_duplicates(request.secrets)) fields.fail();
  return request;
}

ConfirmRequest parse_confirm(std::string_view body) {
  const auto json = parse_canonical(body, "the request");
  Fields outer(json, "the request");
  ConfirmRequest request{.by = {}, .to = key_of(outer, "to"), .vault = outer.hex<16>("vault"), .id = {}};
  const auto text = signed_text(outer.any("confirm"), kConfirmDomain);
  outer.end();
  const auto statement = parse_canonical(text.statement, "the statement of a confirm");
  StatementFields fields(statement, "confirm");
  request.by = who_and_what(text, fields.time("time"));
  request.id = fields.hex<16>("id");
  if (fields.hex<16>("vault") != request.vault || key_of(fields, "to") != request.to) fields.fail();
  fields.end();
  return request;
}

OrderRequest parse_order_request(std::string_view body) {
  const auto json = parse_canonical(body, "the request");
  Fields fields(json, "the request");
  OrderRequest request{fields.text("statement"), {}, {}};
  for (const auto& item : fields.list("signatures", kMaxCards)) {
    request.signatures.push_back(card_signature(item));
  }
  fields.end();
  std::vector<ByteArray<32>> cards;
  for (const auto& signature : request.signatures) cards.push_back(signature.card.bytes);
  if (cards.empty() || has_duplicates(cards)) fields.fail();
  request.terms = parse_order(request.statement);
  return request;
}

GuardReceiptRequest parse_guard_receipt(std::string_view body) {
  const auto json = parse_canonical(body, "the request");
  Fields outer(json, "the request");
  GuardReceiptRequest request{
      .to = key_of(outer, "to"), .vault = outer.hex<16>("vault"), .device = {}, .order = {}, .stage = {}, .text = {}};
  const auto& receipt = outer.any("receipt");
  request.text = receipt.dump();
  const auto text = signed_text(receipt, kGuardReceiptDomain);
  outer.end();
  const auto statement = parse_canonical(text.statement, "the statement of a guard-receipt");
  StatementFields fields(statement, "guard-receipt");
  fields.time("time");
  check_not_reached(fields);
  request.device = key_of(fields, "device");
  request.order = fields.hex<32>("order");
  request.stage = fields.text("stage");
  if (fields.hex<16>("vault") != request.vault || request.device != text.by || !is_stage(request.stage)) fields.fail();
  fields.end();
  return request;
}

Query::Query(std::string_view query) {
  if (!query.starts_with('?')) fail();
  query.remove_prefix(1);
  for (bool more = true; more;) {
    const auto end = query.find('&');
    more = end != std::string_view::npos;
    const auto pair = query.substr(0, end);
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos) fail();
    if (!values_.emplace(pair.substr(0, equals), pair.substr(equals + 1)).second) fail();
    if (more) query.remove_prefix(end + 1);
  }
}

std::string Query::text(std::string_view name) {
  const auto found = values_.find(name);
  if (found == values_.end()) fail();
  auto value = std::move(found->second);
  values_.erase(found);
  return value;
}

std::uint64_t Query::number(std::string_view name) {
  const auto value = from_decimal(text(name));
  if (!value || *value > kMaxNumber) fail();
  return *value;
}

void Query::end() const {
  if (!values_.empty()) fail();
}

void Query::fail() { throw Error(Errc::kDamaged, "the query is malformed"); }

}  // namespace casevault::custodian
