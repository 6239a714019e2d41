#pragma once
#include <optional>
#include <string>

#include "crypto/box.h"
#include "crypto/sign.h"

namespace casevault {

using VaultId = ByteArray<16>;
using UserId = ByteArray<16>;
using CaseId = ByteArray<16>;

enum class Role { kOwner, kMember, kAuditor };
enum class Right { kRead = 1, kAdd = 2, kManage = 3 };
std::string_view to_string(Role role);
std::string_view to_string(Right right);
std::optional<Role> parse_role(std::string_view text);
std::optional<Right> parse_right(std::string_view text);

/// A user's private half, in memory only while the vault is unlocked; never seen by anybody else.
struct Identity {
  UserId id{};
  SigningKey signing;
  BoxKeyPair box;
  static Identity random();
};

/// A user's public half: what a certificate vouches for.
struct UserKeys {
  UserId id{};
  std::string name;
  VerifyKey sign;
  BoxPublicKey box;
  bool operator==(const UserKeys&) const = default;
};
UserKeys public_half(const Identity& identity, std::string name);

/// BLAKE2b-128 of everything in `keys`, as eight pronounceable words: for comparing aloud before approving.
std::string fingerprint(const VaultId& vault, const UserKeys& keys);
/// The same for the vault itself: its id and root key.
std::string fingerprint(const VaultId& vault, const VerifyKey& root);

/// 1 to 64 bytes of UTF-8, no control, bidirectional or path characters, no comma (audit
/// entries list names with commas), no space at either end.
bool is_valid_user_name(std::string_view name);

}  // namespace casevault
