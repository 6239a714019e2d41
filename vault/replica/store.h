#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crypto/hash.h"
#include "vault/environment.h"
#include "vault/storage/file.h"

namespace casevault {

/// Where snapshots and objects lie: a folder, or a remote of rclone. Objects have names as in layout.h. Nothing that
/// was written whole is ever written again.
///
/// Functions throw Error: kNoSpace, kNotAllowed (it cannot be written, or refuses), kInterrupted, kUsage (there is no
/// such place), kPartial (the connection failed: repeating goes on where it ended).
class ReplicaStore {
 public:
  using Names = std::vector<std::string>;
  using Sizes = std::map<std::string, std::uint64_t, std::less<>>;  // bytes by name
  using Digests = std::map<std::string, Sha256Digest, std::less<>>;
  using Progress = std::function<void(std::uint64_t bytes_more)>;

  virtual ~ReplicaStore() = default;
  /// What people and the audit log call it: never holds a password or key that was part of its address.
  virtual std::string label() const = 0;
  /// All objects. Empty where the place is empty, or is not there yet.
  virtual Sizes list() = 0;
  /// nullopt when there is none. @throws Error{kDamaged} when it is longer.
  virtual std::optional<Bytes> read(const std::string& name, std::size_t max_bytes) = 0;
  /// Copies the files `from/<name>` there. Returns what was read, by name.
  virtual Digests put(const Path& from, const Names& names, const Progress& progress) = 0;
  /// Reads back. Those that cannot be read are left out.
  virtual Digests hash(const Names& names, const Progress& progress) = 0;
  /// Copies objects to files `to/<name>`, which may be there already. Those that are missing or cannot be read are left
  /// out, and so may be files that are not whole: only hashes tell.
  virtual void fetch(const Names& names, const Path& to, const Progress& progress) = 0;
  /// Where objects can be read without fetching them; empty for none.
  virtual Path folder() const { return {}; }
  virtual void remove(const Names& names) = 0;
  /// Held while something is written there, so that nobody else prunes meanwhile. @throws Error{kBusy}
  virtual std::shared_ptr<void> lock() = 0;
};

/// What running rclone takes from outside.
struct RcloneSettings {
  std::string search_path;                       // where the program is looked for
  std::map<std::string, std::string> variables;  // of the environment, those that rclone may see
};

/// `place`: a folder's path, or `rclone:REMOTE:PATH`. @throws Error{kUsage} for another address, or without rclone.
std::unique_ptr<ReplicaStore> open_replica_store(const std::string& place, const RcloneSettings& rclone,
                                                 const Environment& environment);
/// Whether `place` is the address of a remote.
bool is_remote(const std::string& place);
/// `abroad:office`, where no such folder is: most likely `rclone:` was forgotten. @throws Error{kUsage}
void refuse_likely_remote(const std::string& place);

/// The names of variables that rclone may see.
const std::vector<const char*>& rclone_variables();

std::unique_ptr<ReplicaStore> make_folder_store(const Path& folder, const Environment& environment);
std::unique_ptr<ReplicaStore> make_rclone_store(const std::string& remote, const RcloneSettings& rclone,
                                                const Environment& environment);

/// Gives every file below `folder`, with its name relative to `root` and its size; links and all else are passed over.
/// Does nothing where there is no such folder.
void walk_files(const Path& root, const std::string& folder,
                const std::function<void(const std::string& name, std::uint64_t size)>& take);

/// With its parents, where they are missing. Not synced.
void make_folders(const Path& path);

/// Reads a file from front to back. @throws Error{kNotFound} when there is none any more.
Sha256Digest hash_file(const Path& path, const Environment& environment, const ReplicaStore::Progress& progress);

}  // namespace casevault
