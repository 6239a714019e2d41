#include "vault/custody/client.h"

#include <algorithm>
#include <utility>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/secret_layout.h"
#include "vault/custody/client_parts.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

constexpr std::string_view kDepositMagic = "CVD1";
constexpr std::size_t kMaxDeletes = 500;  // in one statement

CustodySettings settings_of(const VaultId& vault, const CustodyPlan& plan) {
  return {vault, plan.custodians, plan.threshold};
}

nlohmann::json hex_list(const std::vector<VerifyKey>& keys) {
  auto list = nlohmann::json::array();
  for (const auto& key : keys) list.push_back(to_hex(key.bytes));
  return list;
}

nlohmann::json device_object(const CustodyId& id, const VerifyKey& key) {
  return {{"id", to_hex(id)}, {"key", to_hex(key.bytes)}};
}

nlohmann::json policy_fields(const CustodyPolicy& policy, const CustodianSeat& seat) {
  return {{"cards", hex_list(policy.plan.cards)},   {"index", seat.index},
          {"lease_hours", policy.plan.lease_hours}, {"log", policy.log},
          {"owners", hex_list(policy.owners)},      {"quorum", policy.plan.quorum},
          {"threshold", policy.plan.threshold}};
}

nlohmann::json deposit_fields() {
  const auto none = nlohmann::json::array();
  return {{"delete", none}, {"duress", none}, {"put", none}};
}

/// A secret as custodians file it.
struct Label {
  std::string_view kind;  // "user", "case"
  std::string_view type;  // "oprf", "share"
  SecretName name;
  std::string user = {};    // hex, or empty
  std::string duress = {};  // hex, or empty
};

/// One scalar, dealt to every index there may be: each custodian gets the share of its own.
struct Dealt {
  Label label;
  DealtScalar scalar;
};

Dealt deal(std::string_view kind, std::string_view type, const SecretName& name, const Scalar& secret,
           std::size_t threshold) {
  return {{kind, type, name}, deal_scalar(secret, static_cast<unsigned>(threshold), kMaxShares)};
}

nlohmann::json put_object(const Label& label, const Scalar& share, const VaultId& vault, const BoxPublicKey& box) {
  SecretWriter layout(kDepositMagic.size() + vault.size() + label.name.id.size() + 4 + Scalar::kSize);
  layout.put(as_bytes(kDepositMagic)).put(vault).put(label.name.id).put(be32(label.name.version));
  layout.put(share);
  return {{"duress", label.duress},       {"id", to_hex(label.name.id)},
          {"kind", label.kind},           {"sealed", to_base64(seal_to(box, layout.finish()))},
          {"type", label.type},           {"user", label.user},
          {"version", label.name.version}};
}

nlohmann::json put_object(const Dealt& dealt, const VaultId& vault, const CustodianSeat& seat) {
  return put_object(dealt.label, dealt.scalar.shares.at(seat.index - 1), vault, seat.custodian.box);
}

std::string deleted(const SecretName& name, std::string_view type) {
  return to_hex(name.id) + "/" + std::string(type) + "/" + std::to_string(name.version);
}

}  // namespace

std::vector<CustodianReport> CustodyClient::Parts::ask(AllCustodians::Question question, std::size_t need) {
  question.signer = &device.key;
  auto reports = all.ask(question);
  require_done(reports, need, plan.threshold);
  return reports;
}

std::function<void(std::size_t, const std::string&)> CustodyClient::Parts::take_done() const {
  return [this](std::size_t, const std::string& body) {
    const auto object = parse_canonical(body, "a custodian's answer");
    Fields fields(object, "a custodian's answer");
    fields.time("time");
    if (fields.text("vault") != vault()) fields.fail();
    fields.end();
  };
}

std::vector<CustodianReport> CustodyClient::Parts::deposit(
    const std::function<nlohmann::json(std::size_t index)>& fields, const SigningKey& by, std::size_t need) {
  const auto request = [&](std::size_t i) {
    return all.post(i, "/v1/secrets",
                    {{"deposit", to_json(all.statement(i, kSecretsDomain, "secrets", fields(i), by))}});
  };
  return ask({.request = request, .take = take_done()}, need);
}

