#include "vault/raid/wipe.h"

#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <optional>

#include "crypto/random.h"
#include "vault/raid/processes.h"
#include "vault/storage/layout.h"
#include "vault/storage/slots.h"
#include "vault/text.h"

namespace casevault {
namespace {

constexpr std::uint64_t kMaxHeaderSize = 64u << 10;  // bytes
constexpr std::size_t kSlotsSize = kSlotCount * kSlotSize;
constexpr std::uint64_t kMaxOverwritten = 1u << 20;  // bytes of one file; what is small and seals keys is smaller
constexpr int kFolderDepth = 2;  // spare/bodies/<2 hex>
constexpr std::uint64_t kPlaceMask = (std::uint64_t{1} << 52) - 1;  // numbers in our JSON are exact up to 2^53

std::uint64_t inode_of(const Path& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0 ? status.st_ino & kPlaceMask : 0;
}

bool is_there(const Path& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0;
}

/// Random bytes over a file, in place, synced, and read back past the cache where the system lets one.
void overwrite(File& file, std::uint64_t size) {
  Bytes noise(kSlotsSize);
  Bytes seen(kSlotsSize);
  for (std::uint64_t at = 0; at < size; at += noise.size()) {
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(noise.size(), size - at));
    const auto piece = std::span(noise).first(length);
    fill_random(piece);
    file.write_at(at, piece);
    file.sync();
    file.drop_cache();
    const auto back = std::span(seen).first(length);
    if (file.read_at(at, back) != length || !std::ranges::equal(piece, back)) {
      throw Error(Errc::kInternal, "it reads back differently than it was overwritten: the disk is failing");
    }
  }
}

bool trim(int folder, std::uint64_t length) {
  fstrim_range range = {.start = 0, .len = length, .minlen = 0};
  return ioctl(folder, FITRIM, &range) == 0;
}

/// Tells the disk which space is free, where the system lets one: only an administrator may. A large disk takes
/// minutes, so it goes on in a process of its own. False when it may not begin.
bool trim_in_background(const Path& folder) {
  constexpr std::uint64_t kFirstPiece = 1u << 20;  // bytes; tells whether one may
  const auto directory = File::open_directory(folder);
  const int descriptor = directory.descriptor();
  if (!trim(descriptor, kFirstPiece)) return false;
  const pid_t process = fork();
  if (process != 0) return process > 0;
  setsid();
  arrange_descriptors({{0, descriptor}});
  trim(0, std::numeric_limits<std::uint64_t>::max());
  _exit(0);
}

bool is_copy_on_write(const Path& folder) {
  struct statfs status {};
  return statfs(folder.c_str(), &status) == 0 && status.f_type == BTRFS_SUPER_MAGIC;
}

std::vector<std::string> limits_of_wiping(const Path& folder, bool trimmed) {
  std::vector<std::string> limits;
  if (is_copy_on_write(folder)) {
    limits.emplace_back("this file system (btrfs) writes elsewhere instead of over: the old blocks may be readable");
  }
  limits.emplace_back(
      "overwriting promises nothing on an SSD, a memory card, or where there are snapshots or a journal of data: the "
      "old blocks may be readable to a laboratory");
  limits.emplace_back(
      trimmed ? "the disk is being told which space is free (FITRIM); whether it forgets it is up to the disk"
              : "free space was not trimmed; an administrator can do it: fstrim --all");
  limits.emplace_back(
      "not reached from here: copies of this disk, replicas, exports, bundles already sent, what other people of this "
      "machine hold in memory");
  return limits;
}

class Destroyer {
 public:
  Destroyer(const Path& folder, const Environment& environment, const DestroyObserver& observer, bool trims)
      : folder_(folder), environment_(environment), observer_(observer), trims_(trims) {}

  DestroyReceipt run(std::string_view order) {
    mark_begun(order);
    destroy_keys();
    remove_rest();
    if (!keys_destroyed_) destroy_keys();  // what was unlinked has made room, where overwriting needed some
    return finish();
  }

