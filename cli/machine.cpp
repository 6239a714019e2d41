#include "cli/machine.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace casevault {
namespace {

std::string first_line_of(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// Compressed memory, or a device-mapper target of dm-crypt.
bool is_safe_swap(const std::string& device) {
  std::error_code error;
  const std::string name = std::filesystem::canonical(device, error).filename().string();
  if (name.starts_with("zram")) return true;
  return first_line_of("/sys/class/block/" + name + "/dm/uuid").starts_with("CRYPT-");
}

/// Files and devices of /proc/swaps (proc(5)).
std::vector<std::string> swap_devices() {
  std::ifstream table("/proc/swaps");
  std::string line;
  std::getline(table, line);  // the heading
  std::vector<std::string> devices;
  while (std::getline(table, line)) {
    std::istringstream words(line);
    std::string device;
    if (words >> device) devices.push_back(device);
  }
  return devices;
}

bool keeps_old_copies(const std::string& folder) {
  struct statfs status = {};
  return statfs(folder.c_str(), &status) == 0 && status.f_type == BTRFS_SUPER_MAGIC;
}

}  // namespace

std::vector<std::string> machine_warnings(const std::string& folder) {
  std::vector<std::string> warnings;
  for (const std::string& device : swap_devices()) {
    if (is_safe_swap(device)) continue;
    warnings.push_back("this machine swaps to " + device +
                       ", and it does not seem to be encrypted: what was in memory may be found on the disk");
  }
  if (keeps_old_copies(folder)) {
    warnings.push_back(
        "this file system (btrfs) keeps old copies of what was overwritten, also in snapshots: what is withdrawn may "
        "stay on the disk");
  }
  return warnings;
}

}  // namespace casevault
