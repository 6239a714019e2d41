#include "vault/sharing/provenance.h"

#include <algorithm>
#include <set>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/minisign.h"
#include "vault/records/details.h"
#include "vault/records/statement.h"
#include "vault/sharing/bag_names.h"
#include "vault/storage/catalog.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

constexpr std::size_t kMaxHops = 64;
constexpr std::size_t kMaxCertificates = 4096;

[[noreturn]] void fail(const std::string& what, const std::string& why) {
  throw Error(Errc::kDamaged, what + " is forged or damaged: " + why);
}

nlohmann::json parsed(const SignedStatement& statement, const std::string& what) {
  return parse_canonical(statement.statement, what);
}

}  // namespace

Change SignedStatement::change() const { return link_change({number - 1, previous}, statement, signature); }

nlohmann::json to_json(const SignedStatement& statement) {
  return {{"number", statement.number},
          {"previous", to_hex(statement.previous)},
          {"signature", to_base64(statement.signature)},
          {"statement", statement.statement}};
}

SignedStatement signed_statement_from_json(const nlohmann::json& object, const std::string& what) {
  Fields fields(object, what);
  SignedStatement statement;
  statement.number = fields.count("number");
  statement.previous = fields.hex<32>("previous");
  const auto signature = from_base64(fields.text("signature"));
  statement.statement = fields.text("statement");
  fields.end();
  if (statement.number == 0 || !signature || signature->size() != statement.signature.size()) fields.fail();
  statement.signature = to_array<64>(*signature);
  return statement;
}

VaultCertificates own_certificates(const Catalog& catalog, const std::vector<UserId>& users) {
  const auto& state = catalog.state();
  std::set<UserId> wanted;
  const auto want = [&](const auto& self, const UserId& id) -> void {
    const auto* user = state.find_user(id);
    if (user != nullptr && wanted.insert(id).second) self(self, user->approved_by);
  };
  for (const auto& id : users) want(want, id);
  VaultCertificates certificates{state.vault(), state.root(), {}};
  const auto changes = read_chain(catalog.database());
  std::set<std::string> recovered;  // sets that let somebody in
  for (const auto& change : changes) {
    const auto statement = nlohmann::json::parse(change.statement);
    if (statement["kind"] == "recover") recovered.insert(statement["by"].get<std::string>());
  }
  for (const auto& change : changes) {  // removals need the owner who signed them
    const auto statement = nlohmann::json::parse(change.statement);
    const bool is_recovery = statement["kind"] == "recovery" && recovered.contains(statement["id"].get<std::string>());
    if (statement["kind"] == "remove" || is_recovery)
      want(want, *array_from_hex<16>(statement["by"].get<std::string>()));
  }
  ChainHead previous;
  for (const auto& change : changes) {
    const auto statement = nlohmann::json::parse(change.statement);
    const auto& kind = statement["kind"];
    const bool is_user =
        kind == "user" && wanted.contains(*array_from_hex<16>(statement["user"]["id"].get<std::string>()));
    const bool is_recovery =
        kind == "recover" || (kind == "recovery" && recovered.contains(statement["id"].get<std::string>()));
    if (kind == "found" || kind == "remove" || is_user || is_recovery)
      certificates.statements.push_back({previous.hash, change.number, change.signature, change.statement});
    previous = change.head();
  }
  return certificates;
}

nlohmann::json to_json(const VaultCertificates& certificates) {
  auto list = nlohmann::json::array();
  for (const auto& statement : certificates.statements) list.push_back(to_json(statement));
  return {{"certificates", std::move(list)},
          {"root", to_hex(certificates.root.bytes)},
          {"vault", to_hex(certificates.vault)}};
}

VaultCertificates vault_certificates_from_json(const nlohmann::json& object, const std::string& what) {
  Fields fields(object, what);
  VaultCertificates certificates{fields.hex<16>("vault"), {fields.hex<32>("root")}, {}};
  for (const auto& item : fields.list("certificates", kMaxCertificates))
    certificates.statements.push_back(signed_statement_from_json(item, what));
  fields.end();
  return certificates;
}