 private:
  using Clock = std::chrono::steady_clock;

  /// Runs one step; what goes wrong is named, and the next step comes.
  template <typename Step>
  bool attempt(const std::string& name, const Step& step) {
    try {
      step();
      return true;
    } catch (const std::exception& error) {
      name_not_reached(name + ": " + error.what());
      failed_ = true;
      return false;
    }
  }

  /// As attempt; where there is no space for it, what the audit log keeps in reserve is given up, and it runs again.
  template <typename Step>
  bool attempt_with_reserve(const std::string& name, const Step& step) {
    return attempt(name, [&] {
      try {
        step();
      } catch (const Error& error) {
        if (error.code() != Errc::kNoSpace) throw;
        remove_file(folder_ / "audit" / "reserve");
        step();
      }
    });
  }

  void name_not_reached(std::string what) {
    if (not_reached_.size() < kMaxNotReached) {
      not_reached_.push_back(std::move(what));
    } else {
      ++not_named_;
    }
  }

  DestroyReceipt receipt(DestroyStage stage) const {
    DestroyReceipt receipt{stage, environment_.now_ms(),
                           std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began_), not_reached_};
    if (not_named_ > 0) receipt.not_reached.push_back("and " + std::to_string(not_named_) + " more");
    return receipt;
  }

  void tell(const DestroyReceipt& receipt) const {
    if (!observer_) return;
    try {
      observer_(receipt);
    } catch (...) {
      // That nobody listens must not stop it.
    }
  }

  void mark_begun(std::string_view order) {
    tombstone_ = {.order = std::string(order), .time_ms = environment_.now_ms(), .place = inode_of(folder_ / "slots")};
    if (attempt_with_reserve("vault.json", [&] { write_tombstone(); })) tell(receipt(DestroyStage::kReceived));
  }

  /// Over vault.json as it lies there, so that the salt in it is gone, too: without it no passphrase opens a slot.
  void write_tombstone() {
    const auto path = folder_ / "vault.json";
    auto file = File::open_for_update(path);
    if (!file) file = File::create_new(path);
    const auto size = file->size();
    if (size > 0 && size <= kMaxHeaderSize) keep_time_of_first(*file, size);
    const auto content = encode_tombstone(tombstone_, static_cast<std::size_t>(std::min(size, kMaxHeaderSize)));
    file->write_at(0, content);
    if (size > content.size()) file->truncate(content.size());
    file->sync();
  }

  /// A tombstone that is there already is older.
  void keep_time_of_first(const File& file, std::uint64_t size) {
    Bytes content(static_cast<std::size_t>(size));
    file.read_at(0, content);
    const auto first = parse_tombstone(content);
    if (!first || first->time_ms == 0) return;
    tombstone_.time_ms = first->time_ms;
    tombstone_.order = first->order;
  }

  void destroy_keys() {
    const auto path = folder_ / "slots";
    keys_destroyed_ = attempt_with_reserve("slots", [&] {
      auto file = File::open_for_update(path);
      if (file) overwrite(*file, std::clamp<std::uint64_t>(file->size(), kSlotsSize, kMaxOverwritten));
    });
    if (keys_destroyed_) tell(receipt(DestroyStage::kKeysDestroyed));
  }

  void remove_rest() {
    overwrite_handovers();
    for (const auto name : kVaultFolders) {
      const auto folder = folder_ / name;
      if (!is_there(folder)) continue;
      remove_content(folder, kFolderDepth);
      remove_empty_directory(folder);
    }
    for (const auto& name : names_in(folder_)) {
      const bool is_ours = std::ranges::find(kVaultFiles, name) != kVaultFiles.end() || is_partial_file(name);
      const bool is_last = name == "vault.json" || name == "slots";
      const bool is_folder = std::ranges::find(kVaultFolders, name) != kVaultFolders.end();
      if (is_ours && !is_last) remove(folder_ / name);
      if (!is_ours && !is_folder) name_not_reached(shown(folder_ / name) + ": not the vault's; it stays");
    }
  }

