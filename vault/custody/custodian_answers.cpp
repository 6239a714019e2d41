#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/oprf.h"
#include "crypto/random.h"
#include "crypto/secret_layout.h"
#include "vault/custody/custodian_core.h"
#include "vault/storage/json.h"

namespace casevault::custodian {
namespace {

constexpr std::string_view kMagic = "CVL1";

// The scope, when it has this secret and may answer for it.
Scope& require_secret(Vault& vault, const CustodyId& id, const SecretName& name) {
  require_open(vault, id);
  const auto found = vault.scopes.find(id);
  if (found == vault.scopes.end()) refuse(404, "unknown", "this user or case is not known here");
  require_open(found->second);
  if (!found->second.secrets.contains(name)) refuse(404, "unknown", "this version is not known here");
  return found->second;
}

Scalar scalar_of(Core& core, const Vault& vault, const CustodyId& id, const SecretName& name) {
  auto scalar = core.store->scalar(vault.key, id, name);
  if (!scalar) throw Error(Errc::kDamaged, "store.db: a secret is missing");
  return *std::move(scalar);
}

std::string release_one(Core& core, Vault& vault, const BoxPublicKey& box, const CustodyId& id, std::uint32_t version) {
  const SecretName name{SecretType::kShare, version};
  require_secret(vault, id, name);
  const auto payload = SecretWriter(kMagic.size() + 16 + 16 + 4 + 4 + Scalar::kSize)
                           .put(as_bytes(kMagic))
                           .put(vault.id)
                           .put(id)
                           .put(be32(version))
                           .put(be32(vault.policy.index))
                           .put(scalar_of(core, vault, id, name))
                           .finish();
  return to_base64(parsed([&] { return seal_to(box, payload); }));  // a box key may be none
}

nlohmann::json released(Core& core, Vault& vault, const CheckedSignature& signer, const ReleaseRequest& ask,
                        const std::pair<CustodyId, std::uint32_t>& secret) {
  nlohmann::json item = {{"id", to_hex(secret.first)}, {"version", secret.second}};
  LogEntry entry{.action = "release",
                 .vault = vault.name(),
                 .device = signer.key,
                 .id = secret.first,
                 .detail = "version=" + std::to_string(secret.second)};
  try {
    item["sealed"] = release_one(core, vault, ask.box, secret.first, secret.second);
    core.write(entry);
  } catch (const Refusal& refusal) {
    if (refusal.status == 400) throw;
    item["error"] = refusal.word;
    core.log_refusal(entry, refusal);
  }
  return item;
}

std::uint32_t evaluate_one(Core& core, Vault& vault, const EvaluateRequest& ask) {
  auto& scope = require_secret(vault, ask.id, {SecretType::kOprf, ask.version});
  count_try(scope, core.now);
  core.store->put_scope(vault.key, ask.id, scope);
  return scope.tries;
}

WireAnswer answer_to(Core& core, const Vault& vault, const Confirmation& confirmation) {
  const auto witnessed = core.store->witnessed(vault);
  return answer_of({{"checkpoint", witnessed ? witnessed->note : ""},
                    {"since", confirmation.since},
                    {"time", confirmation.answered},
                    {"unconfirmed", confirmation.unconfirmed}});
}

// After every confirmation comes an entry that devices are not shown: whoever holds one can see neither from the number
// of entries nor from their hashes (hence random bytes) which of the two it is.
void log_calm_or_duress(Core& core, const Vault& vault, const VerifyKey& device, const CustodyId& user, bool duress) {
  core.write({.action = duress ? "duress" : "calm",
              .vault = vault.name(),
              .device = device,
              .id = user,
              .detail = to_hex(random_array<16>())});
}

}  // namespace

WireAnswer evaluate(Core& core, const Request& request) {
  const auto signer = core.signer(request);
  const auto ask = parsed([&] { return parse_evaluate(request.wire.body); });
  auto& vault = core.vault_for_device(signer, ask.to, ask.vault);
  LogEntry entry{.action = "evaluate",
                 .vault = vault.name(),
                 .device = signer.key,
                 .id = ask.id,
                 .detail = "version=" + std::to_string(ask.version)};
  const auto tries = core.logged_refusal(entry, [&] { return evaluate_one(core, vault, ask); });
  const auto element = oprf_evaluate(scalar_of(core, vault, ask.id, {SecretType::kOprf, ask.version}), ask.element);
  entry.detail = "tries=" + std::to_string(tries) + " " + entry.detail;
  core.write(entry);
  return answer_of({{"element", to_hex(element.bytes)}, {"index", vault.policy.index}, {"tries", tries}});
}

WireAnswer release(Core& core, const Request& request) {
  const auto signer = core.signer(request);
  const auto ask = parsed([&] { return parse_release(request.wire.body); });
  auto& vault = core.vault_for_device(signer, ask.to, ask.vault);
  core.logged_refusal({.action = "release", .vault = vault.name(), .device = signer.key},
                      [&] { require_open(vault, vault.duress_user); });
  auto list = nlohmann::json::array();
  for (const auto& secret : ask.secrets) list.push_back(released(core, vault, signer, ask, secret));
  return answer_of({{"index", vault.policy.index}, {"released", std::move(list)}});
}

WireAnswer confirm(Core& core, const Request& request) {
  const auto signer = core.signer(request);
  const auto ask = parsed([&] { return parse_confirm(request.wire.body); });
  auto& vault = core.vault_for_device(signer, ask.to, ask.vault);
  require_open(vault, ask.id);
  const auto found = vault.scopes.find(ask.id);
  if (found == vault.scopes.end()) refuse(404, "unknown", "this user is not known here");
  auto& scope = found->second;
  require_open(scope);
  const auto by = require_confirmer(scope, ask.by.by);
  require_fresh(ask.by.stamp, core.now);
  if (!require_newer(scope.confirmed.stamp, ask.by.stamp, core.now)) return answer_to(core, vault, scope.confirmed);

  take_confirmation(scope, ask.by.stamp, core.now);
  core.store->put_scope(vault.key, ask.id, scope);
  core.write({.action = "confirm",
              .vault = vault.name(),
              .device = signer.key,
              .id = ask.id,
              .detail = "unconfirmed=" + std::to_string(scope.confirmed.unconfirmed)});
  if (by == Confirmed::kByDuress) lock_for_duress(vault, ask.id);
  log_calm_or_duress(core, vault, signer.key, ask.id, by == Confirmed::kByDuress);
  core.store->put_vault(vault);
  return answer_to(core, vault, scope.confirmed);
}

}  // namespace casevault::custodian
