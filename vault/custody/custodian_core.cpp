#include "vault/custody/custodian_core.h"

#include <algorithm>

#include "crypto/encoding.h"
#include "crypto/random.h"
#include "vault/storage/json.h"

namespace casevault::custodian {
namespace {

constexpr std::size_t kMaxRefusals = 200;  // logged for one vault in one hour
constexpr double kMiB = 1 << 20;
// Of the log, in bytes: a release is some 300, an unlocking 1,500.
constexpr Allowance kLogOfADevice{16 * kMiB, 0.5 * kMiB};
constexpr Allowance kLogOfAVault{32 * kMiB, 2 * kMiB};
constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::int64_t kHourMs = 60 * kMinuteMs;

std::string detail_of(const Sha256Digest& order, std::size_t affected) {
  return "affected=" + std::to_string(affected) + " order=" + to_hex(order);
}

}  // namespace

Core::Core(std::unique_ptr<Store> opened, const Path& data, std::int64_t now)
    : store(std::move(opened)),
      keys(store->keys()),
      log(Log::open(*store, keys.sign)),
      tombstones(Tombstones::open(data, store->tombstone_key().clone())),
      gate(now / 1000),
      vaults(store->load()),
      now(now) {}

CheckedSignature Core::signer(const Request& request) const {
  return gate.check(request.wire, request.signature, request.now / 1000);
}

void Core::require_to(const VerifyKey& to) const {
  if (to != keys.sign.verify_key()) refuse(400, "malformed", "the request is for another custodian");
}

Vault& Core::find_vault(const VaultId& id, const VerifyKey& key, IsTheirs is_theirs) {
  const auto named = vaults_named(vaults, id);
  std::vector<Vault*> found;
  for (auto* vault : named) {
    if (is_theirs(*vault, key)) found.push_back(vault);
  }
  if (found.size() > 1) {  // owners, whom others name too
    std::erase_if(found, [&](const Vault* vault) {
      const auto signers = owners_who_signed(*vault);
      return std::ranges::find(signers, key) == signers.end();
    });
    if (found.size() != 1) refuse(409, "conflict", "more than one vault of this id names this owner");
  }
  if (!found.empty()) return *found.front();
  const auto is_there = [](const Vault* vault) { return vault->state != State::kDestroyed; };
  if (std::ranges::any_of(named, is_there))
    refuse(401, "signature", "the request is signed by nobody of this vault who may ask for this");
  if (!named.empty() || tombstones.is_destroyed(id)) refuse(403, "destroyed", "this vault was destroyed by an order");
  refuse(404, "unknown", "this vault is not known here");
}

Vault& Core::vault(const VaultId& id, const VerifyKey& key, IsTheirs is_theirs) {
  auto& found = find_vault(id, key, is_theirs);
  look_at_lease(found);
  return found;
}

void Core::require_unclaimed(const Vault* vault, const VaultId& id, const std::vector<VerifyKey>& keys) {
  for (const auto* other : vaults_named(vaults, id)) {
    if (other == vault) continue;
    const auto is_claimed = [&](const VerifyKey& key) { return has_device(*other, key) || is_card(*other, key); };
    if (std::ranges::any_of(keys, is_claimed))
      refuse(409, "conflict", "a device or card of this name belongs to another vault of this id");
  }
}

Vault& Core::vault_for_device(const CheckedSignature& signer, const VerifyKey& to, const VaultId& id) {
  require_to(to);
  auto& found = vault(id, signer.key, has_device);
  logged_refusal({.action = "device", .vault = found.name(), .device = signer.key},
                 [&] { require_device(found, signer.key); });
  if (found.logged_by[signer.key.bytes].is_all(kLogOfADevice, now) || found.logged.is_all(kLogOfAVault, now))
    refuse(429, "rate", "this machine, or its vault, has asked for too much in the last hours");
  gate.take_nonce(found.key, signer, now / 1000);
  return found;
}

void Core::look_at_lease(Vault& vault) {
  if (!lapse(vault, now)) return;
  store->put_vault(vault);
  write({.action = "lease", .vault = vault.name(), .outcome = "locked"});
}

// Not each one goes to the disk: a lease is hours long.
void Core::note_life(Vault& vault) {
  vault.seen = now;
  if (is_disk_full || (now >= vault.stored_seen && now - vault.stored_seen < kMinuteMs)) return;
  store->put_seen(vault);
  vault.stored_seen = now;
}

void Core::add_device(Vault& vault, const Device& device) {
  vault.devices[device.id] = device;
  store->put_device(vault.key, device);
}

void Core::finish_order(Vault& vault, Order& order, std::int64_t at) {
  const auto hash = sha256(as_bytes(order.statement));
  const auto effect = carry_out(vault, order, at);
  if (effect.vault_changed) store->put_vault(vault);
  if (effect.erase_all) store->erase_secrets(vault.key);
  for (const auto& id : effect.scopes) store->put_scope(vault.key, id, vault.scopes.at(id));
  if (effect.erase_scope) store->erase_secrets(vault.key, effect.scopes.front());
  if (effect.device) store->put_device(vault.key, vault.devices.at(*effect.device));
  const auto receipt = signed_by(*this, kReceiptDomain,
                                 {{"affected", effect.affected},
                                  {"have", order.signatures.size()},
                                  {"kind", "receipt"},
                                  {"need", signatures_needed(vault.policy, order.terms.type)},
                                  {"order", to_hex(hash)},
                                  {"state", "done"},
                                  {"time", at},
                                  {"type", to_string(order.terms.type)},
                                  {"vault", to_hex(vault.id)}});
  order.receipt = to_json(receipt).dump();
  store->put_order(vault.key, hash, order);
  write({.action = to_string(order.terms.type),
         .vault = vault.name(),
         .id = order.terms.kind ? std::optional(order.terms.id) : std::nullopt,
         .detail = detail_of(hash, effect.affected)});
  news.insert(vault.id);
}

void Core::apply_tombstones(Vault& vault) {
  for (const auto& tombstone : tombstones.all()) {
    if (!tombstone.is_about(vault)) continue;
    const auto hash = sha256(as_bytes(tombstone.statement));
    auto& order = vault.orders[hash];
    if (order.is_done()) continue;
    order.statement = tombstone.statement;
    order.terms = tombstone.terms;
    order.signatures = tombstone.signatures;
    if (tombstone.key) vault.devices.try_emplace(order.terms.id, Device{order.terms.id, *tombstone.key, 0});
    finish_order(vault, order, tombstone.at);
  }
}

void Core::write(const LogEntry& entry) {
  const auto bytes = static_cast<double>(log.append(entry, now));
  if (!entry.vault) return;
  const auto found = vaults.find({entry.vault->id, entry.vault->key});
  if (found == vaults.end()) return;
  found->second.logged.add(kLogOfAVault, bytes, now);
  if (entry.device) found->second.logged_by[entry.device->bytes].add(kLogOfADevice, bytes, now);
}

void Core::log_refusal(LogEntry entry, const Refusal& refusal) {
  auto& refusals = refusals_[entry.vault->key];
  if (refusals.hour != now / kHourMs) refusals = {now / kHourMs, 0};
  if (++refusals.count > kMaxRefusals) return;
  entry.outcome = refusal.word;
  write(entry);
}

bool has_device(const Vault& vault, const VerifyKey& key) { return find_device(vault.devices, key) != nullptr; }

WireAnswer answer_of(const nlohmann::json& body) { return {.body = body.dump(), .clock = std::nullopt}; }

WireAnswer answer_of(const Refusal& refusal) {
  const nlohmann::json body = {{"error", refusal.word}, {"message", refusal.message}};
  // Part of the message may be the request's.
  auto text = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return {.status = refusal.status, .body = std::move(text), .clock = refusal.clock};
}

WireStatement signed_by(const Core& core, std::string_view domain, nlohmann::json statement) {
  statement["nonce"] = to_hex(random_array<16>());
  return sign_statement(domain, statement, core.keys.sign);
}

nlohmann::json to_json(const Order& order) {
  auto signatures = nlohmann::json::array();
  for (const auto& signature : order.signatures) {
    signatures.push_back({{"card", to_hex(signature.card.bytes)}, {"signature", to_base64(signature.signature)}});
  }
  return {{"signatures", std::move(signatures)}, {"statement", order.statement}};
}

}  // namespace casevault::custodian