  /// Few and small: the catalogue's keys, sealed to users whose secret keys were in the slots.
  void overwrite_handovers() {
    for (const auto& name : names_in(folder_ / "handover")) {
      const auto path = folder_ / "handover" / name;
      attempt(shown(path), [&] {
        auto file = File::open_for_update(path);
        if (file) overwrite(*file, std::min(file->size(), kMaxOverwritten));
      });
    }
  }

  void remove_content(const Path& folder, int depth) {
    for (const auto& name : names_in(folder)) {
      const auto path = folder / name;
      struct stat status {};
      if (lstat(path.c_str(), &status) != 0) continue;
      if (!S_ISDIR(status.st_mode)) {
        remove(path);
      } else if (depth > 0) {
        remove_content(path, depth - 1);
        remove_empty_directory(path);
      } else {
        name_not_reached(shown(path) + ": not the vault's; it stays");
      }
    }
  }

  void remove(const Path& path) {
    attempt(shown(path), [&] { remove_file(path); });
  }

  std::vector<std::string> names_in(const Path& folder) {
    std::vector<std::string> names;
    attempt(shown(folder), [&] { names = list_directory(folder); });
    return names;
  }

  std::string shown(const Path& path) const { return escape_for_display(path.lexically_relative(folder_).native()); }

  /// The slots go last but one: while they are there, they say whether this is the place that was meant.
  DestroyReceipt finish() {
    if (keys_destroyed_) remove(folder_ / "slots");
    attempt("the folder", [&] { sync_file_system(folder_); });
    bool trimmed = false;
    if (trims_) attempt("free space", [&] { trimmed = trim_in_background(folder_); });
    tombstone_.finished = !failed_;
    attempt("vault.json", [&] { write_tombstone(); });
    auto last = receipt(DestroyStage::kRestRemoved);
    last.cannot_promise = limits_of_wiping(folder_, trimmed);
    tell(last);
    return last;
  }

  const Path& folder_;
  const Environment& environment_;
  const DestroyObserver& observer_;
  bool trims_;
  Clock::time_point began_ = Clock::now();
  Tombstone tombstone_;
  bool keys_destroyed_ = false;
  bool failed_ = false;  // something of the vault's could not be reached
  std::vector<std::string> not_reached_;
  std::size_t not_named_ = 0;
};

}  // namespace

std::string_view to_string(DestroyStage stage) {
  switch (stage) {
    case DestroyStage::kReceived:
      return "received";
    case DestroyStage::kKeysDestroyed:
      return "keys-destroyed";
    case DestroyStage::kRestRemoved:
      return "rest-removed";
  }
  return "unknown";
}

DestroyReceipt destroy_vault(const Path& folder, const Environment& environment, std::string_view order,
                             const DestroyObserver& observer, AfterDestroying after) {
  const auto is_of_vault = [&](std::string_view name) { return is_there(folder / name); };
  if (std::ranges::none_of(kVaultFiles, is_of_vault)) {
    throw Error(Errc::kNoVault, "no vault here: " + folder.string(), "name one with --vault DIR");
  }
  return Destroyer(folder, environment, observer, after == AfterDestroying::kTrim).run(order);
}

void refuse_destroyed(const Path& folder, const Tombstone& tombstone, const Environment& environment) {
  const auto here = inode_of(folder / "slots");
  const bool is_this_place = here == 0 || tombstone.place == 0 || here == tombstone.place;
  if (!tombstone.finished && is_this_place) destroy_vault(folder, environment, tombstone.order, {});
  throw Error(Errc::kDestroyed, "this vault was destroyed",
              "it can be recovered from a replica elsewhere with the trustees' shares, if there are any");
}

}  // namespace casevault
