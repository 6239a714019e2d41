#include <algorithm>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/secret_layout.h"
#include "vault/custody/custodian_core.h"
#include "vault/storage/json.h"

namespace casevault::custodian {
namespace {

constexpr std::string_view kMagic = "CVD1";

const Secret* find_secret(const Vault& vault, const CustodyId& id, const SecretName& name) {
  const auto scope = vault.scopes.find(id);
  if (scope == vault.scopes.end()) return nullptr;
  const auto secret = scope->second.secrets.find(name);
  return secret == scope->second.secrets.end() ? nullptr : &secret->second;
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
  for (const auto& put : ask.puts) {
    const auto* secret = find_secret(vault, put.id, put.name);
    if (put.kind != ScopeKind::kCase || (secret != nullptr && secret->by != ask.by.by))
      refuse(401, "signature", "users deposit for cases, and replace what they deposited themselves");
  }
}

void require_duress_change(const Vault& vault, const DuressChange& change) {
  const auto* secret = find_secret(vault, change.id, {SecretType::kOprf, change.version});
  if (secret == nullptr) refuse(404, "unknown", "this user is not known here");
  if (secret->user == change.duress) refuse(409, "conflict", "the duress key is the user key");
}

// State, kind and time of one id. False when this very statement was taken already.
bool require_scope(const Core& core, const Vault& vault, const CustodyId& id, const DepositRequest& ask) {
  const auto found = vault.scopes.find(id);
  if (found == vault.scopes.end()) return require_newer({}, ask.by.stamp, core.now);
  require_open(found->second);
  return require_newer(found->second.stamp, ask.by.stamp, core.now);
}

void require_kind(const Vault& vault, const Put& put) {
  const auto found = vault.scopes.find(put.id);
  if (found != vault.scopes.end() && found->second.kind != put.kind)
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

void require_room(const Vault& vault, const DepositRequest& ask) {
  if (count_secrets(vault) + ask.puts.size() > kMaxSecrets || vault.scopes.size() + ask.puts.size() > kMaxScopes)
    refuse(409, "conflict", "this vault has too many secrets here");
}

// All that can be refused. False when the statement was taken already.
bool require_deposit(const Core& core, const Vault& vault, const DepositRequest& ask) {
  if (!is_owner(vault, ask.by.by)) require_users_right(vault, ask);
  bool is_news = true;
  for (const auto& put : ask.puts) {
    require_kind(vault, put);
    is_news = require_scope(core, vault, put.id, ask) && is_news;
  }
  for (const auto& [id, name] : ask.deletes) is_news = require_scope(core, vault, id, ask) && is_news;
  for (const auto& change : ask.duress) {
    require_duress_change(vault, change);
    is_news = require_scope(core, vault, change.id, ask) && is_news;
  }
  if (is_news) require_room(vault, ask);
  return is_news;
}

void put(Core& core, Vault& vault, const Put& put, const Signed& by, const Scalar& scalar) {
  auto& scope = vault.scopes[put.id];
  scope.kind = put.kind;
  scope.stamp = by.stamp;
  const Secret secret{by.by, put.user, put.duress};
  scope.secrets[put.name] = secret;
  core.store->put_secret(vault.id, put.id, put.name, secret, scalar);
}

void erase(Core& core, Vault& vault, const CustodyId& id, const SecretName& name, const Signed& by) {
  const auto found = vault.scopes.find(id);
  if (found == vault.scopes.end()) return;
  found->second.stamp = by.stamp;
  if (found->second.secrets.erase(name) != 0) core.store->erase_secret(vault.id, id, name);
}

void set_duress(Core& core, Vault& vault, const DuressChange& change, const Signed& by) {
  auto& scope = vault.scopes.at(change.id);
  const SecretName name{SecretType::kOprf, change.version};
  scope.stamp = by.stamp;
  scope.secrets.at(name).duress = change.duress;
  core.store->put_duress(vault.id, change.id, name, change.duress);
}

void store_scopes(Core& core, const Vault& vault, const DepositRequest& ask) {
  std::set<CustodyId> touched;
  for (const auto& item : ask.puts) touched.insert(item.id);
  for (const auto& [id, name] : ask.deletes) touched.insert(id);
  for (const auto& change : ask.duress) touched.insert(change.id);
  for (const auto& id : touched) {
    const auto found = vault.scopes.find(id);
    if (found != vault.scopes.end()) core.store->put_scope(vault.id, id, found->second);
  }
}

}  // namespace

WireAnswer deposit(Core& core, const Request& request) {
  const auto signer = core.signer(request);
  const auto ask = parsed([&] { return parse_deposit(request.wire.body); });
  auto& vault = core.vault_for_device(signer, ask.to, ask.vault);
  require_open(vault, std::nullopt);
  const auto answer = answer_of({{"time", core.now}, {"vault", to_hex(vault.id)}});
  if (!require_deposit(core, vault, ask)) return answer;
  std::vector<Scalar> scalars;
  for (const auto& item : ask.puts) scalars.push_back(require_scalar(core, vault, item));

  for (std::size_t i = 0; i < ask.puts.size(); ++i) put(core, vault, ask.puts[i], ask.by, scalars[i]);
  for (const auto& [id, name] : ask.deletes) erase(core, vault, id, name, ask.by);
  for (const auto& change : ask.duress) set_duress(core, vault, change, ask.by);
  store_scopes(core, vault, ask);
  core.log.append({.action = "deposit",
                   .vault = vault.id,
                   .device = signer.key,
                   .detail = "deleted=" + std::to_string(ask.deletes.size()) +
                             " put=" + std::to_string(ask.puts.size()) + " statement=" + to_hex(ask.by.stamp.hash)},
                  core.now);
  return answer;
}

}  // namespace casevault::custodian
