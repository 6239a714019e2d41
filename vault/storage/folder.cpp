#include "vault/storage/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>

#include "vault/text.h"

namespace casevault {
namespace {

[[noreturn]] void fail(const std::string& action, const Path& path, int system_error) {
  throw Error(error_code_of(system_error), "cannot " + action + " '" + escape_for_display(path.native()) +
                                               "': " + std::generic_category().message(system_error));
}

[[noreturn]] void fail_elsewhere() { throw Error(Errc::kUsage, "another disk is mounted there; it was not touched"); }

FolderEntry::Kind kind_of(mode_t mode) {
  if (S_ISREG(mode)) return FolderEntry::Kind::kFile;
  if (S_ISDIR(mode)) return FolderEntry::Kind::kFolder;
  return S_ISLNK(mode) ? FolderEntry::Kind::kLink : FolderEntry::Kind::kOther;
}

FolderEntry entry_from(const struct stat& status) {
  return {kind_of(status.st_mode), status.st_dev, status.st_ino,
          status.st_nlink,         status.st_uid, static_cast<std::uint64_t>(status.st_size)};
}

FolderEntry entry_of(int descriptor, const Path& path) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) fail("look at", path, errno);
  return entry_from(status);
}

}  // namespace

Folder::Folder(int descriptor, Path path)
    : descriptor_(descriptor), path_(std::move(path)), device_(entry_of(descriptor_, path_).device) {}

Folder::Folder(Folder&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)), device_(other.device_) {}

Folder::~Folder() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::optional<Folder> Folder::open(int folder, const Path& name, Path path) {
  const int descriptor = ::openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor >= 0) return Folder(descriptor, std::move(path));
  if (errno == ENOENT) return std::nullopt;
  if (errno == ENOTDIR || errno == ELOOP) {
    throw Error(Errc::kUsage, "'" + escape_for_display(path.native()) + "' is not a folder, but a file or a link");
  }
  fail("open", path, errno);
}

std::optional<Folder> Folder::open(const Path& path) {
  const auto entry = path.has_filename() ? path : path.parent_path();  // "link/" would be followed
  return open(AT_FDCWD, entry, entry);
}

std::optional<Folder> Folder::open_folder(const std::string& name) const {
  auto folder = open(descriptor_, name, path_ / name);
  if (folder && folder->device_ != device_) fail_elsewhere();
  return folder;
}

std::optional<FolderEntry> Folder::look_at(const std::string& name) const noexcept {
  struct stat status {};
  if (::fstatat(descriptor_, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  return entry_from(status);
}

std::vector<std::string> Folder::names() const {
  const int descriptor = ::openat(descriptor_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) fail("read", path(), errno);
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(descriptor), ::closedir);
  if (!listing) {
    ::close(descriptor);
    fail("read", path(), errno);
  }
  std::vector<std::string> names;
  errno = 0;
  for (const auto* entry = ::readdir(listing.get()); entry != nullptr; entry = ::readdir(listing.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
    errno = 0;
  }
  if (errno != 0) fail("read", path(), errno);
  std::ranges::sort(names);
  return names;
}

std::optional<OpenedToOverwrite> Folder::open_to_overwrite(const std::string& name) const {
  const auto seen = look_at(name);
  if (seen && seen->kind == FolderEntry::Kind::kLink) {
    throw Error(Errc::kUsage, "a link; what it leads to was not touched");
  }
  auto file = FileInFolder::open(descriptor_, name, path_ / name);
  if (!file) return std::nullopt;
  const auto entry = entry_of(file->descriptor_, file->path_);
  if (entry.kind != FolderEntry::Kind::kFile) throw Error(Errc::kUsage, "not a regular file");
  if (entry.device != device_) fail_elsewhere();
  if (entry.names > 1) {
    throw Error(Errc::kUsage,
                "not overwritten, because it has another name, too: find / -xdev -inum " + std::to_string(entry.inode));
  }
  return OpenedToOverwrite{*std::move(file), entry.size};
}

FileInFolder Folder::create_new(const std::string& name) const {
  return FileInFolder::create(descriptor_, name, path_ / name);
}

bool Folder::remove_file(const std::string& name) const {
  if (::unlinkat(descriptor_, name.c_str(), 0) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  fail("remove", path() / name, errno);
}

bool Folder::remove_empty_folder(const std::string& name) const noexcept {
  return ::unlinkat(descriptor_, name.c_str(), AT_REMOVEDIR) == 0;
}

void Folder::sync_file_system() const {
  if (::syncfs(descriptor_) != 0) fail("write", path(), errno);
}

}  // namespace casevault