ForeignVault::ForeignVault(const VaultCertificates& certificates, const std::string& what)
    : vault_(certificates.vault), root_(certificates.root) {
  std::uint64_t last = 0;
  for (const auto& statement : certificates.statements) {
    if (statement.number <= last) fail(what, "its certificates are out of order");
    last = statement.number;
    apply(statement, what);
  }
  if (people_.empty()) fail(what, "it has no certificates");
}

const ForeignVault::Person* ForeignVault::find(const UserId& id) const {
  const auto found = people_.find(id);
  return found == people_.end() ? nullptr : &found->second;
}

void ForeignVault::apply(const SignedStatement& signed_statement, const std::string& what) {
  const auto statement = parsed(signed_statement, what);
  Fields fields(statement, what);  // more fields than are looked at here
  const auto kind = fields.text("kind");
  const auto by = fields.hex<16>("by");
  const auto log_size = fields.count("log_size");
  UserKeys signer;
  if (kind == "found") {
    Person founder{.keys = user_from_json(fields.any("user"), what), .role = Role::kOwner, .removed_log_size = {}};
    const auto certificate = from_base64(fields.text("certificate"));
    const bool certified = certificate && certificate->size() == 64 && founder.keys.id == by &&
                           verify(root_, kRootCertificateDomain, root_certificate_message(vault_, founder.keys),
                                  to_array<64>(*certificate));
    if (!certified || signed_statement.number != 1) fail(what, "its founder is not certified by its root key");
    organisation_ = fields.text("organisation");
    signer = founder.keys;
    people_.emplace(by, std::move(founder));
  } else if (kind == "recover") {
    if (!trustees_ || trustees_->id != by) fail(what, "it was recovered by others than its trustees");
    signer = *trustees_;
  } else {
    const auto* owner = find(by);
    if (owner == nullptr || owner->role != Role::kOwner || removed_.contains(by))
      fail(what, "a certificate was not made by an owner");
    signer = owner->keys;
  }
  if (!verify_change(vault_, signed_statement.change(), signer.sign))
    fail(what, "the signature of a certificate is not its author's");
  if (kind == "user") {
    Person person{.keys = user_from_json(fields.any("user"), what), .role = Role::kMember, .removed_log_size = {}};
    const auto role = parse_role(fields.text("role"));
    if (!role || people_.contains(person.keys.id)) fail(what, "a certificate is for nobody");
    person.role = *role;
    people_.emplace(person.keys.id, std::move(person));
  } else if (kind == "remove") {
    remove(fields.hex<16>("user"), log_size);
  } else if (kind == "recovery") {
    trustees_ = UserKeys{fields.hex<16>("id"), {}, {fields.hex<32>("sign")}, {fields.hex<32>("box")}};
  } else if (kind == "recover") {
    recover(statement, log_size, what);
  } else if (kind != "found") {
    fail(what, "a certificate of an unknown kind");
  }
}

/// Everybody who was in it is out, and one owner is in, by the word of the trustees that an owner chose.
void ForeignVault::recover(const nlohmann::json& statement, std::uint64_t log_size, const std::string& what) {
  Fields fields(statement, what);
  for (const auto& item : fields.list("removed", kMaxCertificates)) {
    const auto id = item.is_string() ? array_from_hex<16>(item.get<std::string>()) : std::nullopt;
    if (!id) fields.fail();
    remove(*id, log_size);
  }
  Person owner{.keys = user_from_json(fields.any("user"), what), .role = Role::kOwner, .removed_log_size = {}};
  const auto id = owner.keys.id;
  if (!people_.emplace(id, std::move(owner)).second) fail(what, "a certificate is for nobody");
}

void ForeignVault::remove(const UserId& user, std::uint64_t log_size) {
  removed_.emplace(user, log_size);
  const auto found = people_.find(user);
  if (found != people_.end() && !found->second.removed_log_size) found->second.removed_log_size = log_size;
}

void ForeignVault::learn_removals(const std::map<UserId, std::uint64_t>& removed) {
  for (const auto& [user, log_size] : removed) remove(user, log_size);
}

