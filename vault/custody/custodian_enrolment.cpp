#include "vault/custody/custodian_core.h"
#include "vault/storage/json.h"

namespace casevault::custodian {
namespace {

WireAnswer done_at(const VaultId& vault, std::int64_t time) {
  return answer_of({{"time", time}, {"vault", to_hex(vault)}});
}

std::string detail_of(const Policy& policy) {
  return "cards=" + std::to_string(policy.cards.size()) + " index=" + std::to_string(policy.index) +
         " quorum=" + std::to_string(policy.quorum) + " threshold=" + std::to_string(policy.threshold);
}

void require_own_key(const CheckedSignature& signer, const NewDevice& device) {
  if (signer.key != device.key) refuse(401, "signature", "the request is not signed by the device that it is about");
}

/// A token that was presented: not used yet, or used for just this.
struct Token {
  Sha256Digest hash{};
  Sha256Digest use{};
  std::int64_t used = 0;  // Unix milliseconds; 0: not yet
};

// Looked up by its hash in the store, where another process puts invitations: what an attacker can time is no token.
Token require_token(Core& core, const ByteArray<32>& token, const Sha256Digest& use) {
  const auto hash = sha256(token);
  const auto invited = core.store->invitation(hash);
  if (!invited) refuse(403, "token", "there is no such invitation");
  if (invited->used != 0 && !equal_constant_time(invited->used_for, use))
    refuse(403, "token", "this invitation was used for something else");
  if (invited->used == 0 && invited->expires <= core.now) refuse(403, "token", "this invitation has expired");
  return {hash, use, invited->used};
}

Sha256Digest use_of(const EnrolRequest& ask) {
  return sha256({as_bytes("vault"), ask.policy.vault, ask.policy.stamp.hash, ask.device.id, ask.device.key.bytes});
}
Sha256Digest use_of(const DeviceRequest& ask) {
  return sha256({as_bytes("device"), ask.vault, ask.device.id, ask.device.key.bytes});
}

void require_policy_for_me(const Core& core, const WireStatement& text, const Policy& policy) {
  core.require_to(policy.to);
  if (std::ranges::find(policy.owners, text.by) == policy.owners.end())
    refuse(401, "signature", "the policy is not signed by one of the owners that it names");
}

// By an owner of the policy in force. False when it is the very one.
bool require_next_policy(const Core& core, const Vault& vault, const WireStatement& text, const Policy& policy) {
  require_open(vault, std::nullopt);
  require_owner(vault, text.by);
  if (!require_newer(vault.policy.stamp, policy.stamp, core.now)) return false;
  require_replaceable(vault, policy, core.now);
  return true;
}

// What waited for cards that are no more is over.
void void_orders(Core& core, Vault& vault, const Policy& policy) {
  for (const auto& hash : voided_orders(vault, policy)) {
    vault.orders.erase(hash);
    core.store->erase_order(vault.id, hash);
    core.log.append({.action = "order", .vault = vault.id, .detail = "order=" + to_hex(hash), .outcome = "void"},
                    core.now);
  }
}

// A sign of life too: a lease begins now.
void set_policy(Vault& vault, const WireStatement& text, const Policy& policy, std::int64_t now) {
  vault.seen = now;
  vault.policy_text = text;
  vault.policy = policy;
}

void require_new_vault(const Core& core, const EnrolRequest& ask) {
  if (core.tombstones.is_destroyed(ask.policy.vault)) refuse(403, "destroyed", "this vault was destroyed by an order");
  for (const auto& [at, statement, terms, signatures, key] : core.tombstones.all()) {
    const bool is_burned = key && (terms.id == ask.device.id || *key == ask.device.key);
    if (terms.vault == ask.policy.vault && is_burned) refuse(403, "burned", "this device was burned by an order");
  }
  require_newer({}, ask.policy.stamp, core.now);
}

// A vault that was restored without its past may have lost users, cases or devices for ever.
Vault& make_vault(Core& core, const EnrolRequest& ask) {
  auto& vault = core.vaults[ask.policy.vault];
  vault.id = ask.policy.vault;
  set_policy(vault, ask.policy_text, ask.policy, core.now);
  core.store->put_vault(vault);
  core.apply_tombstones(vault);
  return vault;
}

/// The present vault where there is one, checked; nullptr for a new one, checked too.
Vault* find_for_enrolment(Core& core, const EnrolRequest& ask) {
  if (!core.vaults.contains(ask.policy.vault)) {
    require_new_vault(core, ask);
    return nullptr;
  }
  auto& vault = core.vault(ask.policy.vault);
  require_open(vault, std::nullopt);
  if (!is_owner(vault, ask.policy_text.by)) refuse(409, "conflict", "this vault is enrolled already");
  require_next_policy(core, vault, ask.policy_text, ask.policy);
  require_new_device(vault.devices, ask.device.id, ask.device.key);
  return &vault;
}

/// The devices after a change; throws Refusal where it is not allowed.
Devices changed_devices(const Vault& vault, const DeviceChange& change) {
  auto devices = vault.devices;
  for (const auto& key : change.remove) {
    const auto* device = find_device(devices, key);
    if (device != nullptr && device->burned_by == 0) devices.erase(CustodyId(device->id));
  }
  for (const auto& device : change.add) {
    if (require_new_device(devices, device.id, device.key)) devices[device.id] = {device.id, device.key, 0};
  }
  return devices;
}

void store_devices(Core& core, Vault& vault, Devices devices) {
  for (const auto& [id, device] : vault.devices) {
    if (!devices.contains(id)) core.store->erase_device(vault.id, id);
  }
  for (const auto& [id, device] : devices) core.store->put_device(vault.id, device);
  vault.devices = std::move(devices);
}

std::optional<Devices> require_device_change(const Core& core, const Vault& vault, const DeviceChange& change) {
  core.require_to(change.to);
  if (change.vault != vault.id) refuse(400, "malformed", "the statement is about another vault");
  require_owner(vault, change.by.by);
  if (!require_newer(vault.devices_stamp, change.by.stamp, core.now)) return std::nullopt;
  return changed_devices(vault, change);
}

}  // namespace

WireAnswer enrol(Core& core, const Request& request) {
  const auto signer = core.signer(request);
  const auto ask = parsed([&] { return parse_enrol(request.wire.body); });
  core.require_to(ask.to);
  require_own_key(signer, ask.device);
  require_policy_for_me(core, ask.policy_text, ask.policy);
  const auto token = require_token(core, ask.token, use_of(ask));
  auto* present = find_for_enrolment(core, ask);
  core.gate.take_nonce(signer, core.now / 1000);
  if (token.used != 0) return done_at(ask.policy.vault, token.used);

  auto& vault = present != nullptr ? *present : make_vault(core, ask);
  void_orders(core, vault, ask.policy);
  set_policy(vault, ask.policy_text, ask.policy, core.now);
  core.store->put_vault(vault);
  core.add_device(vault, {ask.device.id, ask.device.key, 0});
  core.store->use_invitation(token.hash, token.use, core.now);
  core.log.append({.action = "enrol", .vault = vault.id, .device = signer.key, .detail = detail_of(vault.policy)},
                  core.now);
  return done_at(vault.id, core.now);
}

WireAnswer change_policy(Core& core, const Request& request) {
  const auto signer = core.signer(request);
  const auto ask = parsed([&] { return parse_policy_request(request.wire.body); });
  auto& vault = core.vault_for_device(signer, ask.to, ask.vault);
  require_open(vault, std::nullopt);
  bool new_policy = false;
  if (ask.policy) {
    core.require_to(ask.policy->second.to);
    if (ask.policy->second.vault != vault.id) refuse(400, "malformed", "the policy is about another vault");
    new_policy = require_next_policy(core, vault, ask.policy->first, ask.policy->second);
  }
  auto devices = ask.devices ? require_device_change(core, vault, *ask.devices) : std::nullopt;

  if (new_policy) {
    void_orders(core, vault, ask.policy->second);
    set_policy(vault, ask.policy->first, ask.policy->second, core.now);
    core.log.append({.action = "policy", .vault = vault.id, .device = signer.key, .detail = detail_of(vault.policy)},
                    core.now);
  }
  if (devices) {
    store_devices(core, vault, *std::move(devices));
    vault.devices_stamp = ask.devices->by.stamp;
    core.log.append({.action = "device",
                     .vault = vault.id,
                     .device = signer.key,
                     .detail = "added=" + std::to_string(ask.devices->add.size()) +
                               " removed=" + std::to_string(ask.devices->remove.size())},
                    core.now);
  }
  core.store->put_vault(vault);
  return done_at(vault.id, core.now);
}

WireAnswer enrol_device(Core& core, const Request& request) {
  const auto signer = core.signer(request);
  const auto ask = parsed([&] { return parse_device_request(request.wire.body); });
  core.require_to(ask.to);
  require_own_key(signer, ask.device);
  const auto token = require_token(core, ask.token, use_of(ask));
  auto& vault = core.vault(ask.vault);
  require_open(vault, std::nullopt);
  const bool is_new = require_new_device(vault.devices, ask.device.id, ask.device.key);
  core.gate.take_nonce(signer, core.now / 1000);
  if (token.used != 0) return done_at(vault.id, token.used);

  if (is_new) core.add_device(vault, {ask.device.id, ask.device.key, 0});
  core.store->use_invitation(token.hash, token.use, core.now);
  core.log.append(
      {.action = "device", .vault = vault.id, .device = signer.key, .id = ask.device.id, .detail = "added=1 removed=0"},
      core.now);
  return done_at(vault.id, core.now);
}

}  // namespace casevault::custodian
