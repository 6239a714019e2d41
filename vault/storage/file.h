#pragma once
#include <filesystem>
#include <optional>

#include "crypto/bytes.h"
#include "crypto/error.h"

namespace casevault {

using Path = std::filesystem::path;

// The one seam through which the vault writes files. Every function throws Error: kNoSpace for ENOSPC, EDQUOT and
// EFBIG, kNotAllowed for EACCES, EPERM and EROFS, kInternal else; the message names the object, never a secret. Files
// are made 0600, folders 0700, all with O_CLOEXEC. Not for a database that is open: closing any descriptor of it would
// drop the process's fcntl locks, which are SQLite's.

/// The code above for a value of errno.
Errc error_code_of(int system_error);

/// An open file or folder.
class File {
 public:
  /// nullopt when there is none. Follows no symbolic link at the last component.
  /// @throws Error{kUsage} when it is one, or anything but a regular file (a pipe would block).
  static std::optional<File> open_for_reading(const Path& path);
  static std::optional<File> open_for_update(const Path& path);
  /// @throws Error{kUsage} when the name is taken.
  static File create_new(const Path& path);
  static File open_directory(const Path& path);

  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  int descriptor() const { return descriptor_; }
  const Path& path() const { return path_; }
  std::uint64_t size() const;  // bytes
  /// Reads until `out` is full or the file ends; returns the bytes read.
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> out) const;
  void write_at(std::uint64_t offset, ByteView data);
  void truncate(std::uint64_t size);
  /// Takes real blocks for the first `size` bytes, so that writing them later cannot run out of space.
  void allocate(std::uint64_t size);
  /// Asks the system to begin writing this range to the disk now; promises nothing.
  void start_writeback(std::uint64_t offset, std::uint64_t length) noexcept;
  /// After sync_file_system: @throws what the system met when it wrote this file, without another wait for the disk.
  void check_writeback();
  /// The file will be read from front to back.
  void advise_sequential() noexcept;
  /// False once its last name was removed.
  bool is_linked() const;
  /// Data and what is needed to read it are on the disk when this returns (fdatasync for files, fsync for folders).
  void sync();
  /// Drops the cached pages, so that the next read comes from the disk where the system lets one.
  void drop_cache() noexcept;

  enum class Lock { kShared, kExclusive };
  /// flock(2); false when another open file holds it the other way. Ends when the file is closed.
  bool try_lock(Lock kind);
  /// Tries for up to `timeout_ms`. @throws Error{kBusy}
  void lock(Lock kind, int timeout_ms);
  void unlock();

 private:
  File(int descriptor, Path path) : descriptor_(descriptor), path_(std::move(path)) {}
  int descriptor_ = -1;
  Path path_;
};

/// The whole of a small file; nullopt when there is none. @throws Error{kDamaged} when it is longer than `max_bytes`.
std::optional<Bytes> read_small_file(const Path& path, std::size_t max_bytes);
/// Written beside, synced, renamed over, folder synced: after a crash the old content or the new, never a mixture.
void replace_file(const Path& path, ByteView content);
/// Like replace_file, but @throws Error{kUsage} when the name is taken (atomically).
void write_new_file(const Path& path, ByteView content);
/// Renames a finished, synced file to its final name and syncs the folder. @throws Error{kUsage} when the name is
/// taken.
void publish_file(const Path& from, const Path& to);
/// As publish_file, without syncing the folder: for many files, with one sync_directory after them.
void publish_unsynced(const Path& from, const Path& to);
/// rename(2) over an existing file, and syncs the folder.
void replace_by_rename(const Path& from, const Path& to);
/// 0700, parent synced. False when it was there already.
bool make_directory(const Path& path);
/// False when there was none.
bool remove_file(const Path& path);
void remove_empty_directory(const Path& path) noexcept;
void sync_directory(const Path& path);
/// Everything written so far to the file system that holds `path` is on the disk: one call for a batch of many files.
void sync_file_system(const Path& path);
/// Names in a folder, sorted; empty when there is no such folder.
std::vector<std::string> list_directory(const Path& path);
/// Bytes free to this user.
std::uint64_t free_space(const Path& path);

}  // namespace casevault