nlohmann::json to_json(const Hop& hop) {
  nlohmann::json object = {{"bundle", hop.bundle ? to_hex(*hop.bundle) : std::string()}};
  if (hop.statement) {
    object["case"] = hop.case_number;
    object["details"] = hop.details;
    object["statement"] = to_json(*hop.statement);
    object["vault"] = to_hex(hop.vault);
  } else {
    object["path"] = hop.path;
    object["sign"] = hop.sign;
  }
  return object;
}

std::string encode_hops(const std::vector<Hop>& hops) {
  auto list = nlohmann::json::array();
  for (const auto& hop : hops) list.push_back(to_json(hop));
  return list.dump();
}

std::vector<Hop> hops_from_json(const nlohmann::json& list, const std::string& what) {
  if (!list.is_array() || list.empty() || list.size() > kMaxHops) fail(what, "it does not say where it comes from");
  std::vector<Hop> hops;
  for (const auto& item : list) {
    Fields fields(item, what);
    Hop hop;
    const auto bundle = fields.text("bundle");
    hop.bundle = array_from_hex<32>(bundle);
    if (hop.bundle.has_value() == bundle.empty()) fields.fail();
    if (item.contains("statement")) {
      hop.case_number = static_cast<std::int64_t>(fields.count("case"));
      hop.details = fields.text("details");
      hop.statement = signed_statement_from_json(fields.any("statement"), what);
      hop.vault = fields.hex<16>("vault");
    } else {
      hop.path = fields.text("path");
      hop.sign = fields.text("sign");
      MinisignPublicKey::parse(hop.sign);  // throws for what is none
      if (find_path_fault(hop.path)) fields.fail();
    }
    fields.end();
    hops.push_back(std::move(hop));
  }
  return hops;
}

namespace {

CheckedHop check_vault_hop(const Hop& hop, const ForeignVault& vault, const std::string& what) {
  const auto statement = parse_statement(hop.statement->statement, what);
  const auto* person = vault.find(statement.by);
  if (statement.kind != CaseStatement::Kind::kVersion || person == nullptr || person->role == Role::kAuditor)
    fail(what, "nobody certified has signed it");
  if (!verify_change(statement.case_id, hop.statement->change(), person->keys.sign))
    fail(what, "its signature is not its author's");
  if (person->removed_log_size && statement.log.size >= *person->removed_log_size)
    fail(what, "its author had been removed from " + vault.organisation() + " before");
  if (sha256(as_bytes(hop.details)) != statement.details) fail(what, "its details are not what was signed");
  auto details = parse_details(hop.details, what);
  if (details.testimony.has_value() != (statement.record.kind == RecordKind::kTestimony))
    fail(what, "it is of the wrong kind");
  return {statement.record, statement.version, hop.case_number, person->keys, statement.time_ms, std::move(details)};
}

}  // namespace

std::vector<std::optional<CheckedHop>> check_hops(const std::vector<Hop>& hops,
                                                  const std::map<VaultId, ForeignVault>& vaults,
                                                  const Sha256Digest& sha256_of_content, std::uint64_t size,
                                                  const std::string& what) {
  std::vector<std::optional<CheckedHop>> checked;
  for (std::size_t i = 0; i < hops.size(); ++i) {
    if (hops[i].bundle.has_value() != (i + 1 < hops.size())) fail(what, "where it comes from has a gap");
    if (!hops[i].statement) {
      if (i > 0) fail(what, "stock tools can only stand at its beginning");
      checked.emplace_back();
      continue;
    }
    const auto vault = vaults.find(hops[i].vault);
    if (vault == vaults.end()) fail(what, "the certificates of a vault it went through are missing");
    auto hop = check_vault_hop(hops[i], vault->second, what);
    const auto expected = i == 0 ? std::optional<Sha256Digest>()
                                 : sha256(as_bytes(encode_hops({hops.begin(), hops.begin() + static_cast<long>(i)})));
    if (hop.details.origin != expected) fail(what, "where it comes from is not what was signed");
    if (hop.details.sha256 != sha256_of_content || hop.details.size != size)
      fail(what, "what was signed is another content");
    checked.push_back(std::move(hop));
  }
  return checked;
}

}  // namespace casevault
