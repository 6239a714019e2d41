#include <algorithm>

#include "crypto/encoding.h"
#include "crypto/random.h"
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
    core.store->erase_order(vault.key, hash);
    core.write({.action = "order", .vault = vault.name(), .detail = "order=" + to_hex(hash), .outcome = "void"});
  }
}

// A sign of life too: a lease begins now. What is witnessed is witnessed of one key: of a new one it begins anew.
void set_policy(Core& core, Vault& vault, const WireStatement& text, const Policy& policy, std::string_view action,
                const VerifyKey& device) {
  const bool is_new_log = policy.log != vault.policy.log;
  vault.seen = core.now;
  vault.policy_text = text;
  vault.policy = policy;
  core.write({.action = action, .vault = vault.name(), .device = device, .detail = detail_of(policy)});
  if (!is_new_log) return;
  core.write({.action = "witness",
              .vault = vault.name(),
              .device = device,
              .detail = "log=" + to_hex(sha256(as_bytes(policy.log)))});
}

void require_new_vault(const Core& core, const EnrolRequest& ask) {
  for (const auto& tombstone : core.tombstones.all()) {
    if (!tombstone.is_about(ask.policy.vault, ask.policy_text.by, ask.policy.owners)) continue;
    const auto& terms = tombstone.terms;
    if (terms.type == OrderType::kDestroy && !terms.kind)
      refuse(403, "destroyed", "this vault was destroyed by an order");
    if (tombstone.key && (terms.id == ask.device.id || *tombstone.key == ask.device.key))
      refuse(403, "burned", "this device was burned by an order");
  }
  require_newer({}, ask.policy.stamp, core.now);
}

// A vault that was restored without its past may have lost users, cases or devices for ever.
Vault& make_vault(Core& core, const EnrolRequest& ask) {
  const auto key = random_array<16>();
  auto& vault = core.vaults[{ask.policy.vault, key}];
  vault.id = ask.policy.vault;
  vault.key = key;
  vault.policy_text = ask.policy_text;
  vault.policy = ask.policy;
  vault.policy.log.clear();
  core.store->put_vault(vault);
  core.apply_tombstones(vault);
  return vault;
}

// Enrolled by the same people: one of its owners asks, and names the one whose policy is in force.
bool is_theirs(const Vault& vault, const EnrolRequest& ask) {
  const auto& owners = ask.policy.owners;
  return is_owner(vault, ask.policy_text.by) && std::ranges::find(owners, vault.policy_text.by) != owners.end();
}

/// The present vault where there is one, checked; nullptr for a new one, checked too: another of the same id may be
/// here.
Vault* find_for_enrolment(Core& core, const EnrolRequest& ask) {
  Vault* present = nullptr;
  for (auto* vault : vaults_named(core.vaults, ask.policy.vault)) {
    if (is_theirs(*vault, ask)) present = vault;
  }
  auto keys = ask.policy.cards;
  keys.push_back(ask.device.key);
  if (present == nullptr) {
    require_new_vault(core, ask);
    core.require_unclaimed(nullptr, ask.policy.vault, keys);
    return nullptr;
  }
  core.look_at_lease(*present);
  require_open(*present, std::nullopt);
  require_next_policy(core, *present, ask.policy_text, ask.policy);
  require_new_device(present->devices, ask.device.id, ask.device.key);
  core.require_unclaimed(present, ask.policy.vault, keys);
  return present;
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
    if (!devices.contains(id)) core.store->erase_device(vault.key, id);
  }
  for (const auto& [id, device] : devices) core.store->put_device(vault.key, device);
  vault.devices = std::move(devices);
}

std::optional<Devices> require_device_change(Core& core, const Vault& vault, const DeviceChange& change) {
  core.require_to(change.to);
  if (change.vault != vault.id) refuse(400, "malformed", "the statement is about another vault");
  require_owner(vault, change.by.by);
  if (!require_newer(vault.devices_stamp, change.by.stamp, core.now)) return std::nullopt;
  std::vector<VerifyKey> keys;
  for (const auto& device : change.add) keys.push_back(device.key);
  core.require_unclaimed(&vault, vault.id, keys);
  return changed_devices(vault, change);
}

// By a token, which is of no vault: where there are several of this id, an owner has to add the device.
Vault& vault_for_new_device(Core& core, const VaultId& id) {
  const auto named = vaults_named(core.vaults, id);
  std::vector<Vault*> open;
  std::ranges::copy_if(named, std::back_inserter(open),
                       [](const Vault* vault) { return vault->state != State::kDestroyed; });
  if (open.size() > 1)
    refuse(409, "conflict", "more than one vault of this id is here: an owner has to add the device");
  if (!open.empty()) {
    core.look_at_lease(*open.front());
    return *open.front();
  }
  if (!named.empty() || core.tombstones.is_destroyed(id))
    refuse(403, "destroyed", "this vault was destroyed by an order");
  refuse(404, "unknown", "this vault is not known here");
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
  core.gate.take_nonce(to_array<16>(token.hash), signer, core.now / 1000);
  if (token.used != 0) return done_at(ask.policy.vault, token.used);

  auto& vault = present != nullptr ? *present : make_vault(core, ask);
  void_orders(core, vault, ask.policy);
  set_policy(core, vault, ask.policy_text, ask.policy, "enrol", signer.key);
  core.store->put_vault(vault);
  core.add_device(vault, {ask.device.id, ask.device.key, 0});
  core.store->use_invitation(token.hash, token.use, core.now);
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
    core.require_unclaimed(&vault, vault.id, ask.policy->second.cards);
  }
  auto devices = ask.devices ? require_device_change(core, vault, *ask.devices) : std::nullopt;

  if (new_policy) {
    void_orders(core, vault, ask.policy->second);
    set_policy(core, vault, ask.policy->first, ask.policy->second, "policy", signer.key);
  }
  if (devices) {
    store_devices(core, vault, *std::move(devices));
    vault.devices_stamp = ask.devices->by.stamp;
    core.write({.action = "device",
                .vault = vault.name(),
                .device = signer.key,
                .detail = "added=" + std::to_string(ask.devices->add.size()) +
                          " removed=" + std::to_string(ask.devices->remove.size())});
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
  auto& vault = vault_for_new_device(core, ask.vault);
  require_open(vault, std::nullopt);
  const bool is_new = require_new_device(vault.devices, ask.device.id, ask.device.key);
  core.gate.take_nonce(to_array<16>(token.hash), signer, core.now / 1000);
  if (token.used != 0) return done_at(vault.id, token.used);

  if (is_new) core.add_device(vault, {ask.device.id, ask.device.key, 0});
  core.store->use_invitation(token.hash, token.use, core.now);
  core.write({.action = "device",
              .vault = vault.name(),
              .device = signer.key,
              .id = ask.device.id,
              .detail = "added=1 removed=0"});
  return done_at(vault.id, core.now);
}

}  // namespace casevault::custodian
