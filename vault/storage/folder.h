#pragma once
#include <optional>
#include <string>
#include <vector>

#include "vault/storage/file.h"

namespace casevault {

/// What stands under a name. A link is itself, not what it leads to.
struct FolderEntry {
  enum class Kind { kFile, kFolder, kLink, kOther };
  Kind kind = Kind::kOther;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t names = 0;  // that lead to it; more than one for a file with hard links
  std::uint32_t owner = 0;  // uid
  std::uint64_t size = 0;   // bytes
};

/// A file opened below a Folder, to be written. Throws as File does.
class FileInFolder {
 public:
  FileInFolder(FileInFolder&& other) noexcept;
  FileInFolder& operator=(FileInFolder&&) = delete;
  ~FileInFolder();

  std::size_t read_at(std::uint64_t offset, std::span<std::byte> out) const;
  void write_at(std::uint64_t offset, ByteView data);
  void truncate(std::uint64_t size);
  void sync();
  void drop_cache() noexcept;

 private:
  friend class Folder;
  /// nullopt when there is none. Follows no link. `path`: for messages.
  static std::optional<FileInFolder> open(int folder, const std::string& name, Path path);
  static FileInFolder create(int folder, const std::string& name, Path path);
  FileInFolder(int descriptor, Path path) : descriptor_(descriptor), path_(std::move(path)) {}
  int descriptor_ = -1;
  Path path_;
};

/// What is opened to be overwritten, and its size in bytes.
struct OpenedToOverwrite {
  FileInFolder file;
  std::uint64_t size = 0;
};

/// A folder held open. What is done by names is done in this very folder: no link is followed, neither in its place nor
/// below it, and what becomes of its path meanwhile does not matter. Throws as the functions of file.h do.
class Folder {
 public:
  /// nullopt when there is none. @throws Error{kUsage} when `path` is a link or a file.
  static std::optional<Folder> open(const Path& path);
  /// nullopt when there is none. @throws Error{kUsage} for a link, a file, or a folder of another file system.
  std::optional<Folder> open_folder(const std::string& name) const;

  Folder(Folder&& other) noexcept;
  Folder& operator=(Folder&&) = delete;
  ~Folder();
  const Path& path() const { return path_; }
  int descriptor() const { return descriptor_; }
  /// nullopt when there is none, or one cannot look.
  std::optional<FolderEntry> look_at(const std::string& name) const noexcept;
  /// Sorted.
  std::vector<std::string> names() const;

  /// nullopt when there is none. @throws Error{kUsage} where writing would change what lies elsewhere: for a link, a
  /// file that has another name, too, or one of another file system; and for what is no file.
  std::optional<OpenedToOverwrite> open_to_overwrite(const std::string& name) const;
  /// @throws Error{kUsage} when the name is taken.
  FileInFolder create_new(const std::string& name) const;
  /// False when there was none.
  bool remove_file(const std::string& name) const;
  /// False when it is not empty, or none.
  bool remove_empty_folder(const std::string& name) const noexcept;
  /// Everything written so far to its file system is on the disk.
  void sync_file_system() const;

 private:
  static std::optional<Folder> open(int folder, const Path& name, Path path);
  Folder(int descriptor, Path path);
  int descriptor_ = -1;
  Path path_;
  std::uint64_t device_ = 0;
};

}  // namespace casevault
