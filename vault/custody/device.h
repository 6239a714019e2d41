#pragma once
#include <optional>
#include <string>
#include "vault/access/identity.h"
#include "vault/environment.h"
namespace casevault {
struct DeviceKey {
  std::string name;
  SigningKey key;
};
std::optional<DeviceKey> load_device(const Environment&, const VaultId&);
DeviceKey ensure_device(const Environment&, const VaultId&, const std::string& name);
DeviceKey ensure_device(const Environment&, const VaultId&);
}  // namespace casevault
