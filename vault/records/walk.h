#pragma once
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "vault/storage/file.h"

namespace casevault {

/// A descriptor opened for reading, closed on destruction.
class Descriptor {
 public:
  explicit Descriptor(int value = -1) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  int get() const { return value_; }
  bool is_open() const { return value_ >= 0; }

 private:
  int value_;
};

/// Which file or folder it is, whatever it is called.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const FileIdentity&) const = default;
};

/// A regular file found by `walk`. Held by where it was found, not open.
struct SourceFile {
  std::size_t root = 0;    // index of the named path it was found under
  std::string relative;    // below that folder, as bytes; empty where the named path is the file itself
  std::string name;        // to be stored: UTF-8
  std::string name_bytes;  // the original bytes where they were not UTF-8
  std::uint64_t size = 0;  // bytes, when it was found
};

struct SkippedFile {
  std::string name;
  std::string why;
};

/// What the paths on a command line stand for.
class SourceList {
 public:
  /// Folders are read through, in the order of names' bytes. A named path may be a symbolic link; those inside folders
  /// are skipped, as are devices, pipes and sockets, folders that hold themselves, and the vault's folder. Stored
  /// names: a file's own name; below a folder,
  /// "<folder>/<relative path>".
  /// @throws Error{kUsage} naming the paths that do not exist.
  static SourceList walk(const std::vector<Path>& paths, const Path& vault);

  const std::vector<SourceFile>& files() const { return files_; }
  const std::vector<SkippedFile>& skipped() const { return skipped_; }
  std::uint64_t total_bytes() const;

 private:
  friend class Walker;
  friend class SourceOpener;
  struct Root {
    Path path;
    FileIdentity identity;
  };
  std::vector<Root> roots_;
  std::vector<SourceFile> files_;
  std::vector<SkippedFile> skipped_;
};

/// Opens the files of a list for reading, quickly when they are asked for in the list's order. The list must outlive
/// it.
class SourceOpener {
 public:
  explicit SourceOpener(const SourceList& list) : list_(list) {}
  /// Not open where the file is gone, is no regular file now, or the way to it leads through a link; errno says why (0:
  /// something else stands there now).
  Descriptor open(const SourceFile& file);

 private:
  void enter(std::size_t root, const std::string& folder);
  const SourceList& list_;
  std::size_t root_ = 0;
  std::string relative_;  // of the folder that is open
  Descriptor folder_;
};

/// UTF-8 with every byte that does not fit written as `\x` and two digits.
std::string to_utf8_name(std::string_view bytes);
/// "permission denied" and the like, for an errno value.
std::string system_reason(int system_error);

}  // namespace casevault
