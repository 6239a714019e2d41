#include "vault/custody/custodian_core.h"

#include "crypto/encoding.h"
#include "crypto/random.h"
#include "vault/storage/json.h"

namespace casevault::custodian {
namespace {

constexpr std::size_t kMaxRefusals = 200;  // logged for one vault in one hour
constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::int64_t kHourMs = 60 * kMinuteMs;

std::string detail_of(const Sha256Digest& order, std::size_t affected) {
  return "affected=" + std::to_string(affected) + " order=" + to_hex(order);
}

}  // namespace

Core::Core(const Path& data, std::int64_t now)
    : store(Store::open(data)),
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

Vault& Core::vault(const VaultId& id) {
  const auto found = vaults.find(id);
  if (found == vaults.end()) {
    if (tombstones.is_destroyed(id)) refuse(403, "destroyed", "this vault was destroyed by an order");
    refuse(404, "unknown", "this vault is not known here");
  }
  look_at_lease(found->second);
  return found->second;
}

Vault& Core::vault_for_device(const CheckedSignature& signer, const VerifyKey& to, const VaultId& id) {
  require_to(to);
  auto& found = vault(id);
  logged_refusal({.action = "device", .vault = id, .device = signer.key}, [&] { require_device(found, signer.key); });
  gate.take_nonce(signer, now / 1000);
  return found;
}

void Core::look_at_lease(Vault& vault) {
  if (!lapse(vault, now)) return;
  store->put_vault(vault);
  log.append({.action = "lease", .vault = vault.id, .outcome = "locked"}, now);
}

// Not each one goes to the disk: a lease is hours long.
void Core::note_life(Vault& vault) {
  vault.seen = now;
  if (now >= vault.stored_seen && now - vault.stored_seen < kMinuteMs) return;
  store->put_seen(vault);
  vault.stored_seen = now;
}

void Core::add_device(Vault& vault, const Device& device) {
  vault.devices[device.id] = device;
  store->put_device(vault.id, device);
}

void Core::finish_order(Vault& vault, Order& order, std::int64_t at) {
  const auto hash = sha256(as_bytes(order.statement));
  const auto effect = carry_out(vault, order, at);
  if (effect.vault_changed) store->put_vault(vault);
  if (effect.erase_all) store->erase_secrets(vault.id);
  for (const auto& id : effect.scopes) store->put_scope(vault.id, id, vault.scopes.at(id));
  if (effect.erase_scope) store->erase_secrets(vault.id, effect.scopes.front());
  if (effect.device) store->put_device(vault.id, vault.devices.at(*effect.device));
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
  store->put_order(vault.id, hash, order);
  log.append({.action = to_string(order.terms.type),
              .vault = vault.id,
              .id = order.terms.kind ? std::optional(order.terms.id) : std::nullopt,
              .detail = detail_of(hash, effect.affected)},
             now);
  news.insert(vault.id);
}

void Core::apply_tombstones(Vault& vault) {
  for (const auto& tombstone : tombstones.all()) {
    if (tombstone.terms.vault != vault.id) continue;
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

void Core::log_refusal(LogEntry entry, const Refusal& refusal) {
  auto& refusals = refusals_[*entry.vault];
  if (refusals.hour != now / kHourMs) refusals = {now / kHourMs, 0};
  if (++refusals.count > kMaxRefusals) return;
  entry.outcome = refusal.word;
  log.append(entry, now);
}

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
