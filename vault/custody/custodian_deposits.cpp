#include <algorithm>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/secret_layout.h"
#include "vault/custody/custodian_core.h"
#include "vault/storage/json.h"

namespace casevault::custodian {
namespace {

constexpr std::string_view kMagic = "CVD1";
constexpr Allowance kPutsOfAUser{200, 200};
constexpr std::uint32_t kMaxVersionsAhead = 16;  // of the newest one here: this custodian may have missed some
constexpr std::int64_t kForgetAfterMs = 2 * kMaxWireClockSkew * 1000;

const Secret* find_secret(const Vault& vault, const CustodyId& id, const SecretName& name) {
  const auto scope = vault.scopes.find(id);
  if (scope == vault.scopes.end()) return nullptr;
  const auto secret = scope->second.secrets.find(name);
  return secret == scope->second.secrets.end() ? nullptr : &secret->second;
}

std::uint32_t newest_version(const Vault& vault, const CustodyId& id) {
  const auto scope = vault.scopes.find(id);
  return scope == vault.scopes.end() || scope->second.secrets.empty() ? 0
                                                                      : scope->second.secrets.rbegin()->first.version;
}

void require_users_put(const Vault& vault, const Put& put, const VerifyKey& by) {
  const auto* secret = find_secret(vault, put.id, put.name);
  if (put.kind != ScopeKind::kCase || (secret != nullptr && secret->by != by))
    refuse(401, "signature", "users deposit for cases, and replace what they deposited themselves");
  const auto newest = newest_version(vault, put.id);
  if (newest != 0 && put.name.version > newest + kMaxVersionsAhead)
    refuse(409, "conflict", "this version is too far ahead of the newest one");
}

// Users set a duress key of their own, and deal keys of cases: new ones, or again what they dealt themselves.
void require_users_right(const Vault& vault, const DepositRequest& ask) {
  const auto* user = find_user(vault, ask.by.by);
  if (user == nullptr) refuse(401, "signature", "the deposit is signed by neither an owner nor a user of this vault");
  require_open(*user);
  if (!ask.deletes.empty()) refuse(401, "signature", "only owners delete");
  if (ask.duress.size() + (ask.puts.empty() ? 0 : 1) > 1) refuse(401, "signature", "users change one duress key alone");
  for (const auto& change : ask.duress) {
    const auto* secret = find_secret(vault, change.id, {SecretType::kOprf, change.version});
    if (secret == nullptr || secret->user != ask.by.by)
      refuse(401, "signature", "users change no duress key but their own");
  }
  if (ask.puts.size() > 1) refuse(401, "signature", "users deposit one secret at a time");
  for (const auto& put : ask.puts) require_users_put(vault, put, ask.by.by);
}

void require_duress_change(const Vault& vault, const DuressChange& change) {
  const auto* secret = find_secret(vault, change.id, {SecretType::kOprf, change.version});
  if (secret == nullptr) refuse(404, "unknown", "this user is not known here");
  if (secret->user == change.duress) refuse(409, "conflict", "the duress key is the user key");
}

// State, kind and time of one id. False when this very statement was taken already. Of an id that is not known here
// nobody knows what was said before: it may be one that was forgotten.
bool require_scope(const Core& core, const Vault& vault, const CustodyId& id, const DepositRequest& ask) {
  const auto found = vault.scopes.find(id);
  if (found == vault.scopes.end()) {
    require_fresh(ask.by.stamp, core.now);
    return require_newer({}, ask.by.stamp, core.now);
  }
  require_open(found->second);
  return require_newer(found->second.stamp, ask.by.stamp, core.now);
}

// An owner takes over an id that somebody else uses for another kind.
void require_kind(const Vault& vault, const Put& put, const VerifyKey& by) {
  const auto found = vault.scopes.find(put.id);
  if (found == vault.scopes.end() || found->second.kind == put.kind) return;
  const auto is_owners = [&](const auto& secret) { return is_owner(vault, secret.second.by); };
  if (!is_owner(vault, by) || std::ranges::any_of(found->second.secrets, is_owners))
    refuse(409, "conflict", "this id is of another kind");
}

// "CVD1" ‖ vault ‖ id ‖ be32(version) ‖ scalar, sealed to the custodian.
Scalar require_scalar(const Core& core, const Vault& vault, const Put& put) {
  return parsed([&] {
    const auto plain = open_sealed(core.keys.box, put.sealed);
    if (!plain) throw Error(Errc::kDamaged, "a secret is not sealed to this custodian");
    SecretReader reader(*plain);
    const bool is_it = as_text(reader.take<4>()) == kMagic && reader.take<16>() == vault.id &&
                       reader.take<16>() == put.id && reader.take<4>() == be32(put.name.version);
    const auto bytes = reader.take_key<Key<struct SealedScalarPurpose>>();
    auto scalar = parse_scalar(bytes);
    if (!is_it || reader.left() != 0 || !scalar)
      throw Error(Errc::kDamaged, "a sealed secret is not the one that is named");
    return *std::move(scalar);
  });
}

void require_room(const Core& core, const Vault& vault, const DepositRequest& ask) {
  const bool by_owner = is_owner(vault, ask.by.by);
  const auto secrets = count_secrets(vault) + ask.puts.size();
  const auto scopes = vault.scopes.size() + ask.puts.size();
  if (secrets > (by_owner ? kMaxSecrets : kForUsers) || scopes > (by_owner ? kMaxScopes : kForUsers))
    refuse(409, "conflict", "this vault has too many secrets here");
  const auto spent = vault.puts.find(ask.by.by.bytes);
  if (!by_owner && spent != vault.puts.end() && spent->second.is_all(kPutsOfAUser, core.now))
    refuse(429, "rate", "this user has deposited too much in the last hour");
}

// All that can be refused. False when the statement was taken already.
bool require_deposit(const Core& core, const Vault& vault, const DepositRequest& ask) {
  if (!is_owner(vault, ask.by.by)) require_users_right(vault, ask);
  bool is_news = true;
  for (const auto& put : ask.puts) {
    require_kind(vault, put, ask.by.by);
    is_news = require_scope(core, vault, put.id, ask) && is_news;
  }
  for (const auto& [id, name] : ask.deletes) is_news = require_scope(core, vault, id, ask) && is_news;
  for (const auto& change : ask.duress) {
    require_duress_change(vault, change);
    is_news = require_scope(core, vault, change.id, ask) && is_news;
  }
  if (is_news && !ask.puts.empty()) require_room(core, vault, ask);
  return is_news;
}

// What is empty and active says nothing, once every statement about it from before is too old to be taken.
void forget_empty_scopes(Core& core, Vault& vault) {
  std::erase_if(vault.scopes, [&](const auto& entry) {
    const auto& scope = entry.second;
    const bool is_forgotten = scope.secrets.empty() && scope.state == State::kActive && scope.tries == 0 &&
                              scope.stamp.time < core.now - kForgetAfterMs;
    if (is_forgotten) core.store->erase_scope(vault.key, entry.first);
    return is_forgotten;
  });
}

void put(Core& core, Vault& vault, const Put& put, const Signed& by, const Scalar& scalar) {
  auto& scope = vault.scopes[put.id];
  if (scope.kind != put.kind) {
    scope = {};
    core.store->erase_secrets(vault.key, put.id);
  }
  scope.kind = put.kind;
  scope.stamp = by.stamp;
  const Secret secret{by.by, put.user, put.duress};
  scope.secrets[put.name] = secret;
  core.store->put_secret(vault.key, put.id, put.name, secret, scalar);
}

void erase(Core& core, Vault& vault, const CustodyId& id, const SecretName& name, const Signed& by) {
  const auto found = vault.scopes.find(id);
  if (found == vault.scopes.end()) return;
  found->second.stamp = by.stamp;
  if (found->second.secrets.erase(name) != 0) core.store->erase_secret(vault.key, id, name);
}

void set_duress(Core& core, Vault& vault, const DuressChange& change, const Signed& by) {
  auto& scope = vault.scopes.at(change.id);
  const SecretName name{SecretType::kOprf, change.version};
  scope.stamp = by.stamp;
  scope.secrets.at(name).duress = change.duress;
  core.store->put_duress(vault.key, change.id, name, change.duress);
}

std::set<CustodyId> touched_by(const DepositRequest& ask) {
  std::set<CustodyId> touched;
  for (const auto& item : ask.puts) touched.insert(item.id);
  for (const auto& [id, name] : ask.deletes) touched.insert(id);
  for (const auto& change : ask.duress) touched.insert(change.id);
  return touched;
}

void store_scopes(Core& core, const Vault& vault, const std::set<CustodyId>& touched) {
  for (const auto& id : touched) {
    const auto found = vault.scopes.find(id);
    if (found != vault.scopes.end()) core.store->put_scope(vault.key, id, found->second);
  }
}

}  // namespace

WireAnswer deposit(Core& core, const Request& request) {
  const auto signer = core.signer(request);
  const auto ask = parsed([&] { return parse_deposit(request.wire.body); });
  auto& vault = core.vault_for_device(signer, ask.to, ask.vault);
  require_open(vault, std::nullopt);
  const auto answer = answer_of({{"time", core.now}, {"vault", to_hex(vault.id)}});
  if (vault.scopes.size() + ask.puts.size() > kForUsers) forget_empty_scopes(core, vault);
  if (!require_deposit(core, vault, ask)) return answer;
  std::vector<Scalar> scalars;
  for (const auto& item : ask.puts) scalars.push_back(require_scalar(core, vault, item));

  for (std::size_t i = 0; i < ask.puts.size(); ++i) put(core, vault, ask.puts[i], ask.by, scalars[i]);
  for (const auto& [id, name] : ask.deletes) erase(core, vault, id, name, ask.by);
  for (const auto& change : ask.duress) set_duress(core, vault, change, ask.by);
  if (!is_owner(vault, ask.by.by))
    vault.puts[ask.by.by.bytes].add(kPutsOfAUser, static_cast<double>(ask.puts.size()), core.now);
  const auto touched = touched_by(ask);
  store_scopes(core, vault, touched);
  core.write({.action = "deposit",
              .vault = vault.name(),
              .device = signer.key,
              .id = touched.size() == 1 ? std::optional(*touched.begin()) : std::nullopt,
              .detail = "deleted=" + std::to_string(ask.deletes.size()) + " put=" + std::to_string(ask.puts.size()) +
                        " statement=" + to_hex(ask.by.stamp.hash)});
  return answer;
}

}  // namespace casevault::custodian
