#pragma once
#include <optional>
#include <string>

#include "crypto/sign.h"
#include "vault/access/identity.h"
#include "vault/environment.h"
#include "vault/storage/file.h"

namespace casevault {

/// What this machine is to the custodians of one vault: its key was made here and leaves it never. It lies in
/// `casevault/<vault id>/device` of this user's state folder, outside the vault: who has only a copy of the vault, or
/// carries it to another machine, is asked to enrol.
struct DeviceKey {
  std::string name;  // for people; what its id is made of (docs/custody-protocol.md section 1)
  SigningKey key;
};

/// Where the key of this machine for a vault lies. @throws Error{kUsage} when this user has no state folder.
Path device_file(const Environment& environment, const VaultId& vault);

/// nullopt when this machine has none for the vault. @throws Error{kDamaged}
std::optional<DeviceKey> load_device(const Environment& environment, const VaultId& vault);

/// Makes one. It is on the disk when this returns.
/// @throws Error{kUsage} for a name that is_valid_user_name refuses, or when there is one already.
DeviceKey create_device(const Environment& environment, const VaultId& vault, std::string name);
/// The one there is, else a new one of that name.
DeviceKey ensure_device(const Environment& environment, const VaultId& vault, const std::string& name);
/// The same, named as the machine is.
DeviceKey ensure_device(const Environment& environment, const VaultId& vault);

/// Overwrites the key in place, then removes the file. What the disk keeps of it elsewhere is out of reach: a key that
/// was on a seized machine has to be burned. False when there was none.
bool remove_device(const Environment& environment, const VaultId& vault);

}  // namespace casevault
