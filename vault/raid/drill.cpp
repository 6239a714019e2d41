#include "vault/raid/drill.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "crypto/random.h"
#include "vault/raid/message.h"
#include "vault/raid/processes.h"
#include "vault/storage/folder.h"
#include "vault/storage/layout.h"
#include "vault/vault.h"

namespace casevault {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kMaxFilled = 1u << 20;  // bytes

/// Holds a key and waits to be ended.
[[noreturn]] void hold_key(int ready) {
  SlotAccess access{"", SlotKey::random(), 0, std::nullopt};
  send_message(ready, {"ready"});
  while (true) pause();
}

std::chrono::microseconds time_to_end_holder() {
  auto [here, there] = make_socket_pair();
  const pid_t parent = getpid();
  const pid_t holder = fork();
  require(holder >= 0, "cannot start a process");
  if (holder == 0) {
    end_with_parent(parent, SIGKILL);
    reset_signals();
    hold_key(there.get());
  }
  there.close();
  await_message(here.get(), -1);
  const auto began = Clock::now();
  kill(holder, SIGKILL);
  waitpid(holder, nullptr, 0);
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began);
}

/// A folder beside the vault, removed whatever happens.
class StandIn {
 public:
  explicit StandIn(const Path& vault)
      : vault_(vault), folder_(vault.parent_path() / ("." + to_hex(random_array<8>()) + ".drill")) {
    make_directory(folder_);
  }
  ~StandIn() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  StandIn(const StandIn&) = delete;
  StandIn& operator=(const StandIn&) = delete;

  const Path& folder() const { return folder_; }
  std::size_t files() const { return files_; }

  /// Of what the vault has; links are left out, and nothing behind them is looked at.
  void fill(const Folder& vault) {
    for (const auto name : kVaultFiles) copy_outline(vault, std::string(name), name == "slots" || name == "vault.json");
    for (const auto name : kVaultFolders) copy_outline(vault, std::string(name), name == "handover");
    sync_file_system(folder_);
  }

 private:
  void copy_outline(const Folder& in, const std::string& name, bool with_content) {
    const auto entry = in.look_at(name);
    if (!entry) return;
    const auto path = folder_ / (in.path() / name).lexically_relative(vault_);
    if (entry->kind == FolderEntry::Kind::kFolder) {
      const auto below = in.open_folder(name);
      make_directory(path);
      for (const auto& inside : below->names()) copy_outline(*below, inside, with_content);
    } else if (entry->kind == FolderEntry::Kind::kFile) {
      make_file(path, entry->size, with_content);
    }
  }

  void make_file(const Path& path, std::uint64_t size, bool with_content) {
    auto file = File::create_new(path);
    ++files_;
    if (!with_content) return file.truncate(size);
    Bytes noise(static_cast<std::size_t>(std::min(size, kMaxFilled)));
    fill_random(noise);
    file.write_at(0, noise);
  }

  Path vault_;
  Path folder_;
  std::size_t files_ = 0;
};

}  // namespace

DrillResult rehearse_destroying(const Path& folder, const Environment& environment) {
  Vault::open(folder, environment);
  const auto vault = Folder::open(std::filesystem::canonical(folder));
  StandIn stand_in(vault->path());
  stand_in.fill(*vault);
  DrillResult result;
  result.files = stand_in.files();
  result.keys_out_of_memory = time_to_end_holder();
  destroy_vault(
      stand_in.folder(), environment, "drill", [&](const DestroyReceipt& receipt) { result.stages.push_back(receipt); },
      AfterDestroying::kNothing);
  result.left_nothing = list_directory(stand_in.folder()) == std::vector<std::string>{"vault.json"};
  return result;
}

}  // namespace casevault
