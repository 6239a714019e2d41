#pragma once
#include "vault/storage/file.h"

namespace casevault {

/// A file that appears under its name when it is whole: without a name until then, or beside it under one that means
/// nothing, where the file system knows no other way. In a folder where nothing may be renamed or removed, only the
/// first way works. Errors as in file.h.
class NewFile {
 public:
  static NewFile beside(const Path& target);
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile();
  void append(ByteView data);
  void sync();
  /// Neither data nor folder are synced. @throws Error{kUsage} when the name is taken.
  void publish_unsynced();

 private:
  NewFile(int descriptor, Path target, Path partial)
      : descriptor_(descriptor), target_(std::move(target)), partial_(std::move(partial)) {}
  int descriptor_;
  Path target_;
  Path partial_;  // empty: it has no name
  std::uint64_t size_ = 0;
};

}  // namespace casevault