std::vector<MissedSeat> CustodyClient::Parts::missed_by(const std::vector<CustodianReport>& reports) const {
  std::vector<MissedSeat> missed;
  for (std::size_t i = 0; i < reports.size(); ++i) {
    if (!reports[i].done()) missed.push_back({plan.custodians[i].index, reports[i].name, reports[i].reason});
  }
  return missed;
}

Deal CustodyClient::Parts::deal_share(std::string_view kind, const SecretName& name, const Scalar& secret,
                                      const SigningKey& by) {
  const auto dealt = deal(kind, "share", name, secret, plan.threshold);
  const auto fields = [&](std::size_t i) {
    auto made = deposit_fields();
    made["put"].push_back(put_object(dealt, all.settings().vault, all.settings().custodians[i]));
    return made;
  };
  return {dealt.scalar.commitment, missed_by(deposit(fields, by, plan.threshold))};
}

void CustodyClient::Parts::delete_all(const std::vector<std::string>& names, const SigningKey& owner) {
  for (std::size_t begin = 0; begin < names.size(); begin += kMaxDeletes) {
    auto fields = deposit_fields();
    const auto end = std::min(begin + kMaxDeletes, names.size());
    for (std::size_t i = begin; i < end; ++i) fields["delete"].push_back(names[i]);
    deposit([&](std::size_t) { return fields; }, owner, all.size());
  }
}

CustodyClient::CustodyClient(const VaultId& vault, CustodyPlan plan, DeviceKey device, const Environment& environment) {
  AllCustodians all(settings_of(vault, plan), environment);
  parts_ = std::make_unique<Parts>(Parts{std::move(plan), std::move(device), std::move(all)});
}
CustodyClient::~CustodyClient() = default;
CustodyClient::CustodyClient(CustodyClient&&) noexcept = default;

const VerifyKey& CustodyClient::device_key() const { return parts_->device.key.verify_key(); }
std::size_t CustodyClient::custodians() const { return parts_->all.size(); }

void CustodyClient::enrol(const std::vector<ByteArray<32>>& tokens, const CustodyPolicy& policy,
                          const SigningKey& owner) {
  auto& all = parts_->all;
  require(tokens.size() == all.size(), "custody: not one token for each custodian");
  const auto id = custody_id(parts_->plan.salt, ScopeKind::kDevice, parts_->device.name);
  const auto request = [&](std::size_t i) {
    const auto fields = policy_fields(policy, parts_->plan.custodians[i]);
    const nlohmann::json body{{"device", device_object(id, device_key())},
                              {"policy", to_json(all.statement(i, kPolicyDomain, "policy", fields, owner))},
                              {"to", to_hex(all.custodian(i).key.bytes)},
                              {"token", to_hex(tokens[i])}};
    return WireRequest{"POST", "/v1/vaults", "", body.dump()};
  };
  parts_->ask({.request = request, .take = parts_->take_done()}, all.size());
}

void CustodyClient::renew_policy(const CustodyPolicy& policy, const SigningKey& owner) {
  auto& all = parts_->all;
  const auto request = [&](std::size_t i) {
    const auto fields = policy_fields(policy, parts_->plan.custodians[i]);
    const auto statement = all.statement(i, kPolicyDomain, "policy", fields, owner);
    return all.post(i, "/v1/policy", {{"devices", nullptr}, {"policy", to_json(statement)}});
  };
  parts_->ask({.request = request, .take = parts_->take_done()}, all.size());
}

std::vector<MissedSeat> CustodyClient::add_device(const CustodyId& id, const VerifyKey& key, const SigningKey& owner) {
  auto& all = parts_->all;
  const nlohmann::json fields{{"add", nlohmann::json::array({device_object(id, key)})},
                              {"remove", nlohmann::json::array()}};
  const auto request = [&](std::size_t i) {
    const auto statement = all.statement(i, kDevicesDomain, "devices", fields, owner);
    return all.post(i, "/v1/policy", {{"devices", to_json(statement)}, {"policy", nullptr}});
  };
  return parts_->missed_by(parts_->ask({.request = request, .take = parts_->take_done()}, parts_->plan.threshold));
}

