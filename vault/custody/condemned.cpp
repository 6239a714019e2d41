#include "vault/custody/condemned.h"

namespace casevault {
namespace {

Path note_beside(const Path& device) { return device.parent_path() / "condemned"; }

bool is_file(const Path& path) { return std::filesystem::is_regular_file(std::filesystem::symlink_status(path)); }

}  // namespace

void condemn_device(const Environment& environment, const VaultId& vault) {
  const auto device = device_file(environment, vault);
  if (is_file(device)) replace_file(note_beside(device), {});
}

bool is_device_condemned(const Environment& environment, const VaultId& vault) {
  return !environment.state_folder.empty() && is_file(note_beside(device_file(environment, vault)));
}

bool remove_condemned_device(const Environment& environment, const VaultId& vault) {
  if (environment.state_folder.empty()) return false;
  const bool was_there = remove_device(environment, vault);
  remove_file(note_beside(device_file(environment, vault)));
  return was_there;
}

}  // namespace casevault
