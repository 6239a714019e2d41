#include "vault/custody/machines.h"

#include <algorithm>

#include "vault/access/session_keys.h"
#include "vault/custody/client.h"
#include "vault/custody/device.h"
#include "vault/custody/shares.h"
#include "vault/storage/catalog_state.h"

namespace casevault {
namespace {

constexpr std::string_view kPrefix = "casevault-device:1/";

const CustodyPlan& newest_plan(const Header& header) {
  if (header.custody.empty())
    throw Error(Errc::kUsage, "this vault is not under custody", "casevault help custody enroll");
  return header.custody.back();
}

struct DeviceRequest {
  VaultId vault{};
  std::string name;
  VerifyKey key;
};

DeviceRequest parse_request(std::string_view text) {
  const auto fail = [] {
    return Error(Errc::kUsage, "this is not what casevault custody enroll-device prints on the new machine",
                 "casevault custody enroll-device");
  };
  if (!text.starts_with(kPrefix)) throw fail();
  text.remove_prefix(kPrefix.size());
  const auto first = text.find('/');
  const auto last = text.rfind('/');
  if (first == text.npos || first == last) throw fail();
  const auto vault = array_from_hex<16>(text.substr(0, first));
  const auto name = from_percent_encoded(text.substr(first + 1, last - first - 1));
  const auto key = array_from_hex<32>(text.substr(last + 1));
  if (!vault || !name || !key || !is_valid_user_name(*name)) throw fail();
  return {*vault, *name, {*key}};
}

void require_name(const std::string& name) {
  if (!is_valid_user_name(name))
    throw Error(Errc::kUsage, "a machine's name is 1 to 64 bytes, without comma, slash and backslash",
                "choose one: casevault custody enroll-device --name NAME");
}

/// A key keeps the name that it was made with: custodians know it by that, and orders burn it by that.
DeviceKey device_called(const Vault& vault, const std::optional<std::string>& name) {
  const auto& environment = vault.environment();
  const auto& id = vault.header().vault_id;
  if (name) require_name(*name);
  auto device = load_device(environment, id);
  if (!device) return name ? create_device(environment, id, *name) : ensure_device(environment, id);
  if (name && *name != device->name) {
    const auto path = device_file(environment, id).string();
    throw Error(Errc::kUsage, "this machine has a key already, made as " + device->name + "; nothing was changed",
                "only where no custodian knows it as that: mv " + path + " " + path + ".old; then the same again");
  }
  return *std::move(device);
}

void warn_of_strangers(Session& session, const std::vector<MissedSeat>& missed) {
  for (const auto& seat : missed)
    session.warn(seat.name + " does not know the machine (" + seat.reason +
                 "), so that one custodian fewer may fail where it is used; repeat the command when " + seat.name +
                 " answers");
}

bool is_conflict(const Error& error) {
  return error.code() == Errc::kCustodiansRefused &&
         std::string_view(error.what()).starts_with("the custodians hold something else");
}

}  // namespace

std::string device_request(const Vault& vault, const std::optional<std::string>& name) {
  newest_plan(vault.header());
  const auto& id = vault.header().vault_id;
  const auto device = device_called(vault, name);
  return std::string(kPrefix) + to_hex(id) + "/" + to_percent_encoded(device.name) + "/" +
         to_hex(device.key.verify_key().bytes);
}

std::string enrol_machine(Session& session, const std::string& text) {
  const auto request = parse_request(text);
  if (session.role() != Role::kOwner) session.refuse("custody-device", "", "only an owner of the vault may do this");
  if (request.vault != session.keys().header.vault_id)
    throw Error(Errc::kUsage, "this request is for another vault", "casevault custody enroll-device");
  session.record("custody-device", request.name, "begun");
  const auto& plan = newest_plan(session.keys().header);
  try {
    const auto id = custody_id(plan.salt, ScopeKind::kDevice, request.name);
    const auto& owner = session.identity().signing;
    warn_of_strangers(session, custodians_of(session, plan.epoch).add_device(id, request.key, owner));
  } catch (const Error& error) {
    if (!is_conflict(error)) throw;
    throw Error(Errc::kCustodiansRefused, "the custodians know another machine as " + request.name + " already",
                "on the new machine, with a name that none had: casevault custody enroll-device --name NAME");
  }
  session.record("custody-device", request.name);
  return request.name;
}

std::string enrol_this_machine(const Vault& vault, const std::vector<Invitation>& invitations,
                               const std::optional<std::string>& name) {
  const auto& plan = newest_plan(vault.header());
  const auto device = device_called(vault, name);
  std::vector<std::pair<VerifyKey, ByteArray<32>>> tokens;
  for (const auto& invitation : invitations) {
    const bool known = std::ranges::any_of(
        plan.custodians, [&](const CustodianSeat& seat) { return seat.custodian.key == invitation.custodian.key; });
    if (!known)
      throw Error(Errc::kUsage, invitation.custodian.name + " is no custodian of this vault",
                  "casevault custody status");
    tokens.emplace_back(invitation.custodian.key, invitation.token);
  }
  connect(vault.header(), plan, vault.environment())
      .enrol_device(custody_id(plan.salt, ScopeKind::kDevice, device.name), tokens);
  return device.name;
}

}  // namespace casevault
