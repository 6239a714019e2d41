#include <unistd.h>

#include <algorithm>

#include "vault/raid/wipe.h"
#include "vault/storage/folder.h"
#include "vault/storage/layout.h"

namespace casevault {
namespace {

/// A file of this user, that has no other name.
bool is_plain_and_own(const std::optional<FolderEntry>& entry) {
  return entry && entry->kind == FolderEntry::Kind::kFile && entry->names == 1 && entry->owner == geteuid();
}

/// Whoever can make this true can write to the folder as this user, and could remove by hand what will be removed: what
/// lies in it under the vault's names.
bool was_begun_here(const Folder& folder, const Tombstone& tombstone) {
  const auto slots = folder.look_at("slots");
  return is_plain_and_own(slots) && is_plain_and_own(folder.look_at("vault.json")) &&
         place_number(slots->device) == tombstone.device && place_number(slots->inode) == tombstone.inode;
}

bool holds_anything(const Folder& folder) {
  const auto is_left = [&](std::string_view name) {
    return name != "vault.json" && folder.look_at(std::string(name)).has_value();
  };
  return std::ranges::any_of(kVaultFiles, is_left) || std::ranges::any_of(kVaultFolders, is_left);
}

std::optional<Folder> open_itself(const Path& path) {
  try {
    return Folder::open(path);
  } catch (const Error&) {
    return std::nullopt;
  }
}

void finish_destroying(const Path& path, const Tombstone& tombstone, const Environment& environment) {
  const auto last = destroy_vault(path, environment, tombstone.order, {});
  try {
    forget_machine(last, environment);
  } catch (const Error& error) {
    throw Error(Errc::kDestroyed,
                std::string("this vault was destroyed, but not the key of this machine: ") + error.what(),
                "remove that file yourself");
  }
}

[[noreturn]] void refuse_unfinished() {
  throw Error(
      Errc::kDestroyed,
      "vault.json says that this vault was being destroyed; some of it is left, and nothing was removed now",
      "to destroy what is left, for ever: casevault panic --destroy; if nobody wanted that, put vault.json back "
      "from a copy of the vault");
}

}  // namespace

void refuse_destroyed(const Path& path, const Tombstone& tombstone, const Environment& environment) {
  if (!tombstone.finished) {
    const auto folder = open_itself(path);
    if (folder && was_begun_here(*folder, tombstone)) {
      finish_destroying(path, tombstone, environment);
    } else if (!folder || holds_anything(*folder)) {
      refuse_unfinished();
    }
  }
  throw Error(Errc::kDestroyed, "this vault was destroyed",
              "it can be recovered from a replica elsewhere with the trustees' shares, if there are any");
}

}  // namespace casevault
