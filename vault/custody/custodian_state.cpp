#include "vault/custody/custodian_state.h"

#include <algorithm>
#include <array>

namespace casevault::custodian {
namespace {

bool has(const std::vector<VerifyKey>& keys, const VerifyKey& key) {
  return std::ranges::find(keys, key) != keys.end();
}

}  // namespace

std::vector<Vault*> vaults_named(Vaults& vaults, const VaultId& id) {
  std::vector<Vault*> named;
  for (auto at = vaults.lower_bound({id, VaultKey{}}); at != vaults.end() && at->first.first == id; ++at)
    named.push_back(&at->second);
  return named;
}

std::string_view to_string(State state) {
  static constexpr std::array<std::string_view, 3> kStates = {"active", "locked", "destroyed"};
  return kStates.at(static_cast<std::size_t>(state));
}

std::string_view to_string(OrderType type) {
  static constexpr std::array<std::string_view, 4> kTypes = {"lock", "unlock", "destroy", "burn"};
  return kTypes.at(static_cast<std::size_t>(type));
}

std::string_view to_string(SecretType type) { return type == SecretType::kOprf ? "oprf" : "share"; }

std::optional<SecretType> parse_secret_type(std::string_view text) {
  if (text == "oprf") return SecretType::kOprf;
  return text == "share" ? std::optional(SecretType::kShare) : std::nullopt;
}

const Device* find_device(const Devices& devices, const VerifyKey& key) {
  const auto found = std::ranges::find_if(devices, [&](const auto& entry) { return entry.second.key == key; });
  return found == devices.end() ? nullptr : &found->second;
}

bool is_owner(const Vault& vault, const VerifyKey& key) { return has(vault.policy.owners, key); }
bool is_card(const Vault& vault, const VerifyKey& key) { return has(vault.policy.cards, key); }

std::vector<VerifyKey> owners_who_signed(const Vault& vault) {
  std::vector<VerifyKey> signers{vault.policy_text.by};
  for (const auto& [id, scope] : vault.scopes) {
    for (const auto& [name, secret] : scope.secrets) {
      if (is_owner(vault, secret.by) && !has(signers, secret.by)) signers.push_back(secret.by);
    }
  }
  return signers;
}

const Scope* find_user(const Vault& vault, const VerifyKey& key) {
  for (const auto& [id, scope] : vault.scopes) {
    const auto is_of = [&](const auto& entry) {
      return entry.first.type == SecretType::kOprf && entry.second.user == key;
    };
    if (scope.kind == ScopeKind::kUser && std::ranges::any_of(scope.secrets, is_of)) return &scope;
  }
  return nullptr;
}

std::size_t count_secrets(const Vault& vault) {
  std::size_t count = 0;
  for (const auto& [id, scope] : vault.scopes) count += scope.secrets.size();
  return count;
}

std::size_t count_scopes(const Vault& vault, ScopeKind kind) {
  const bool all = vault.state == State::kDestroyed;
  return static_cast<std::size_t>(std::ranges::count_if(vault.scopes, [&](const auto& entry) {
    const auto& scope = entry.second;
    return scope.kind == kind && (all || scope.state == State::kDestroyed || !scope.secrets.empty());
  }));
}

}  // namespace casevault::custodian
