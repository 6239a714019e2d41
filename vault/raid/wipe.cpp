#include "vault/raid/wipe.h"

#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "crypto/random.h"
#include "vault/custody/condemned.h"
#include "vault/raid/processes.h"
#include "vault/storage/folder.h"
#include "vault/storage/json.h"
#include "vault/storage/layout.h"
#include "vault/storage/slots.h"
#include "vault/text.h"

namespace casevault {
namespace {

constexpr std::uint64_t kMaxHeaderSize = 64u << 10;  // bytes
constexpr std::size_t kSlotsSize = kSlotCount * kSlotSize;
constexpr std::uint64_t kMaxOverwritten = 1u << 20;  // bytes of one file; what is small and seals keys is smaller
constexpr int kFolderDepth = 3;                      // spare/bodies/<2 hex>
constexpr auto kNotOurs = "not the vault's; it stays";

template <typename Names>
bool is_among(const Names& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

/// Random bytes over a file, in place, synced, and read back past the cache where the system lets one.
void overwrite(FileInFolder& file, std::uint64_t size) {
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
bool trim_in_background(const Folder& folder) {
  constexpr std::uint64_t kFirstPiece = 1u << 20;  // bytes; tells whether one may
  const int descriptor = folder.descriptor();
  if (!trim(descriptor, kFirstPiece)) return false;
  const pid_t process = fork();
  if (process != 0) return process > 0;
  setsid();
  arrange_descriptors({{0, descriptor}});
  trim(0, std::numeric_limits<std::uint64_t>::max());
  _exit(0);
}

bool is_copy_on_write(const Folder& folder) {
  struct statfs status {};
  return fstatfs(folder.descriptor(), &status) == 0 && status.f_type == BTRFS_SUPER_MAGIC;
}

std::vector<std::string> limits_of_wiping(const Folder& folder, bool trimmed) {
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

Bytes read_whole(const FileInFolder& file, std::uint64_t size) {
  Bytes content(static_cast<std::size_t>(size));
  content.resize(file.read_at(0, content));
  return content;
}

/// As the header names it, whatever else is wrong with it; empty where it cannot be read.
std::string vault_named_in(ByteView header) {
  try {
    auto text = as_text(header);
    if (text.ends_with('\n')) text.remove_suffix(1);
    const auto vault = parse_canonical(text, "vault.json").at("vault").get<std::string>();
    return array_from_hex<16>(vault) ? vault : "";
  } catch (const std::exception&) {
    return {};
  }
}

class Destroyer {
 public:
  Destroyer(const Folder& folder, const Environment& environment, const DestroyObserver& observer, bool trims)
      : folder_(folder), environment_(environment), observer_(observer), trims_(trims) {}

  DestroyReceipt run(std::string_view order) {
    mark_begun(order);
    destroy_keys();
    condemn_machine();
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
        if (const auto audit = folder_.open_folder("audit")) audit->remove_file("reserve");
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
    tombstone_ = {.order = std::string(order), .time_ms = environment_.now_ms()};
    if (const auto slots = folder_.look_at("slots")) {
      tombstone_.device = place_number(slots->device);
      tombstone_.inode = place_number(slots->inode);
    }
    is_marked_ = attempt_with_reserve("vault.json", [&] { write_tombstone(); });
    if (is_marked_) tell(receipt(DestroyStage::kReceived));
  }

  /// Over vault.json as it lies there, so that the salt in it is gone, too: without it no passphrase opens a slot.
  void write_tombstone() {
    auto header = open_header();
    auto [file, size] = header ? *std::move(header) : OpenedToOverwrite{folder_.create_new("vault.json")};
    if (size > 0 && size <= kMaxHeaderSize) keep_what_it_says(read_whole(file, size));
    const auto content = encode_tombstone(tombstone_, static_cast<std::size_t>(std::min(size, kMaxHeaderSize)));
    file.write_at(0, content);
    if (size > content.size()) file.truncate(content.size());
    file.sync();
  }

  /// What lies elsewhere, too, is not ours to overwrite: its name here makes room for the mark.
  std::optional<OpenedToOverwrite> open_header() {
    try {
      return folder_.open_to_overwrite("vault.json");
    } catch (const Error& error) {
      const auto entry = folder_.look_at("vault.json");
      if (error.code() != Errc::kUsage || !entry || entry->kind == FolderEntry::Kind::kFolder) throw;
      name_not_reached(std::string("vault.json: ") + error.what());
      folder_.remove_file("vault.json");
      return std::nullopt;
    }
  }

  /// A mark that is there already is older.
  void keep_what_it_says(ByteView content) {
    const auto first = parse_tombstone(content);
    if (!first) {
      tombstone_.vault = vault_named_in(content);
      vault_ = array_from_hex<16>(tombstone_.vault);
    } else if (first->time_ms != 0) {
      tombstone_.time_ms = first->time_ms;
      tombstone_.order = first->order;
      tombstone_.vault = first->vault;
      const auto marked = array_from_hex<16>(first->vault);
      if (marked && is_device_condemned(environment_, *marked)) vault_ = marked;
    }
  }

  /// Should this be interrupted, whoever goes on knows that the key of this machine goes, too.
  void condemn_machine() {
    try {
      if (vault_) condemn_device(environment_, *vault_);
    } catch (const Error&) {
      // Then only this process removes it.
    }
  }

  void destroy_keys() {
    keys_destroyed_ = attempt_with_reserve("slots", [&] {
      auto slots = folder_.open_to_overwrite("slots");
      if (slots) overwrite(slots->file, std::clamp<std::uint64_t>(slots->size, kSlotsSize, kMaxOverwritten));
    });
    if (keys_destroyed_) tell(receipt(DestroyStage::kKeysDestroyed));
  }

  void remove_rest() {
    overwrite_handovers();
    for (const auto& name : names_in(folder_)) {
      if (name == "vault.json" || name == "slots") continue;
      if (is_among(kVaultFolders, name)) {
        remove_entry(folder_, name, kFolderDepth);
      } else if (is_among(kVaultFiles, name) || is_partial_file(name)) {
        remove_entry(folder_, name, 0);
      } else {
        name_not_reached(shown(folder_.path() / name) + ": " + kNotOurs);
      }
    }
  }

  /// Few and small: the catalogue's keys, sealed to users whose secret keys were in the slots.
  void overwrite_handovers() {
    const auto entry = folder_.look_at("handover");
    if (!entry || entry->kind != FolderEntry::Kind::kFolder) return;
    visit(folder_, "handover", [&](const Folder& handovers, const std::string& name) {
      const auto file = handovers.look_at(name);
      if (!file || file->kind != FolderEntry::Kind::kFile) return;
      attempt(shown(handovers.path() / name), [&] {
        auto handover = handovers.open_to_overwrite(name);
        if (handover) overwrite(handover->file, std::min(handover->size, kMaxOverwritten));
      });
    });
  }

  /// A link goes, and what it leads to stays. Folders go with what is in them, `depth` deep; 0: only empty ones.
  void remove_entry(const Folder& in, const std::string& name, int depth) {
    const auto entry = in.look_at(name);
    const auto path = shown(in.path() / name);
    if (!entry) return;
    if (entry->kind == FolderEntry::Kind::kFolder) {
      if (depth > 0) {
        visit(in, name,
              [&](const Folder& folder, const std::string& below) { remove_entry(folder, below, depth - 1); });
      }
      if (!in.remove_empty_folder(name) && depth == 0) name_not_reached(path + ": " + kNotOurs);
      return;
    }
    attempt(path, [&] { in.remove_file(name); });
    if (entry->kind == FolderEntry::Kind::kLink) {
      name_not_reached(path + ": a link; it is removed, what it led to was not touched");
    }
  }

  /// Each name in a folder below `in`.
  template <typename Take>
  void visit(const Folder& in, const std::string& name, const Take& take) {
    attempt(shown(in.path() / name), [&] {
      if (const auto folder = in.open_folder(name)) {
        for (const auto& below : names_in(*folder)) take(*folder, below);
      }
    });
  }

  std::vector<std::string> names_in(const Folder& folder) {
    std::vector<std::string> names;
    attempt(shown(folder.path()), [&] { names = folder.names(); });
    return names;
  }

  std::string shown(const Path& path) const {
    return escape_for_display(path.lexically_relative(folder_.path()).native());
  }

  /// The slots, noise by now, go last but one: while something is left, they say where it was meant.
  DestroyReceipt finish() {
    if (keys_destroyed_ && !(failed_ && is_marked_)) attempt("slots", [&] { folder_.remove_file("slots"); });
    attempt("the folder", [&] { folder_.sync_file_system(); });
    bool trimmed = false;
    if (trims_) attempt("free space", [&] { trimmed = trim_in_background(folder_); });
    tombstone_.finished = !failed_;
    attempt("vault.json", [&] { write_tombstone(); });
    auto last = receipt(DestroyStage::kRestRemoved);
    last.cannot_promise = limits_of_wiping(folder_, trimmed);
    last.vault = vault_;
    tell(last);
    return last;
  }

  const Folder& folder_;
  const Environment& environment_;
  const DestroyObserver& observer_;
  bool trims_;
  Clock::time_point began_ = Clock::now();
  Tombstone tombstone_;
  std::optional<VaultId> vault_;
  bool is_marked_ = false;
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

DestroyReceipt destroy_vault(const Path& path, const Environment& environment, std::string_view order,
                             const DestroyObserver& observer, AfterDestroying after) {
  const auto folder = Folder::open(path);
  const auto is_there = [&](std::string_view name) { return folder->look_at(std::string(name)).has_value(); };
  if (!folder || std::ranges::none_of(kVaultFiles, is_there)) {
    throw Error(Errc::kNoVault, "no vault here: " + path.string(), "name one with --vault DIR");
  }
  return Destroyer(*folder, environment, observer, after == AfterDestroying::kTrim).run(order);
}

bool forget_machine(const DestroyReceipt& last, const Environment& environment) {
  return last.vault && remove_condemned_device(environment, *last.vault);
}

}  // namespace casevault
