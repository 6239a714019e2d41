#include "vault/access/identity.h"

#include <algorithm>
#include <array>
#include <utility>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "vault/text.h"

namespace casevault {
namespace {

template <typename Value, std::size_t N>
using Words = std::array<std::pair<Value, std::string_view>, N>;

constexpr Words<Role, 3> kRoles{{{Role::kOwner, "owner"}, {Role::kMember, "member"}, {Role::kAuditor, "auditor"}}};
constexpr Words<Right, 3> kRights{{{Right::kRead, "read"}, {Right::kAdd, "add"}, {Right::kManage, "manage"}}};

template <typename Value, std::size_t N>
std::string_view word_of(const Words<Value, N>& words, Value value) {
  const auto found = std::ranges::find(words, value, &std::pair<Value, std::string_view>::first);
  require(found != words.end(), "identity: no word for a value");
  return found->second;
}

template <typename Value, std::size_t N>
std::optional<Value> value_of(const Words<Value, N>& words, std::string_view word) {
  const auto found = std::ranges::find(words, word, &std::pair<Value, std::string_view>::second);
  if (found == words.end()) return std::nullopt;
  return found->first;
}

// White space of Unicode that escape_for_display lets pass.
constexpr std::array<std::string_view, 17> kSpaces{" ",      "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002",
                                                   "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008",
                                                   "\u2009", "\u200a", "\u202f", "\u205f", "\u3000"};

}  // namespace

std::string_view to_string(Role role) { return word_of(kRoles, role); }
std::string_view to_string(Right right) { return word_of(kRights, right); }
std::optional<Role> parse_role(std::string_view text) { return value_of(kRoles, text); }
std::optional<Right> parse_right(std::string_view text) { return value_of(kRights, text); }

Identity Identity::random() { return {random_array<16>(), SigningKey::random(), BoxKeyPair::random()}; }

UserKeys public_half(const Identity& identity, std::string name) {
  return {identity.id, std::move(name), identity.signing.verify_key(), identity.box.public_key};
}

// The label and the length of the one part that varies keep any two different inputs apart.
std::string fingerprint(const VaultId& vault, const UserKeys& keys) {
  return to_proquints(blake2b_128({as_bytes("casevault/v1/user-fingerprint"), vault, keys.id,
                                   be32(static_cast<std::uint32_t>(keys.name.size())), as_bytes(keys.name),
                                   keys.sign.bytes, keys.box.bytes}));
}

std::string fingerprint(const VaultId& vault, const VerifyKey& root) {
  return to_proquints(blake2b_128({as_bytes("casevault/v1/vault-fingerprint"), vault, root.bytes}));
}

bool is_valid_user_name(std::string_view name) {
  constexpr std::size_t kMaxSize = 64;  // bytes
  if (name.empty() || name.size() > kMaxSize || name == "." || name == "..") return false;
  if (name.find_first_of("/\\,") != std::string_view::npos || escape_for_display(name) != name) return false;
  return std::ranges::none_of(kSpaces,
                              [&](std::string_view space) { return name.starts_with(space) || name.ends_with(space); });
}

}  // namespace casevault