void CustodyClient::enrol_device(const CustodyId& id, const std::vector<std::pair<VerifyKey, ByteArray<32>>>& tokens) {
  auto& all = parts_->all;
  const auto token_of = [&](std::size_t i) {
    return std::ranges::find(tokens, all.custodian(i).key, &std::pair<VerifyKey, ByteArray<32>>::first);
  };
  const auto request = [&](std::size_t i) {
    const auto device = device_object(id, device_key());
    return all.post(i, "/v1/devices", {{"device", device}, {"token", to_hex(token_of(i)->second)}});
  };
  const auto asks = [&](std::size_t i) { return token_of(i) != tokens.end(); };
  parts_->ask({.request = request, .take = parts_->take_done(), .asks = asks}, parts_->plan.threshold);
}

void CustodyClient::deal_user(const UserDeposit& deposit, const SigningKey& by) {
  const auto& all = parts_->all;
  Dealt oprf = deal("user", "oprf", deposit.name, deposit.oprf, parts_->plan.threshold);
  oprf.label.user = to_hex(deposit.user.bytes);
  oprf.label.duress = to_hex(deposit.duress.bytes);
  const Dealt share = deal("user", "share", deposit.name, deposit.share, parts_->plan.threshold);
  const auto fields = [&](std::size_t i) {
    auto made = deposit_fields();
    for (const Dealt* dealt : {&std::as_const(oprf), &share}) {
      made["put"].push_back(put_object(*dealt, all.settings().vault, all.settings().custodians[i]));
    }
    return made;
  };
  parts_->deposit(fields, by, all.size());
}

Deal CustodyClient::deal_case(const SecretName& name, const Scalar& secret, const SigningKey& by) {
  return parts_->deal_share("case", name, secret, by);
}

Deal CustodyClient::deal_handover(const SecretName& name, const Scalar& secret, const SigningKey& owner) {
  return parts_->deal_share("user", name, secret, owner);
}

void CustodyClient::bring_shares(std::uint32_t index, const std::vector<MissedShare>& missed, const SigningKey& by) {
  auto& all = parts_->all;
  const auto& seats = parts_->plan.custodians;
  const auto seat = std::ranges::find(seats, index, &CustodianSeat::index);
  require(seat != seats.end(), "custody: no such seat");
  const auto place = static_cast<std::size_t>(seat - seats.begin());
  const auto shares = parts_->shares_of(index, missed);
  auto fields = deposit_fields();
  for (std::size_t i = 0; i < missed.size(); ++i) {
    const Label label{missed[i].kind == ScopeKind::kCase ? "case" : "user", "share", missed[i].name};
    fields["put"].push_back(put_object(label, shares[i], all.settings().vault, seat->custodian.box));
  }
  const auto request = [&](std::size_t i) {
    return all.post(i, "/v1/secrets", {{"deposit", to_json(all.statement(i, kSecretsDomain, "secrets", fields, by))}});
  };
  const auto reports = all.ask(
      {.request = request, .signer = &parts_->device.key, .take = parts_->take_done(), .asks = [&](std::size_t i) {
         return i == place;
       }});
  require_done({reports[place]}, 1, 1);
}

void CustodyClient::delete_shares(const std::vector<SecretName>& cases, const SigningKey& owner) {
  std::vector<std::string> names;
  for (const auto& name : cases) names.push_back(deleted(name, "share"));
  parts_->delete_all(names, owner);
}

void CustodyClient::delete_users(const std::vector<SecretName>& users, const SigningKey& owner) {
  std::vector<std::string> names;
  for (const auto& name : users) {
    names.push_back(deleted(name, "oprf"));
    names.push_back(deleted(name, "share"));
  }
  parts_->delete_all(names, owner);
}

void CustodyClient::set_duress(const SecretName& name, const VerifyKey& duress, const SigningKey& user) {
  auto fields = deposit_fields();
  fields["duress"].push_back({{"duress", to_hex(duress.bytes)}, {"id", to_hex(name.id)}, {"version", name.version}});
  parts_->deposit([&](std::size_t) { return fields; }, user, parts_->all.size());
}

}  // namespace casevault
