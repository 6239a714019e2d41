#pragma once
#include <string>

#include "tests/support/temp_folder.h"
#include "vault/access/cases.h"
#include "vault/vault.h"

namespace casevault::test {

inline constexpr Argon2Cost kCheapCost{1, 8192};

/// A clock that only moves when told to, and the cheapest passphrase cost there is.
inline Environment test_environment() {
  return {[] { return std::int64_t{1'700'000'000'000}; },
          [] { return false; },
          "test-machine",
          kCheapCost,
          kCheapCost,
          {},
          {}};
}

inline SecretBytes passphrase_of(std::string_view user) {
  return SecretBytes::copy_of(as_bytes("passphrase of " + std::string(user)));
}

/// A vault in a temporary folder, with an owner `anna`.
class TestVault {
 public:
  TestVault() { Vault::create(path(), {"Legal Aid", "anna"}, passphrase_of("anna"), test_environment()); }
  Path path() const { return folder_ / "office.vault"; }
  Vault open() const { return Vault::open(path(), test_environment()); }
  Session unlock(const std::string& user) const { return open().unlock(user, passphrase_of(user)); }
  void add_user(const std::string& user, Role role = Role::kMember) const {
    open().request_to_join(user, passphrase_of(user));
    auto anna = unlock("anna");
    approve_user(anna, user, role, [](const JoinRequest&) { return true; });
  }
  const TempFolder& folder() const { return folder_; }

 private:
  TempFolder folder_;
};

/// Flips one bit of a file in place.
inline void flip_byte(const Path& path, std::uint64_t offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  const char changed = static_cast<char>(file.get() ^ 1);
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(changed);
}

}  // namespace casevault::test
